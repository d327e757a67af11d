package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// TestTimeLimitHoldsWithoutDaemon holds that the runner ends a job whose time is over although
// nobody is there to ask for it.
func TestTimeLimitHoldsWithoutDaemon(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	arrived := newFIFO(h, "arrived")
	id := h.add("--timeout", "3", "--", "sh", "-c", fmt.Sprintf("echo $$ >'%s'; exec sleep 1000", arrived.path))
	pid := arrived.pid()
	h.killBefore(pid)
	h.waitPID(pid)
	ended := time.Now()
	h.start()
	if code := h.wait(id); code != 124 {
		t.Errorf("job wait exits %d, want 124", code)
	}
	j := h.job(id)
	if j.State != job.Failed || j.Reason != job.ReasonTimeout || j.Attempt != 1 {
		t.Errorf("state %s, reason %s, attempt %d; want failed, timeout, 1", j.State, j.Reason, j.Attempt)
	}
	wantFinished(t, j, ended)
}

// TestStopEscalatesWithoutDaemon holds that the KILL after the grace comes from the runner.
func TestStopEscalatesWithoutDaemon(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	arrived := newFIFO(h, "arrived")
	id := h.add("--grace", "3", "--", "sh", "-c",
		fmt.Sprintf("trap \"echo asked >'%[1]s'\" TERM; echo $$ >'%[1]s'; while :; do sleep 0.05; done", arrived.path))
	pid := arrived.pid()
	h.must("job", "stop", fmt.Sprint(id))
	if line := arrived.line(); line != "asked" {
		t.Fatalf("the job says %q, want that it was asked to end", line)
	}
	h.killBefore(pid)
	h.waitPID(pid)
	ended := time.Now()
	h.start()
	if code := h.wait(id); code != 125 {
		t.Errorf("job wait exits %d, want 125", code)
	}
	j := h.job(id)
	if j.State != job.Stopped || j.Reason != job.ReasonUser || j.Signal != int(syscall.SIGKILL) {
		t.Errorf("state %s, reason %s, signal %d; want stopped, user, 9", j.State, j.Reason, j.Signal)
	}
	wantFinished(t, j, ended)
}

// killBefore ends the daemon with SIGKILL while the process lives.
func (h *home) killBefore(pid int) {
	h.t.Helper()
	h.kill()
	if err := syscall.Kill(pid, 0); err != nil {
		h.t.Fatalf("process %d had ended when the daemon was gone: %v", pid, err)
	}
}

// wantStarted fails the test unless a job began between two moments.
func wantStarted(t *testing.T, j *job.Job, from, to time.Time) {
	t.Helper()
	// The record has microseconds.
	if j.StartedAt.Before(from.Add(-time.Millisecond)) || j.StartedAt.After(to) {
		t.Errorf("started_at %v is not from %v to %v", j.StartedAt, from, to)
	}
}

// wantFinished fails the test unless a job ended when its process was seen to end.
func wantFinished(t *testing.T, j *job.Job, seen time.Time) {
	t.Helper()
	if d := seen.Sub(j.FinishedAt).Abs(); d > 500*time.Millisecond {
		t.Errorf("finished_at %v is %v away from the process's end %v", j.FinishedAt, d, seen)
	}
}
