package runner

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/internal/crashpoint"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// TestCrashPoints kills the runner at each crash point, the first or a later time it gets there,
// while jobs run, and lets another one go on. Each job says that it ran by a line in a file of its
// own. Whatever happens, none may run twice and each must end exactly once, with its true code or
// as lost.
func TestCrashPoints(t *testing.T) {
	path := binary(t, "crashpoint")
	for _, point := range slices.Concat(crashpoint.Runner, crashpoint.Folders) {
		for _, n := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("%s:%d", strings.TrimPrefix(point, "runner."), n), func(t *testing.T) {
				t.Parallel()
				crashAt(t, path, fmt.Sprintf("%s:%d", point, n))
			})
		}
	}
}

const crashJobs = 8

// crashJob is the i-th of them. It leaves a result.
func (h home) crashJob(i int) wire.Start {
	s := h.sh(fmt.Sprint("run", i), fmt.Sprintf(`echo ran >> %s; echo '{"n":%d}' > "$QUEUEMGR_DIR/result.json"; exit %[2]d`, h.path(fmt.Sprint("ran", i)), i))
	s.Dir = h.path(fmt.Sprint("proc/", i))
	s.Env = append(s.Env, "QUEUEMGR_DIR="+s.Dir)
	return s
}

func crashAt(t *testing.T, path, point string) {
	h := newHome(t)
	first := startBinary(t, h, path, "QUEUEMGR_CRASH="+point)
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	d := &daemon{h: h, ends: map[string]*wire.Event{}}
	d.journal = c.welcome.Journal
	for i := range crashJobs { // one by one, so that later passes of a point differ
		s := h.crashJob(i)
		if c.conn.Send(&wire.Message{Start: []wire.Start{s}}) != nil {
			break
		}
		if !d.serve(c, 0) {
			break
		}
	}
	first.wait()
	if code := first.cmd.ProcessState.ExitCode(); code != -1 {
		t.Fatalf("the runner did not crash at %s but ended with %d:\n%s", point, code, first.stderr.String())
	}

	startBinary(t, h, path)
	c = hello(t, h, wire.Hello{Registry: "r", Epoch: 2, Journal: d.journal, Cursor: d.cursor})
	if c.welcome.Journal != d.journal {
		t.Errorf("the journal's identity changed although nothing was damaged")
	}
	d.reconcile(t, c)
	for i := range crashJobs {
		id := fmt.Sprint("run", i)
		lines, err := os.ReadFile(h.path(fmt.Sprint("ran", i)))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		ran := strings.Count(string(lines), "ran\n")
		e := d.ends[id]
		switch {
		case e == nil:
			t.Errorf("%s: no end", id)
		case ran > 1:
			t.Errorf("%s ran %d times", id, ran)
		case e.Cause == wire.CauseLost && e.ExitCode == nil:
		case e.Cause == wire.CauseExit && ran == 1 && e.ExitCode != nil && *e.ExitCode == i:
		default:
			t.Errorf("%s: ran %d times, ended with %+v", id, ran, e)
		}
		if e != nil && e.Cause == wire.CauseExit && (e.Report == nil || string(e.Report.Result) != fmt.Sprintf(`{"n":%d}`, i)) {
			t.Errorf("%s: ended with the report %+v", id, e.Report)
		}
		if _, err := os.Lstat(h.path(fmt.Sprint("proc/", i))); !os.IsNotExist(err) {
			t.Errorf("%s: its folder stays: %v", id, err)
		}
	}
}

// daemon is the part of a daemon that this protocol needs: it commits ends and a cursor.
type daemon struct {
	h       home
	journal string
	cursor  uint64
	ends    map[string]*wire.Event
}

// commit takes one message of events and acknowledges it, if it can.
func (d *daemon) commit(c *client, m *wire.Message) {
	for i := range m.Events {
		e := &m.Events[i]
		if e.Seq <= d.cursor {
			continue // sent again
		}
		d.cursor = e.Seq
		if e.Kind == wire.Exited {
			if d.ends[e.RunID] != nil {
				c.t.Errorf("%s ended twice: %+v, then %+v", e.RunID, d.ends[e.RunID], e)
			}
			d.ends[e.RunID] = e
		}
	}
	_ = c.conn.Send(&wire.Message{Ack: &wire.Ack{Cursor: d.cursor}}) // the runner may be dead
}

// serve commits until one more run has ended, or the connection has.
func (d *daemon) serve(c *client, more int) bool {
	for before := len(d.ends); len(d.ends) <= before+more; {
		m := c.next()
		if m == nil {
			return false
		}
		d.commit(c, m)
	}
	return true
}

// reconcile starts again what the runner does not know, as the evidence rules allow when the
// journal is the same, and waits for the end of everything.
func (d *daemon) reconcile(t *testing.T, c *client) {
	known := map[string]bool{}
	for _, r := range c.welcome.Runs {
		known[r.RunID] = true
	}
	for i := range crashJobs {
		id := fmt.Sprint("run", i)
		if d.ends[id] == nil && !known[id] {
			c.start(d.h.crashJob(i))
		}
	}
	for len(d.ends) < crashJobs {
		m := c.next()
		if m == nil {
			t.Fatal("the second runner ended")
		}
		d.commit(c, m)
	}
}

// TestCrashWhileStopping kills the runner at points that a stop passes. The next one goes on with
// the stop, unasked: nothing of the tree survives, and it ends once.
func TestCrashWhileStopping(t *testing.T) {
	path := binary(t, "crashpoint")
	for _, point := range []string{"after-exit-seen", "after-exit-journal", "after-reap", "after-deliver:2"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			id := "stopped-" + strings.ReplaceAll(point, ":", "-") // unlike those of tests that run beside
			up, line := fifo(t, h, "up")
			first := startBinary(t, h, path, "QUEUEMGR_CRASH=runner."+point)
			c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
			d := &daemon{h: h, ends: map[string]*wire.Event{}, journal: c.welcome.Journal}
			c.start(h.sh(id, "(trap '' TERM; setsid sleep 1000 & echo up > "+up+"; wait; sleep 1000) & exec sleep 1000"))
			line()
			d.commit(c, c.next())
			c.stop(wire.Stop{RunID: id, Why: "user", GraceMS: millis(50)})
			for m := c.next(); m != nil; m = c.next() {
				d.commit(c, m)
			}
			first.wait()
			startBinary(t, h, path)
			c = hello(t, h, wire.Hello{Registry: "r", Epoch: 2, Journal: d.journal, Cursor: d.cursor})
			for d.ends[id] == nil {
				m := c.next()
				if m == nil {
					t.Fatal("the second runner ended")
				}
				d.commit(c, m)
			}
			if e := d.ends[id]; e.Cause != wire.CauseStop || e.Why != "user" {
				t.Errorf("ended with %+v", e)
			}
			if left := carriers(t, id); len(left) > 0 {
				t.Errorf("left alive: %v", left)
			}
		})
	}
}
