package runner

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// killed starts a runner, lets prepare do something with it, and kills it.
func killed(t *testing.T, h home, prepare func(*client)) (journal string, cursor uint64) {
	t.Helper()
	p := startBinary(t, h, binary(t, ""))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	prepare(c)
	p.kill()
	return c.welcome.Journal, c.last
}

func TestRestartWithLiveAndGoneProcesses(t *testing.T) {
	h := newHome(t)
	gate, _ := fifo(t, h, "gate")
	var gone int
	id, cursor := killed(t, h, func(c *client) {
		c.start(h.sh("live", "read x < "+gate), h.sh("gone", "exec sleep 1000"), h.sh("stop", "sleep 1000"),
			with(h.sh("limit", "sleep 1000"), func(s *wire.Start) { s.TimeoutMS = 700 }))
		for _, id := range []string{"live", "stop", "limit"} {
			c.waitStarted(id)
		}
		gone = c.waitStarted("gone").PID
	})
	if err := syscall.Kill(gone, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for alive(gone) { // its new parent reaps it, if it does
	}
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 2, Journal: id, Cursor: cursor})
	if c.welcome.Journal != id {
		t.Error("the journal's identity changed")
	}
	if e := c.waitExited("gone"); e.Cause != wire.CauseLost || e.Error != lostGone {
		t.Errorf("gone: %+v", e)
	}
	c.stop(wire.Stop{RunID: "stop", Why: "user"})
	if e := c.waitExited("stop"); e.Cause != wire.CauseStop || e.ExitCode != nil || e.Signal != 0 || e.Error == "" {
		t.Errorf("stop: %+v", e)
	}
	if e := c.waitExited("limit"); e.Cause != wire.CauseTimeout {
		t.Errorf("limit: %+v", e)
	}
	if c.exited["live"] != nil {
		t.Fatal("live: ended too early")
	}
	write(t, gate, "\n", 0o600)
	if e := c.waitExited("live"); e.Cause != wire.CauseLost || e.Error != lostGone {
		t.Errorf("live: %+v", e)
	}
}

func TestRestartAfterExitOnRecord(t *testing.T) {
	h := newHome(t)
	id, _ := killed(t, h, func(c *client) {
		c.start(h.sh("a", "exit 5"))
		c.waitExited("a") // seen, but not acknowledged
	})
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 2, Journal: id, Cursor: 0})
	if e := c.waitExited("a"); outcome(e) != "exit code=5 signal=0" {
		t.Errorf("got %+v", e)
	}
	c = hello(t, h, wire.Hello{Registry: "r", Epoch: 2, Journal: id, Cursor: c.last})
	if len(c.welcome.Runs) != 0 {
		t.Errorf("still there: %+v", c.welcome.Runs)
	}
}

// bootedSystem is the real system under another boot id.
type bootedSystem struct {
	*linux
	boot string
}

func (s bootedSystem) BootID() string { return s.boot }

func TestReboot(t *testing.T) {
	h := newHome(t)
	id, cursor := killed(t, h, func(c *client) {
		c.start(h.sh("a", "sleep 1000"))
		c.waitStarted("a")
	})
	defer func() {
		for _, pid := range carriers(t, "a") {
			_ = syscall.Kill(pid, syscall.SIGKILL) // gone is fine
		}
	}()
	j, err := OpenJournal(h.journal(), "test", "any", discard)
	if err != nil {
		t.Fatal(err)
	}
	if j.header.Journal != id {
		t.Error("the identity changed by opening alone")
	}
	sys, err := newLinux(&Config{Log: discard}, func(func(*Core)) {})
	if err != nil {
		t.Fatal(err)
	}
	core, err := NewCore(bootedSystem{sys, "another boot"}, j, CoreOptions{Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	core.Flush()
	p := &recorder{}
	core.HandleHello(p, &wire.Hello{Proto: 1, Registry: "r", Epoch: 2, Journal: id, Cursor: cursor})
	core.Flush()
	w := p.msgs[0].Welcome
	if w == nil || w.Journal == id || w.BootID != "another boot" {
		t.Errorf("welcome %+v", w)
	}
	// The started event comes again: the cursor is of another journal.
	events := p.msgs[1].Events
	if len(events) != 2 || events[1].Cause != wire.CauseLost || events[1].Error != lostReboot {
		t.Errorf("events %+v", events)
	}
	if err := sys.close(); err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// recorder is a peer that keeps what it is sent.
type recorder struct {
	msgs   []*wire.Message
	closed bool
}

func (r *recorder) Send(m *wire.Message) { r.msgs = append(r.msgs, m) }
func (r *recorder) Close()               { r.closed = true }

func TestForkInDoubt(t *testing.T) {
	h := newHome(t)
	id, _ := killed(t, h, func(c *client) {
		c.start(h.sh("runs", "sleep 1000"), h.sh("none", "exit 0"))
		c.waitStarted("runs")
		c.waitExited("none")
	})
	// As if the runner had died right after the forks: nothing but the intents is on record.
	keepRecords(t, h.journal(), func(r record) bool { return r.Started == nil && r.Exit == nil })
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 2, Journal: id})
	if e := c.waitExited("none"); e.Cause != wire.CauseLost || e.Error != lostIntent {
		t.Errorf("none: %+v", e)
	}
	e := c.waitStarted("runs")
	if !alive(e.PID) || e.StartTicks == 0 || e.At.IsZero() {
		t.Errorf("runs: %+v", e)
	}
	c.stop(wire.Stop{RunID: "runs", Why: "user", Force: true})
	c.waitExited("runs")
	if left := carriers(t, "runs"); len(left) > 0 {
		t.Errorf("left alive: %v", left)
	}
}

func TestRestartInTheMiddleOfAStop(t *testing.T) {
	h := newHome(t)
	path, line := fifo(t, h, "fifo")
	killed(t, h, func(c *client) {
		// The leader obeys, its child does not: the end is on record but not delivered.
		c.start(h.sh("a", "(trap '' TERM; echo up > "+path+"; sleep 1000) & exec sleep 1000"))
		line()
		c.stop(wire.Stop{RunID: "a", Why: "user", GraceMS: millis(600_000)})
		for !bytes.Contains(read(t, h.journal()), []byte(`"status"`)) {
		}
	})
	if len(carriers(t, "a")) == 0 {
		t.Fatal("the child should live")
	}
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 2})
	if runs := c.welcome.Runs; len(runs) != 1 || !runs[0].Stopping {
		t.Errorf("welcome %+v", runs)
	}
	if len(carriers(t, "a")) == 0 {
		t.Error("the child was not left its grace")
	}
	c.stop(wire.Stop{RunID: "a", Why: "later", Force: true})
	if e := c.waitExited("a"); outcome(e) != "stop code=- signal=15" || e.Why != "user" {
		t.Errorf("got %+v", e)
	}
	if left := carriers(t, "a"); len(left) > 0 {
		t.Errorf("left alive: %v", left)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keepRecords rewrites a journal with only some of its records.
func keepRecords(t testing.TB, path string, keep func(record) bool) {
	t.Helper()
	var out []byte
	for line := range strings.Lines(string(read(t, path))) {
		r, err := parseRecord([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if keep(r) {
			out = append(out, line...)
		}
	}
	write(t, path, string(out), 0o600)
}

func TestDaemonThatKnowsMore(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	c.start(h.sh("a", "exit 1"))
	c.waitExited("a")
	id := c.welcome.Journal
	c = hello(t, h, wire.Hello{Registry: "r", Epoch: 1, Journal: id, Cursor: 1000})
	if c.welcome.Journal == id || c.welcome.LastSeq < 1000 {
		t.Errorf("evidence was lost but %+v", c.welcome)
	}
	c.waitExited("a") // sent again
	c.start(h.sh("b", "exit 2"))
	if e := c.waitExited("b"); e.Seq <= 1000 {
		t.Errorf("seq %d can be taken for an old one", e.Seq)
	}
	if fmt.Sprint(c.welcome.Runs) == "[]" {
		t.Error("the run that is not acknowledged is missing")
	}
}
