package e2e

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// connected waits until the daemon has a runner and returns its process: a daemon is ready before.
func (h *home) connected() int {
	h.t.Helper()
	pid := 0
	h.untilStatus("a runner to be connected", func(s *job.Status) bool {
		pid = s.Runner.PID
		return pid != 0
	})
	return pid
}

// runnerPID returns the process in the runner's lock file; it needs no daemon.
func (h *home) runnerPID() int {
	h.t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(h.read(h.Path("run", "runner.lock"))))
	if err != nil {
		h.t.Fatal(err)
	}
	return pid
}

// killRunner ends the runner with SIGKILL.
func (h *home) killRunner() {
	h.t.Helper()
	if err := harness.KillPID(h.ctx, h.runnerPID()); err != nil {
		h.t.Fatal(err)
	}
}

// waitPID waits for a process's end.
func (h *home) waitPID(pid int) {
	h.t.Helper()
	if err := harness.WaitPID(h.ctx, pid); err != nil {
		h.t.Fatal(err)
	}
}

// untilReaped returns when a process that has ended is no zombie any more, of which nothing tells.
func (h *home) untilReaped(pid int) {
	h.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			h.t.Fatalf("process %d was never reaped", pid)
		}
	}
}

// TestRunnerKilled holds that the death of the runner loses outcomes at worst, says so, and never
// runs a job twice.
func TestRunnerKilled(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	g := newGates(h)
	effect := h.Path("effect")
	id := h.add("--", "sh", "-c", "echo run >>'"+effect+"'; "+g.script("exit 5"))
	pid := g.arrived.pid()
	follow := h.follow(h.status().Seq)
	h.killRunner()
	g.gate.release(1)
	h.waitPID(pid)
	follow.until("the job's end", func(c job.Change) bool { return c.JobID == id && c.State.Ended() })
	if j := h.job(id); j.State != job.Failed || j.Reason != job.ReasonLost || j.Attempt != 1 || j.Error == "" {
		t.Errorf("state %s, reason %s, attempt %d, error %q; want failed, lost, 1 and why", j.State, j.Reason, j.Attempt, j.Error)
	}
	if code := h.wait(h.add("--", "sh", "-c", "exit 2")); code != 2 {
		t.Errorf("a job afterwards exits %d, want 2", code)
	}
	if text := h.read(effect); text != "run\n" {
		t.Errorf("the job's effect is %q, want one line", text)
	}
}
