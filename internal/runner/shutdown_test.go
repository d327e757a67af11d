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
