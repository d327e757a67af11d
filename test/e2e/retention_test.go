package e2e

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

// TestRetentionByAge gives one state at a time a short life and sees only that one go, with its log.
func TestRetentionByAge(t *testing.T) {
	t.Parallel()
	for _, state := range []job.State{job.Completed, job.Failed, job.Stopped, job.Deleted} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			h := withSettings(t, fmt.Sprintf("cleanup_interval = 1\n[retention]\n%s = \"0.1s\"\n", state))
			follow := h.follow(h.status().Seq)
			ids := h.oneOfEachEnd()
			follow.purged(ids[state])
			h.refused(3, nil, "job", "status", fmt.Sprint(ids[state]))
			if logs := h.logFiles(ids[state]); len(logs) > 0 {
				t.Errorf("the logs of the purged job are still there: %v", logs)
			}
			for other, id := range ids {
				if other == state {
					continue
				}
				if j := h.job(id); j.State != other {
					t.Errorf("the %s job is now %s", other, j.State)
				}
				if logs := h.logFiles(id); len(logs) == 0 {
					t.Errorf("the log of the %s job is gone", other)
				}
			}
		})
	}
}

// oneOfEachEnd makes a job in every ended state, each with output, and returns their numbers.
func (h *home) oneOfEachEnd() map[job.State]int64 {
	h.t.Helper()
	ids := map[job.State]int64{}
	for _, c := range []struct {
		state job.State
		verb  string
	}{{job.Stopped, "stop"}, {job.Deleted, "delete"}} {
		arrived := newFIFO(h, "arrived-"+c.verb)
		id := h.add("--", "sh", "-c", fmt.Sprintf("echo %s; echo $$ >'%s'; exec sleep 1000", c.state, arrived.path))
		arrived.line()
		h.must("job", c.verb, "--wait", fmt.Sprint(id))
		ids[c.state] = id
	}
	ids[job.Completed], ids[job.Failed] = h.add("--", "echo", "completed"), h.add("--", "sh", "-c", "echo failed; exit 1")
	h.wait(ids[job.Failed])
	h.run("job", "wait", fmt.Sprint(ids[job.Completed])) // it may be purged already
	return ids
}

// logFiles returns the files of a job's output.
func (h *home) logFiles(id int64) []string {
	h.t.Helper()
	found, err := filepath.Glob(h.Path("log", "jobs", "*", fmt.Sprint(id)+".*"))
	if err != nil {
		h.t.Fatal(err)
	}
	return found
}

func TestMaxRetainedTerminalJobs(t *testing.T) {
	t.Parallel()
	h := withSettings(t, "cleanup_interval = 1\nmax_retained_terminal_jobs = 2\n")
	follow := h.follow(h.status().Seq)
	var ids []int64
	for range 5 {
		id := h.add("--", "true")
		h.wait(id)
		ids = append(ids, id)
	}
	held := h.add("--hold", "--", "true")
	follow.purged(ids[2]) // the oldest go first: with the third, three are gone
	jobs := h.jobs()
	for _, id := range []int64{ids[3], ids[4], held} {
		if jobs[id] == nil {
			t.Errorf("job %d is gone", id)
		}
	}
	if len(jobs) != 3 {
		t.Errorf("%d jobs on record, want 3", len(jobs))
	}
}

func TestMaxQueueSize(t *testing.T) {
	t.Parallel()
	h := withSettings(t, "max_queue_size = 2\n")
	h.add("--hold", "--", "true")
	h.add("--hold", "--", "true")
	h.refused(1, []string{"max_queue_size"}, "job", "add", "--hold", "--", "true")
	if n := len(h.jobs()); n != 2 {
		t.Errorf("%d jobs on record, want 2", n)
	}
	h.must("job", "delete", "1")
	h.add("--hold", "--", "true")
}

// TestTypeLimits sees the oldest ended job make room, and an addition refused where only waiting
// ones are on record.
func TestTypeLimits(t *testing.T) {
	t.Parallel()
	h := withSettings(t, "[type_limits]\ncommand = 2\n")
	first := h.add("--", "echo", "1")
	h.wait(first) // the one that ended first goes first
	second := h.add("--", "echo", "2")
	h.wait(second)
	if logs := h.logFiles(first); len(logs) == 0 {
		t.Error("the first job has no log before it is evicted")
	}
	g := newGates(h)
	third := h.add("--", "sh", "-c", g.script("exit 3"))
	g.arrived.line()
	h.refused(3, nil, "job", "status", fmt.Sprint(first))
	if logs := h.logFiles(first); len(logs) > 0 {
		t.Errorf("the evicted job's log is still there: %v", logs)
	}
	fourth := h.add("--hold", "--", "true")
	h.refused(3, nil, "job", "status", fmt.Sprint(second))
	h.refused(1, []string{"command", "2"}, "job", "add", "--hold", "--", "true")
	if j := h.job(fourth); j.State != job.Held {
		t.Errorf("waiting job %d is %s", fourth, j.State)
	}
	if out := h.must("job", "add", "-q", "--shell", "true"); out != strconv.FormatInt(fourth+1, 10) {
		t.Errorf("a job of another type got number %q, want %d: numbers are never reused", strings.TrimSpace(out), fourth+1)
	}
	g.gate.release(1)
	if code := h.wait(third); code != 3 {
		t.Errorf("the running job exits %d, want 3: a live one is never evicted", code)
	}
}

// TestNumbersAreNeverReused purges the newest job and lets the daemon forget all it knows.
func TestNumbersAreNeverReused(t *testing.T) {
	t.Parallel()
	h := withSettings(t, "cleanup_interval = 1\n[retention]\ncompleted = \"0.1s\"\n")
	follow := h.follow(h.status().Seq)
	id := h.add("--", "true")
	follow.purged(id)
	h.kill()
	h.start()
	if next := h.add("--hold", "--", "true"); next != id+1 {
		t.Errorf("the job after %d is %d, want %d", id, next, id+1)
	}
}
