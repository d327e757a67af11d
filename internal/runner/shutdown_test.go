package runner

import (
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

func TestShutdownRefusesWhatWasNeverForked(t *testing.T) {
	c := newCoreTest(t)
	c.tell(starts("runs", "waits", "flies"))
	c.spawn(10)
	c.spawn(0) // no descriptor: it waits for one
	c.HandleMessage(c.peer, starts("staged"))
	c.HandleShutdown()
	c.Flush()
	c.HandleShutdown() // once is enough
	c.Flush()
	byes := 0
	for _, m := range c.peer.msgs {
		if m.Bye != nil {
			byes++
			if !m.Bye.Stopping || m.Bye.Running != 4 {
				t.Errorf("bye %+v", m.Bye)
			}
		}
	}
	if byes != 1 {
		t.Errorf("said bye %d times", byes)
	}
	c.tell(starts("late"))
	c.spawn(0) // "flies" finds no descriptor
	if got, want := c.ends(), "waits refused code=- signal=0, staged refused code=- signal=0, "+
		"late refused code=- signal=0, flies refused code=- signal=0"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(c.sys.spawned) != 0 {
		t.Errorf("forked %v", c.sys.spawned)
	}
	again := &recorder{}
	c.HandleHello(again, &wire.Hello{Proto: 1, Registry: "r", Epoch: 2})
	c.Flush()
	if w := again.msgs[0].Welcome; w == nil || !w.Stopping {
		t.Errorf("welcome %+v", w)
	}
	c.scan(Snapshot{{PID: 10, Session: 10, Ticks: 1}})
	c.end("runs", 3)
	c.scan(nil)
	if e := c.runs["runs"].Exited; e == nil || e.Cause != wire.CauseStop || e.Why != whyShutdown || !c.Finished() {
		t.Errorf("got %+v, finished %v", e, c.Finished())
	}
}

// TestNoEndWhileUnwritten lets a runner be wanted gone while the end of a run is only in its memory.
func TestNoEndWhileUnwritten(t *testing.T) {
	for name, leave := range map[string]func(*coreTest){
		"quit":     func(c *coreTest) { c.tell(&wire.Message{Quit: &wire.Quit{}}) },
		"shutdown": func(c *coreTest) { c.HandleShutdown(); c.Flush() },
		"linger":   func(c *coreTest) { c.HandleClosed(c.peer); c.Flush(); c.after(c.opts.Linger) },
	} {
		c := newCoreTest(t)
		c.opts.Linger = time.Minute
		c.tell(starts("a"))
		c.spawn(10)
		writable := c.fill()
		c.end("a", 7)
		leave(c)
		if c.Finished() {
			t.Errorf("%s: ended without writing", name)
		}
		c.after(retryAfter)
		if c.Finished() {
			t.Errorf("%s: ended without writing", name)
		}
		writable()
		c.after(retryAfter)
		if !c.Finished() {
			t.Errorf("%s: not ended although everything is written", name)
		}
	}
}

func TestQuitIsForgottenWhenThereIsWork(t *testing.T) {
	c := newCoreTest(t)
	c.HandleMessage(c.peer, &wire.Message{Quit: &wire.Quit{}})
	c.tell(starts("a"))
	c.spawn(10)
	c.end("a", 0)
	if c.Finished() {
		t.Error("ended after work that came later")
	}
}

// TestShutdownCapsTheGrace goes through who says how long a shutdown may take.
func TestShutdownCapsTheGrace(t *testing.T) {
	second := time.Second
	for _, tt := range []struct {
		name    string
		started *time.Duration // what the runner was started with
		told    *int64         // what the daemon says, ms
		grace   time.Duration
		asked   *int64 // grace of a stop before, ms
		want    time.Duration
	}{
		{"no cap", nil, nil, time.Minute, nil, time.Minute},
		{"started with one", &second, nil, time.Minute, nil, time.Second},
		{"a shorter grace", &second, nil, time.Second / 2, nil, time.Second / 2},
		{"told another", &second, millis(3000), time.Minute, nil, 3 * time.Second},
		{"told none is left", nil, millis(0), time.Minute, nil, 0},
		{"told nonsense", nil, millis(-5), time.Minute, nil, 0},
		{"a stop under way is hastened", &second, nil, time.Minute, millis(50_000), time.Second},
		{"a stop under way is shorter", &second, nil, time.Minute, millis(300), 300 * time.Millisecond},
	} {
		c := newCoreTest(t)
		c.opts.Shutdown = tt.started
		c.HandleHello(c.peer, &wire.Hello{Proto: 1, Registry: "r", Epoch: 1, ShutdownTimeoutMS: tt.told})
		c.tell(&wire.Message{Start: []wire.Start{{RunID: "a", GraceMS: tt.grace.Milliseconds()}}})
		c.spawn(10)
		alive := Snapshot{{PID: 10, Session: 10, Ticks: 1}}
		if tt.asked != nil {
			c.tell(&wire.Message{Stop: []wire.Stop{{RunID: "a", GraceMS: tt.asked}}})
			c.scan(alive)
		}
		if within := c.ShutdownWithin(); tt.asked == nil && within != tt.want {
			t.Errorf("%s: within %v", tt.name, within)
		}
		c.HandleShutdown()
		c.Flush()
		if tt.asked == nil {
			c.scan(alive)
		}
		kills := func() (n int) {
			for _, s := range c.sys.signals {
				if s == "killed" {
					n++
				}
			}
			return n
		}
		if tt.want > 0 {
			c.after(tt.want - time.Millisecond)
			c.scan(alive)
			if n := kills(); n != 0 {
				t.Errorf("%s: %d KILL before its time", tt.name, n)
			}
		}
		c.after(time.Millisecond)
		c.scan(alive)
		if n := kills(); n == 0 {
			t.Errorf("%s: no KILL after %v: %v", tt.name, tt.want, c.sys.signals)
		}
	}
}

// TestStopIsOnRecordBeforeTheNextInput: an end seen after the stop signal is the stop's only if the
// journal says that the signal was sent, so it must be written first.
func TestStopIsOnRecordBeforeTheNextInput(t *testing.T) {
	c := newCoreTest(t)
	c.tell(starts("a"))
	c.spawn(10)
	c.tell(&wire.Message{Stop: []wire.Stop{{RunID: "a"}}})
	if c.Hasty() {
		t.Error("in haste before anything was signalled")
	}
	c.HandleScan(Snapshot{{PID: 10, Session: 10, Ticks: 1}})
	if !c.Hasty() {
		t.Error("no haste although the tree was signalled")
	}
	if c.Flush(); c.Hasty() {
		t.Error("still in haste")
	}
}
