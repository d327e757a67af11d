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
	words := []string{"process " + pid, h.Home, "queuemgr daemon stop", "--home"}
	h.refused(4, words, "daemon", "start")
	h.refused(4, words, "daemon", "start", "--daemon")
	if now := h.status().PID; now != first {
		t.Errorf("the daemon is now %d, was %d", now, first)
	}
}

func TestSecondRunnerIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	first := h.connected()
	flags := []string{"--socket", h.Path("run", "runner.sock"), "--journal", h.Path("lib", "runner.journal"), "--lock", h.Path("run", "runner.lock")}
	for _, program := range [][]string{{"queuemgr-runner"}, {"queuemgr", "_runner"}} {
		cmd := exec.CommandContext(h.ctx, filepath.Join(binaries, program[0]), append(program[1:], flags...)...)
		cmd.Env = h.Environ()
		r, err := harness.Finish(cmd)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"another runner", strconv.Itoa(first), h.Path("run", "runner.lock")} {
			if r.Code != 3 || !strings.Contains(r.Stderr, word) {
				t.Errorf("%v: exit code %d, want 3 and word of %q:\n%s", program, r.Code, word, r.Stderr)
			}
		}
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
