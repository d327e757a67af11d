package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

func TestQueueOrderAndConcurrency(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	h.must("queue", "add", "line", "--concurrency", "1")
	h.must("queue", "pause", "line")
	order := h.Path("order")
	add := func(name string, priority int) int64 {
		return h.add("--queue", "line", "--priority", fmt.Sprint(priority), "--", "sh", "-c", fmt.Sprintf("echo %s >>'%s'", name, order))
	}
	add("third", 0)
	add("fourth", 0)
	add("second", 5)
	last := add("last", -1)
	first := add("first", -9)
	h.must("job", "start", fmt.Sprint(first)) // to the head of its queue
	if _, err := os.Stat(order); !os.IsNotExist(err) {
		t.Fatalf("a job of a paused queue has run: %v", err)
	}
	h.must("queue", "resume", "line")
	h.wait(last)
	if got := strings.Fields(h.read(order)); strings.Join(got, " ") != "first second third fourth last" {
		t.Errorf("the order was %v", got)
	}
}

// TestQueueConcurrency sees a queue's own limit hold, grow, and bind no other queue.
func TestQueueConcurrency(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	h.must("queue", "add", "narrow", "--concurrency", "2")
	g := newGates(h)
	for range 5 {
		h.add("--queue", "narrow", "--", "sh", "-c", g.script("true"))
	}
	g.arrived.line()
	g.arrived.line()
	if code := h.wait(h.add("--", "true")); code != 0 {
		t.Errorf("a job of another queue exits %d", code)
	}
	h.wantLive("narrow", 2, 3)
	h.must("queue", "set", "narrow", "--concurrency", "3")
	g.arrived.line()
	h.wantLive("narrow", 3, 2)
	g.gate.release(5)
	h.untilAllEnded(nil)
	if n := h.queue("narrow").Jobs[job.Completed]; n != 5 {
		t.Errorf("%d completed, want 5", n)
	}
}

// wantLive fails the test unless so many jobs of a queue run and wait.
func (h *home) wantLive(queue string, running, waiting int64) {
	h.t.Helper()
	jobs := h.queue(queue).Jobs
	if n := jobs[job.Starting] + jobs[job.Running]; n != running || jobs[job.Queued] != waiting {
		h.t.Errorf("queue %s: %v, want %d running and %d queued", queue, jobs, running, waiting)
	}
}

// queue returns a queue with its counts.
func (h *home) queue(name string) *job.Queue {
	h.t.Helper()
	for _, q := range h.status().Queues {
		if q.Name == name {
			return &q
		}
	}
	h.t.Fatalf("there is no queue %s", name)
	return nil
}

func TestManualQueueHoldsNewJobs(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	h.must("queue", "add", "byhand", "--start", "manual")
	id := h.add("--queue", "byhand", "--", "true")
	if j := h.job(id); j.State != job.Held {
		t.Errorf("a new job is %s, want held", j.State)
	}
	h.must("job", "start", fmt.Sprint(id))
	if code := h.wait(id); code != 0 {
		t.Errorf("job wait exits %d", code)
	}
}

// TestDelete holds that a deleted job is a record with its log, out of sight until asked for, and
// that the exit of its process, which comes later, changes nothing.
func TestDelete(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	g := newGates(h)
	id := h.add("--", "sh", "-c", "echo here; trap 'echo leaving; exit 0' TERM; "+g.script("sleep 1000"))
	g.arrived.line()
	follow := h.follow(h.status().Seq)
	h.must("job", "delete", fmt.Sprint(id))
	follow.state(id, job.Deleted)
	if _, shown := h.jobs()[id]; shown {
		t.Error("job list shows the deleted job unasked")
	}
	if out := h.must("job", "list", "--state", "deleted", "--jsonl"); !strings.Contains(out, fmt.Sprintf(`"id":%d`, id)) {
		t.Errorf("job list --state deleted does not show it: %s", out)
	}
	if log := h.logs(id); log != "here\nleaving\n" {
		t.Errorf("its log is %q", log)
	}
	if j := h.job(id); j.State != job.Deleted {
		t.Errorf("it is now %s", j.State)
	}
}

func TestLostJobIsRequeuedWhenAskedTo(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	g := newGates(h)
	id := h.add("--on-lost", "requeue", "--", "sh", "-c", g.script("exit 4"))
	pid := g.arrived.pid()
	h.killRunner()
	g.gate.release(1)
	h.waitPID(pid)
	g.arrived.line() // the second attempt
	g.gate.release(1)
	if code := h.wait(id); code != 4 {
		t.Errorf("job wait exits %d, want 4", code)
	}
	if j := h.job(id); j.Attempt != 2 {
		t.Errorf("attempt %d, want 2", j.Attempt)
	}
}
