package runner

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// builds holds the runner binaries of this test run, by build tags.
var builds struct {
	sync.Mutex
	dir   string
	paths map[string]string
}

// binary builds the runner once for the tags.
func binary(t testing.TB, tags string) string {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	if path := builds.paths[tags]; path != "" {
		return path
	}
	if builds.dir == "" {
		dir, err := os.MkdirTemp("", "qrbin")
		if err != nil {
			t.Fatal(err)
		}
		builds.dir, builds.paths = dir, map[string]string{}
	}
	path := filepath.Join(builds.dir, "queuemgr-runner-"+tags)
	cmd := exec.Command("go", "build", "-tags", tags, "-o", path, "../../cmd/queuemgr-runner")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is shipped; libc alone takes 1.5 MB
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the runner: %v\n%s", err, out)
	}
	builds.paths[tags] = path
	return path
}

// process is a runner in a process of its own.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stderr bytes.Buffer // to be read after exit only
	exited chan struct{}
}

// startBinary starts the runner and waits until it listens or has ended.
func startBinary(t testing.TB, h home, path string, env ...string) *process {
	t.Helper()
	p := &process{t: t, exited: make(chan struct{})}
	p.cmd = exec.Command(path, "--socket", h.socket(), "--journal", h.journal(), "--lock", h.lock(), "--linger", "0")
	p.cmd.Env = append(os.Environ(), env...)
	ready := &readyWriter{to: &p.stderr, ready: make(chan struct{})}
	p.cmd.Stderr = ready
	// A session of its own, as whoever starts a runner gives it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the state is looked at instead
		close(p.exited)
	}()
	t.Cleanup(p.kill)
	select {
	case <-ready.ready:
	case <-p.exited:
	case <-time.After(patience):
		t.Fatal("the runner does not get ready")
	}
	return p
}

// kill ends the runner as a crash does.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
	p.wait()
}

// wait waits for the runner's end.
func (p *process) wait() *os.ProcessState {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatal("the runner does not end")
	}
	return p.cmd.ProcessState
}

// readyWriter tells when the runner logs that it is ready.
type readyWriter struct {
	to    *bytes.Buffer
	ready chan struct{}
	once  sync.Once
}

func (w *readyWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if bytes.Contains(w.to.Bytes(), []byte("runner ready")) {
		w.once.Do(func() { close(w.ready) })
	}
	return n, err
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}
