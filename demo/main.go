// Command demo runs queuemgr on real work and tells what happens: each claim with its evidence.
// It exits 0 only if every claim held. It drives the command line as a user does; what it claims
// of processes and files it reads from /proc and the files themselves.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/test/harness"
)

// scenes in the order of the story. A scene adds claims; an error ends the story.
var scenes = []struct {
	title string
	play  func(context.Context, *story) error
}{
	{"A daemon in a fresh home, and real work for it", sceneArchive},
	{"SIGKILL the daemon in the middle", sceneKilled},
	{"Start it again: nothing is lost", sceneReturn},
	{"A job that fails", sceneFailure},
	{"Stop a stubborn tree of processes", sceneStubborn},
	{"SIGKILL again, while clients add jobs", sceneClients},
	{"Every archive, checked against its source", sceneVerify},
	{"The same over HTTP", sceneHTTP},
	{"How fast", sceneSpeed},
}

func main() {
	bin := flag.String("bin", "bin", "folder of queuemgr and queuemgr-runner")
	keep := flag.Bool("keep", false, "keep the demo's folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, keep bool) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	s, err := newStory(ctx, bin)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, s.service.Cleanup(context.WithoutCancel(ctx)))
		if keep {
			fmt.Println("kept:", s.dir)
		} else {
			err = errors.Join(err, os.RemoveAll(s.dir))
		}
	}()
	for i, scene := range scenes {
		fmt.Printf("\n%d. %s\n", i+1, scene.title)
		if err := scene.play(ctx, s); err != nil {
			return fmt.Errorf("scene %d: %w", i+1, err)
		}
	}
	return s.end()
}

func newStory(ctx context.Context, bin string) (*story, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("ask go for its source: %w", err)
	}
	dir, err := os.MkdirTemp("", "demo-")
	if err != nil {
		return nil, err
	}
	s := &story{begin: time.Now(), dir: dir, source: filepath.Join(strings.TrimSpace(string(goroot)), "src"),
		archives: filepath.Join(dir, "archives"), effects: filepath.Join(dir, "effects"), compress: compressor(),
		service: &harness.Service{Home: filepath.Join(dir, "home"), Bin: bin}}
	for _, d := range []string{s.service.Home, s.archives, s.effects} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// compressor is the most patient one there is: the work shall last.
func compressor() []string {
	if _, err := exec.LookPath("xz"); err == nil {
		return []string{"xz", "-6"}
	}
	return []string{"gzip", "-9"}
}
