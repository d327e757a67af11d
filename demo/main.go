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
	{"Job types: methods, progress, results", sceneTypes},
	{"How fast", sceneSpeed},
	{"The page, and a link that logs in", scenePage},
}

func main() {
	bin := flag.String("bin", "bin", "folder of queuemgr and queuemgr-runner")
	keep := flag.Bool("keep", false, "keep the demo's folder")
	alive := flag.Bool("alive", false, "leave the daemon alive, with a link to its page")
	end := flag.Bool("stop", false, "end the daemon that was left alive, and nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := begin(ctx, *bin, *keep, *alive, *end); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// begin ends what an earlier demo left alive, and runs this one.
func begin(ctx context.Context, bin string, keep, alive, end bool) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	note := filepath.Join(bin, "demo-alive") // where the folder of a demo is that lives on
	if err := stopLeft(ctx, bin, note, end); err != nil || end {
		return err
	}
	if !alive {
		note = ""
	}
	return run(ctx, bin, keep, note)
}

// run tells the story. The daemon lives on, if note is a file's name, once every claim has held.
func run(ctx context.Context, bin string, keep bool, note string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	s, err := newStory(ctx, bin)
	if err != nil {
		return err
	}
	left := false
	defer func() {
		if left {
			return
		}
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
	if err := s.end(); err != nil {
		return err
	}
	if note == "" {
		fmt.Println("\nThe daemon ends. In a terminal, or with `make demo ALIVE=1`, it lives on, with a link to its page.")
		return nil
	}
	if err := s.leave(ctx, note); err != nil {
		return err
	}
	left = true
	return nil
}

// newService is the service in a demo's folder.
func newService(bin, dir string) *harness.Service {
	return &harness.Service{Home: filepath.Join(dir, "home"), Bin: bin}
}

func newStory(ctx context.Context, bin string) (*story, error) {
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
		service: newService(bin, dir)}
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
