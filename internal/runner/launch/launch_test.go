package launch

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

func TestEnviron(t *testing.T) {
	env := []string{
		"PATH=/bin", "QUEUEMGR_RUN_ID=r", "QUEUEMGR_JOB_ID=1", "QUEUEMGR_ATTEMPT=1", "QUEUEMGR_QUEUE=q", "QUEUEMGR_FENCE=3",
		"QUEUEMGR_DIR=/d", "QUEUEMGR_HOME=/h", "QUEUEMGR_RUN_IDS=x", "QUEUEMGR_RUN_ID",
	}
	outside := []string{"PATH=/bin", "NOTIFY_SOCKET=/systemd"}
	if diff := cmp.Diff(outside, Environ(outside)); diff != "" {
		t.Errorf("a service manager's: %s", diff)
	}
	env = append(env, "NOTIFY_SOCKET=/n", "WATCHDOG_USEC=1", "QUEUEMGR_PARAMS=/p")
	before := slices.Clone(env)
	if diff := cmp.Diff([]string{"PATH=/bin", "QUEUEMGR_HOME=/h", "QUEUEMGR_RUN_IDS=x"}, Environ(env)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, env); diff != "" {
		t.Errorf("the caller's environment changed: %s", diff)
	}
}

// TestRunnerIsNoPartOfTheJob starts a real runner from an environment like a job's.
func TestRunnerIsNoPartOfTheJob(t *testing.T) {
	dir, err := os.MkdirTemp("", "ql") // short: a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // best effort: it is in the system's temporary directory
	program := filepath.Join(dir, "runner")
	build := exec.Command("go", "build", "-o", program, "../../../cmd/queuemgr-runner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the runner: %v\n%s", err, out)
	}
	t.Setenv("QUEUEMGR_RUN_ID", "outer")
	t.Setenv("QUEUEMGR_HOME", dir)
	s := Starter{
		Program: program, Socket: filepath.Join(dir, "s"), Journal: filepath.Join(dir, "j"), Lock: filepath.Join(dir, "l"),
		LogFile: filepath.Join(dir, "log"), Log: slog.New(slog.DiscardHandler),
	}
	nc, err := s.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn := wire.NewConn(nc)
	if err := nc.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Send(&wire.Message{Hello: &wire.Hello{Proto: wire.Proto, Registry: "r", Epoch: 1}}); err != nil {
		t.Fatal(err)
	}
	m, err := conn.Receive()
	if err != nil || m.Welcome == nil {
		t.Fatalf("got %+v, %v", m, err)
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", m.Welcome.PID))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(env, []byte("QUEUEMGR_RUN_ID=")) || !bytes.Contains(env, []byte("QUEUEMGR_HOME="+dir)) {
		t.Errorf("the runner's environment: %q", env)
	}
	if err := conn.Send(&wire.Message{Quit: &wire.Quit{}}); err != nil {
		t.Fatal(err)
	}
	for { // its end, so that nothing is left behind
		if _, err := conn.Receive(); err != nil {
			break
		}
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// TestRunnerOfAnother: where systemd starts the runner, the daemon says so and starts none.
func TestRunnerOfAnother(t *testing.T) {
	dir := t.TempDir()
	s := Starter{Socket: filepath.Join(dir, "s"), LogFile: filepath.Join(dir, "log"), Log: slog.New(slog.DiscardHandler)}
	_, err := s.Dial(t.Context())
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "queuemgr service start") {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
