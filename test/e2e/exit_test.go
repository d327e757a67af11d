package e2e

import (
	"fmt"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()

	t.Run("exit 7", func(t *testing.T) {
		id := h.add("--", "sh", "-c", "exit 7")
		if code := h.wait(id); code != 7 {
			t.Errorf("job wait exits %d, want 7", code)
		}
		h.wantEnd(id, job.Failed, job.ReasonExit, 7)
	})
	t.Run("exit 0", func(t *testing.T) {
		id := h.add("--", "true")
		if code := h.wait(id); code != 0 {
			t.Errorf("job wait exits %d, want 0", code)
		}
		h.wantEnd(id, job.Completed, "", 0)
	})
	t.Run("SIGSEGV", func(t *testing.T) {
		id := h.add("--", "sh", "-c", "kill -SEGV $$")
		if code := h.wait(id); code != 139 {
			t.Errorf("job wait exits %d, want 139", code)
		}
		if j := h.job(id); j.State != job.Failed || j.Reason != job.ReasonSignal || j.Signal != 11 || j.ExitCode != nil {
			t.Errorf("job %d: state %s, reason %s, signal %d, exit code %s; want failed, signal, 11, none", id, j.State, j.Reason, j.Signal, codeOf(j))
		}
	})
	t.Run("time limit", func(t *testing.T) {
		id := h.add("--timeout", "0.2", "--", "sleep", "1000")
		if code := h.wait(id); code != 124 {
			t.Errorf("job wait exits %d, want 124", code)
		}
		if j := h.job(id); j.State != job.Failed || j.Reason != job.ReasonTimeout {
			t.Errorf("job %d: state %s, reason %s; want failed, timeout", id, j.State, j.Reason)
		}
	})
	t.Run("the wait's own time limit", func(t *testing.T) {
		id := h.add("--", "sleep", "1000")
		if r := h.run("job", "wait", "--timeout", "0.2", fmt.Sprint(id)); r.Code != 124 {
			t.Errorf("job wait --timeout exits %d, want 124: %s", r.Code, r.Stderr)
		}
		h.must("job", "stop", "--force", fmt.Sprint(id))
		if code := h.wait(id); code != 125 {
			t.Errorf("job wait on a stopped job exits %d, want 125", code)
		}
	})
	t.Run("add --wait", func(t *testing.T) {
		if r := h.run("job", "add", "-q", "--wait", "--", "sh", "-c", "exit 3"); r.Code != 3 {
			t.Errorf("job add --wait exits %d, want 3: %s", r.Code, r.Stderr)
		}
	})
}
