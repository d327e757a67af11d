// Package guest boots whole systems with systemd as process 1, for tests of what only such a system
// can prove. README.md beside it says what each kind of guest can prove.
package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/test/harness"
)

// Ground holds what all guests of a test run share. Its methods may be called from several
// goroutines.
type Ground struct {
	rootfs string // a Debian, never changed
	image  string // the same as an ext4 file system
	dir    string // of this run: tools, and a folder for each guest
	lock   *os.File
}

// tools are the programs that guests need, each with its Debian package.
var tools = map[string]string{
	"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "linux.uml": "user-mode-linux",
	"mkfs.ext4": "e2fsprogs", "gcc": "gcc", "cp": "coreutils",
}

// Prepare makes ready what guests are made from; the first time that takes a minute or two, later a
// few seconds. It needs root. Progress goes to log.
func Prepare(ctx context.Context, log func(format string, args ...any)) (*Ground, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("booting test guests needs root: sudo make test-systemd")
	}
	missing := map[string]bool{}
	for tool, pkg := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing[pkg] = true
		}
	}
	if len(missing) > 0 {
		line := "apt-get install"
		for pkg := range missing {
			line += " " + pkg
		}
		return nil, fmt.Errorf("programs that test guests need are missing: %s", line)
	}
	root, err := harness.SourceRoot()
	if err != nil {
		return nil, err
	}
	cache := filepath.Join(root, "test/systemd/.cache")
	g := new(Ground)
	if err := g.makeDir(filepath.Join(cache, "run")); err != nil {
		return nil, err
	}
	if err := g.build(ctx, root); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if err := g.debian(ctx, cache, log); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Close removes what the run made beside the kept Debian.
func (g *Ground) Close() error {
	return errors.Join(os.RemoveAll(g.dir), g.lock.Close())
}

// makeDir makes the folder of this run and removes those of runs that were killed.
func (g *Ground) makeDir(parent string) error {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	all, err := lockFile(filepath.Join(parent, ".lock"), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer all.Close()
	old, err := filepath.Glob(filepath.Join(parent, "*", "lock"))
	if err != nil {
		return err
	}
	for _, name := range old {
		lock, err := lockFile(name, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue // that run is alive
		}
		if err == nil {
			err = errors.Join(os.RemoveAll(filepath.Dir(name)), lock.Close())
		}
		if err != nil {
			return fmt.Errorf("clean up after a run that was killed: %w", err)
		}
	}
	if g.dir, err = os.MkdirTemp(parent, ""); err != nil {
		return err
	}
	if err := os.Chmod(g.dir, 0o755); err != nil { // guests' users pass through it
		return err
	}
	g.lock, err = lockFile(filepath.Join(g.dir, "lock"), unix.LOCK_EX)
	return err
}

func lockFile(name string, how int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	return f, nil
}

func (g *Ground) tool(name string) string { return filepath.Join(g.dir, name) }

// build makes agent, keeper and the shim of the guest kernel.
func (g *Ground) build(ctx context.Context, root string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w",
		"-o", g.dir+"/", "./test/systemd/agent", "./test/systemd/keeper")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	gcc := exec.CommandContext(ctx, "gcc", "-shared", "-fPIC", "-O2", "-o", g.tool("xstate.so"), "test/systemd/uml/xstate.c")
	for _, cmd := range []*exec.Cmd{build, gcc} {
		cmd.Dir = root
		if err := runQuiet(cmd); err != nil {
			return err
		}
	}
	return nil
}

// runQuiet runs a command whose output matters only when it fails.
func runQuiet(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}
