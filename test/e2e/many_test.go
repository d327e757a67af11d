package e2e

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// TestTenThousandJobs runs them with room for 1,024 descriptors a process.
func TestTenThousandJobs(t *testing.T) {
	const n, maxThreads = 10_000, 40
	h := newHome(t)
	cmd := exec.CommandContext(h.ctx, "sh", "-c", `ulimit -n 1024 && exec "$0" daemon start --daemon`, filepath.Join(binaries, "queuemgr"))
	cmd.Env, cmd.Dir = h.Environ(), h.Home
	if r, err := harness.Finish(cmd); err != nil || r.Code != 0 {
		t.Fatalf("daemon start: %v, exit code %d\n%s", err, r.Code, r.Stderr)
	}
	// Pools and caches fill with the first hundred jobs; what grows after them is a leak.
	h.addFile(repeat(`{"command":["true"]}`, 100)...)
	h.untilAllEnded(nil)
	before := h.status()
	daemonBefore, runnerBefore := h.usage(before.PID), h.usage(before.Runner.PID)
	for _, pid := range []int{before.PID, before.Runner.PID} {
		if u := h.usage(pid); u.MaxDescriptors != 1024 {
			t.Errorf("process %d may have %d descriptors, want 1024", pid, u.MaxDescriptors)
		}
	}

	h.addFile(repeat(`{"command":["true"]}`, n)...)
	threads := map[string]int{}
	h.untilAllEnded(func() {
		threads["daemon"] = max(threads["daemon"], h.usage(before.PID).Threads)
		threads["runner"] = max(threads["runner"], h.usage(before.Runner.PID).Threads)
	})
	after := h.status()
	if got := after.Jobs[job.Completed]; got != n+100 {
		t.Errorf("%d jobs completed, want %d; counts: %v", got, n+100, after.Jobs)
	}
	if after.PID != before.PID || after.Runner.PID != before.Runner.PID {
		t.Errorf("daemon %d, runner %d became %d, %d", before.PID, before.Runner.PID, after.PID, after.Runner.PID)
	}
	for who, most := range threads {
		if most > maxThreads {
			t.Errorf("the %s had %d threads, want at most %d", who, most, maxThreads)
		}
	}
	children, err := harness.Children(after.Runner.PID)
	if err != nil || len(children) > 0 {
		t.Errorf("the runner still has children (pid: state): %v, %v", children, err)
	}
	children, err = harness.Children(after.PID)
	for pid, state := range children {
		if state == 'Z' {
			t.Errorf("the daemon has a zombie, process %d", pid)
		}
	}
	if err != nil {
		t.Error(err)
	}
	if u := h.usage(after.Runner.PID); u.Descriptors > runnerBefore.Descriptors {
		t.Errorf("the runner has %d descriptors, %d before", u.Descriptors, runnerBefore.Descriptors)
	}
	// The daemon's pool of registry connections may have grown by as many as it holds.
	const pool = 8
	if u := h.usage(after.PID); u.Descriptors > daemonBefore.Descriptors+pool {
		t.Errorf("the daemon has %d descriptors, %d before", u.Descriptors, daemonBefore.Descriptors)
	}
	t.Logf("threads at most: %v; daemon %+v; runner %+v", threads, h.usage(after.PID), h.usage(after.Runner.PID))
}

func repeat(line string, n int) []string { return slices.Repeat([]string{line}, n) }

func (h *home) usage(pid int) harness.Usage {
	h.t.Helper()
	u, err := harness.ProcessUsage(pid)
	if err != nil {
		h.t.Fatal(err)
	}
	return u
}

// untilAllEnded waits until no job waits or lives, and calls look, if any, at each step.
func (h *home) untilAllEnded(look func()) {
	h.t.Helper()
	h.untilStatus("all jobs to end", func(s *job.Status) bool {
		if look != nil {
			look()
		}
		for state, n := range s.Jobs {
			if n > 0 && (state.Live() || state == job.Queued) {
				return false
			}
		}
		return true
	})
}

// untilStatus asks for the counts, which costs the same whatever is on record, until they are as
// wanted. Thousands of jobs make events faster than is worth following.
func (h *home) untilStatus(what string, wanted func(*job.Status) bool) {
	h.t.Helper()
	c := h.HTTP()
	defer c.CloseIdleConnections()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		var s job.Status
		if err := harness.Get(h.ctx, c, "/api/status", &s); err != nil {
			h.t.Fatalf("waited for %s: %v", what, err)
		}
		if wanted(&s) {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			h.t.Fatalf("waited for %s: the jobs are %v", what, s.Jobs)
		}
	}
}

// countLines returns how many lines a text has.
func countLines(text string) int { return strings.Count(text, "\n") }
