package runner

import (
	"slices"
	"testing"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// TestUnwatchedRunsEnd lets no process be watched: one adopted, one of this runner.
func TestUnwatchedRunsEnd(t *testing.T) {
	c := newCoreTest(t)
	c.tell(starts("adopted"))
	c.spawn(10)
	c.sys.blind = true
	c.restart()
	c.hello()
	if c.processes() != 1 {
		t.Errorf("%d processes, want the adopted one to count", c.processes())
	}
	c.tell(starts("own", "waits"))
	c.spawn(11)
	c.spawn(0)
	if c.ends() != "" {
		t.Fatalf("a start that found no descriptor should wait for an end: %s", c.ends())
	}
	c.after(blindPause)
	if c.ends() != "" {
		t.Fatalf("ended although both live: %s", c.ends())
	}
	c.sys.ended[10] = Exit{}
	c.sys.ended[11] = Exit{Known: true, Code: 3}
	c.after(blindPause)
	if c.ends() != "" || c.sys.hears == 0 {
		t.Fatalf("ended before what they said was read: %s", c.ends())
	}
	c.HandleHeard()
	c.Flush()
	for id, want := range map[string]string{"adopted": "lost code=- signal=0", "own": "exit code=3 signal=0"} {
		if e := c.runs[id].Exited; e == nil || outcome(e) != want {
			t.Errorf("%s: got %+v", id, e)
		}
	}
	if len(c.sys.spawned) != 1 {
		t.Errorf("what waits was not tried again: %v", c.sys.spawned)
	}
	c.spawn(0)
	if e := c.runs["waits"].Exited; e == nil || e.Cause != wire.CauseRefused {
		t.Errorf("got %+v", e)
	}
	if _, due := c.Next(); due || c.processes() != 0 {
		t.Errorf("something is still to be done, %d processes", c.processes())
	}
}

// TestWatchingIsTriedAgain lets the shortage pass.
func TestWatchingIsTriedAgain(t *testing.T) {
	c := newCoreTest(t)
	c.tell(starts("a"))
	c.sys.blind = true
	c.spawn(10)
	c.sys.blind = false
	c.after(blindPause)
	if _, due := c.Next(); due || len(c.blind) != 0 {
		t.Errorf("still looked at: %v", c.blind)
	}
	c.end("a", 1)
	if got := c.ends(); got != "a exit code=1 signal=0" {
		t.Errorf("got %s", got)
	}
}

// TestGivenUpAndUnwatched: a process that outlived its KILL is reaped even if nothing watches it.
func TestGivenUpAndUnwatched(t *testing.T) {
	c := newCoreTest(t)
	c.sys.blind = true
	c.tell(starts("a"))
	c.spawn(10)
	c.tell(&wire.Message{Stop: []wire.Stop{{RunID: "a", Force: true}}})
	for c.runs["a"].Exited == nil {
		if c.scanning {
			c.scan(one)
		}
		if at, ok := c.Next(); ok {
			c.after(at.Sub(c.sys.now))
		}
	}
	c.sys.orphans = []int{10}
	c.HandleChild()
	c.after(sweepAfter)
	if !slices.Equal(c.sys.reaped, []int{10}) || len(c.kids) != 0 {
		t.Errorf("reaped %v, kids %v", c.sys.reaped, c.kids)
	}
}
