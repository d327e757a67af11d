package e2e

import (
	"testing"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// TestStats asks for what was done before and after the daemon was started again: it is written at
// its orderly end, and a job that ended while no daemon lived is in it.
func TestStats(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	c := h.HTTP()
	defer c.CloseIdleConnections()
	want := func(what string, ends job.StatsEnds, started int64) {
		t.Helper()
		var s job.Stats
		if err := harness.Get(h.ctx, c, "/api/stats?range=24h&buckets=24", &s); err != nil {
			t.Fatal(err)
		}
		var sum job.StatsEnds
		n := int64(0)
		for i, b := range s.Throughput {
			sum.Completed, sum.Failed, sum.Stopped = sum.Completed+b.Completed, sum.Failed+b.Failed, sum.Stopped+b.Stopped
			n += s.Latency[i].N
		}
		if sum != ends || n != started || s.Step != 3600 {
			t.Errorf("%s: %+v, %d started, steps of %d s; want %+v, %d", what, sum, n, s.Step, ends, started)
		}
	}
	h.wait(h.add("--", "true"))
	h.wait(h.add("--", "false"))
	want("two jobs have ended", job.StatsEnds{Completed: 1, Failed: 1}, 2)
	g := newGates(h)
	late := h.add("--", "sh", "-c", g.script("exit 0"))
	pid := g.arrived.pid()
	h.must("daemon", "stop", "--keep-jobs")
	g.gate.release(1)
	if err := harness.WaitPID(h.ctx, pid); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.wait(late)
	want("it ended while no daemon lived", job.StatsEnds{Completed: 2, Failed: 1}, 3)
}
