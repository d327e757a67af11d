package e2e

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/test/harness"
)

func TestSecondDaemonIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	first := h.status().PID
	pid := strconv.Itoa(first)
	h.refused(4, []string{pid}, "daemon", "start")
	h.refused(4, []string{pid}, "daemon", "start", "--daemon")
	if now := h.status().PID; now != first {
		t.Errorf("the daemon is now %d, was %d", now, first)
	}
}

func TestSecondRunnerIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	first := h.connected()
	cmd := exec.CommandContext(h.ctx, filepath.Join(binaries, "queuemgr-runner"), "--socket", h.Path("run", "runner.sock"),
		"--journal", h.Path("lib", "runner.journal"), "--lock", h.Path("run", "runner.lock"))
	cmd.Env = h.Environ()
	r, err := harness.Finish(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if r.Code != 3 || !strings.Contains(r.Stderr, strconv.Itoa(first)) {
		t.Errorf("exit code %d, want 3, naming process %d:\n%s", r.Code, first, r.Stderr)
	}
	if code := h.wait(h.add("--", "true")); code != 0 {
		t.Errorf("a job after the refusal exits %d", code)
	}
	if now := h.connected(); now != first {
		t.Errorf("the runner is now %d, was %d", now, first)
	}
}

// TestRunnerIsFoundInTheProgramItself holds that the small binary is a convenience only.
func TestRunnerIsFoundInTheProgramItself(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.Bin = t.TempDir()
	if err := exec.CommandContext(h.ctx, "cp", filepath.Join(binaries, "queuemgr"), h.Bin).Run(); err != nil {
		t.Fatal(err)
	}
	h.start()
	if code := h.wait(h.add("--", "sh", "-c", "exit 6")); code != 6 {
		t.Errorf("job wait exits %d, want 6", code)
	}
}
