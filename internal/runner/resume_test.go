package runner

import (
	"slices"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// one is a look at the machine that shows the leader of a run only.
var one = Snapshot{{PID: 10, Session: 10, Ticks: 1}}

// stopAndRestart starts run a (grace 1 s), stops it so, and lets the runner die after the signal.
func stopAndRestart(t *testing.T, stops ...wire.Stop) *coreTest {
	t.Helper()
	c := newCoreTest(t)
	c.tell(starts("a"))
	c.spawn(10)
	for _, s := range stops {
		s.RunID, s.Why = "a", "user"
		c.tell(&wire.Message{Stop: []wire.Stop{s}})
		if c.scanning {
			c.scan(one)
		}
	}
	c.sys.signals = nil
	c.sys.now = c.sys.now.Add(time.Minute) // the time without a runner
	c.restart()
	c.scan(one)
	return c
}

func TestGraceGoesOnAfterRestart(t *testing.T) {
	c := stopAndRestart(t, wire.Stop{GraceMS: millis(600_000)})
	if len(c.sys.signals) != 0 {
		t.Errorf("signalled again: %v", c.sys.signals)
	}
	if runs := c.hello(); len(runs) != 1 || !runs[0].Stopping {
		t.Errorf("welcome %+v", runs)
	}
	c.after(9*time.Minute - time.Second)
	if c.scanning || len(c.sys.signals) != 0 {
		t.Fatalf("KILL before the end of the grace: %v", c.sys.signals)
	}
	c.after(time.Second)
	c.scan(one)
	if !slices.Equal(c.sys.signals, []string{"killed"}) {
		t.Errorf("signals %v", c.sys.signals)
	}
	c.sys.ended[10] = Exit{}
	c.HandleReady([]uint64{c.runs["a"].token})
	c.Flush()
	c.scan(nil)
	if e := c.runs["a"].Exited; e == nil || e.Cause != wire.CauseStop || e.Why != "user" {
		t.Errorf("got %+v", e)
	}
}

func TestForceGoesOnAfterRestart(t *testing.T) {
	for name, stops := range map[string][]wire.Stop{
		"at once": {{Force: true}},
		"later":   {{GraceMS: millis(600_000)}, {Force: true}},
		"shorter": {{GraceMS: millis(600_000)}, {GraceMS: millis(10_000)}}, // over while no runner was there
	} {
		c := stopAndRestart(t, stops...)
		c.after(0)
		if c.scanning {
			c.scan(one)
		}
		if !slices.Contains(c.sys.signals, "killed") || slices.Contains(c.sys.signals, "terminated") {
			t.Errorf("%s: signals %v", name, c.sys.signals)
		}
	}
}

func TestStopThatSignalledNothingIsNotTheCause(t *testing.T) {
	for _, signalled := range []bool{false, true} {
		c := newCoreTest(t)
		c.tell(starts("a"))
		c.spawn(10)
		c.tell(&wire.Message{Stop: []wire.Stop{{RunID: "a", Why: "user"}}})
		want := wire.CauseLost
		if signalled {
			want = wire.CauseStop
			c.scan(one)
		}
		c.sys.gone = map[int]bool{10: true} // it ends while no runner is there
		c.restart()
		for c.scanning {
			c.scan(nil)
		}
		if e := c.runs["a"].Exited; e == nil || e.Cause != want || e.Error != lostGone {
			t.Errorf("signalled %v: got %+v", signalled, e)
		}
	}
}
