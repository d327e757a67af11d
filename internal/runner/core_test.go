package runner

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// coreTest is a core over a fake system, with a daemon connected.
type coreTest struct {
	*Core
	t    *testing.T
	sys  *fake
	peer *recorder
}

func newCoreTest(t *testing.T) *coreTest {
	t.Helper()
	sys := newFake()
	j := openJournal(t, newHome(t).journal())
	core, err := NewCore(sys, j, CoreOptions{Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeJournal(t, j) })
	c := &coreTest{Core: core, t: t, sys: sys, peer: &recorder{}}
	c.HandleHello(c.peer, &wire.Hello{Proto: 1, Registry: "r", Epoch: 1})
	c.Flush()
	return c
}

// restart lets the runner die and another one take over, before the daemon is there.
func (c *coreTest) restart() {
	c.t.Helper()
	path := c.journal.path
	if err := c.journal.f.Close(); err != nil {
		c.t.Fatal(err)
	}
	*c.journal = *openJournal(c.t, path) // closed at the end of the test
	core, err := NewCore(c.sys, c.journal, CoreOptions{Log: discard})
	if err != nil {
		c.t.Fatal(err)
	}
	core.Flush()
	c.Core, c.peer = core, &recorder{}
}

// fill lets the journal's disk be full until the function it returns is called.
func (c *coreTest) fill() (writable func()) {
	c.t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	real, reserved := c.journal.f, c.journal.reserved
	c.journal.f, c.journal.reserved = full, 1<<40
	return func() {
		c.journal.f, c.journal.reserved = real, reserved
		if err := full.Close(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// hello lets the daemon come back; it returns what it is told of the runs.
func (c *coreTest) hello() []wire.Run {
	c.HandleHello(c.peer, &wire.Hello{Proto: 1, Registry: "r", Epoch: 1})
	c.Flush()
	return c.peer.msgs[0].Welcome.Runs
}

func (c *coreTest) tell(m *wire.Message) {
	c.HandleMessage(c.peer, m)
	c.Flush()
}

// spawn answers the oldest start: pid 0 means that there was no descriptor for it.
func (c *coreTest) spawn(pid int) {
	s := c.sys.spawned[0]
	c.sys.spawned = c.sys.spawned[1:]
	res := Spawned{RunID: s.RunID, At: c.sys.now}
	if pid == 0 {
		res.Err = spawnError(syscall.EMFILE, "no descriptor")
	} else {
		res.Process = &Process{PID: pid, Ticks: 1, Child: true}
	}
	c.HandleSpawned(res)
	c.Flush()
}

// end lets the process of a run end.
func (c *coreTest) end(id string, code int) {
	r := c.runs[id]
	c.sys.ended[r.proc.PID] = Exit{Known: true, Code: code}
	c.HandleReady([]uint64{r.token})
	c.Flush()
}

func (c *coreTest) after(d time.Duration) {
	c.sys.now = c.sys.now.Add(d)
	c.HandleTime()
	c.Flush()
}

func (c *coreTest) scan(snap Snapshot) {
	c.HandleScan(snap)
	c.Flush()
}

// ends lists the exited events sent so far, in words.
func (c *coreTest) ends() string {
	var out []string
	for _, m := range c.peer.msgs {
		for i := range m.Events {
			if e := &m.Events[i]; e.Kind == wire.Exited {
				out = append(out, e.RunID+" "+outcome(e))
			}
		}
	}
	return strings.Join(out, ", ")
}

func starts(ids ...string) *wire.Message {
	m := &wire.Message{}
	for _, id := range ids {
		m.Start = append(m.Start, wire.Start{RunID: id, GraceMS: 1000})
	}
	return m
}

func TestStartsWaitForDescriptors(t *testing.T) {
	c := newCoreTest(t)
	c.tell(starts("a", "b", "c", "d"))
	c.spawn(10)
	c.spawn(0)
	c.spawn(0)
	c.spawn(0)
	if len(c.sys.spawned) != 0 || c.ends() != "" {
		t.Fatalf("spawned %d, ended %s", len(c.sys.spawned), c.ends())
	}
	c.tell(&wire.Message{Stop: []wire.Stop{{RunID: "b"}}})
	if got := c.ends(); got != "b stop code=- signal=0" {
		t.Errorf("a run that waits is stopped: %s", got)
	}
	c.end("a", 0)
	if len(c.sys.spawned) != 1 || c.sys.spawned[0].RunID != "c" {
		t.Fatalf("after a: %v", c.sys.spawned)
	}
	c.spawn(0) // still none, and nothing runs any more: each is tried alone and then refused
	c.spawn(0)
	if got := c.ends(); !strings.HasSuffix(got, "c refused code=- signal=0, d refused code=- signal=0") || c.Alive() != 0 {
		t.Errorf("got %s; alive %d", got, c.Alive())
	}
}

func TestJournalThatCannotBeWritten(t *testing.T) {
	c := newCoreTest(t)
	c.tell(starts("a"))
	c.spawn(10)
	writable := c.fill()
	size := c.journal.size

	c.tell(starts("b"))
	if got := c.ends(); got != "b refused code=- signal=0" || len(c.sys.spawned) != 0 {
		t.Errorf("a start without a journal: %s, spawned %d", got, len(c.sys.spawned))
	}
	if e := c.outbox[len(c.outbox)-1]; e.Errno != int(syscall.ENOSPC) {
		t.Errorf("%+v", e)
	}
	c.end("a", 7)
	if got := c.ends(); !strings.HasSuffix(got, "a exit code=7 signal=0") {
		t.Errorf("an end without a journal is delivered: %s", got)
	}
	if c.journal.size != size {
		t.Error("the size counts what was not written")
	}
	c.after(retryAfter)
	writable()
	c.after(retryAfter)
	p, err := replay(strings.NewReader(string(read(t, c.journal.path))))
	if err != nil || !p.intact || p.runs["a"].Exited == nil || *p.runs["a"].Exited.ExitCode != 7 {
		t.Errorf("the end was not written later: %v, %+v", err, p)
	}
	if _, due := c.Next(); due {
		t.Error("still tries to write")
	}
}

func TestWhatCannotBeKilled(t *testing.T) {
	c := newCoreTest(t)
	c.tell(starts("a"))
	c.spawn(10)
	c.tell(&wire.Message{Stop: []wire.Stop{{RunID: "a", Why: "user"}}})
	stuck := Snapshot{{PID: 10, Session: 10, Ticks: 1}, {PID: 11, PPID: 10, Session: 10, Ticks: 2}}
	c.scan(stuck)
	c.after(time.Second) // the grace
	c.scan(stuck)
	for range 20 {
		if c.scanning {
			c.scan(stuck)
		}
		if at, ok := c.Next(); ok {
			c.after(at.Sub(c.sys.now))
		}
	}
	if got := c.ends(); got != "a stop code=- signal=0" {
		t.Fatalf("got %q", got)
	}
	if e := c.runs["a"].Exited; !strings.Contains(e.Error, "10") || !strings.Contains(e.Error, "11") {
		t.Errorf("the pids are missing: %q", e.Error)
	}
	if _, due := c.Next(); due {
		t.Error("something is still to be done")
	}
	for token := range c.tokens { // it ends after all, and is reaped
		c.HandleReady([]uint64{token})
	}
	c.Flush()
	if !slices.Equal(c.sys.reaped, []int{10}) || len(c.kids)+len(c.tokens) != 0 {
		t.Errorf("reaped %v, kids %v, tokens %v", c.sys.reaped, c.kids, c.tokens)
	}
}

func TestEndBeforeTheSignalCounts(t *testing.T) {
	c := newCoreTest(t)
	c.tell(starts("a"))
	c.spawn(10)
	c.tell(&wire.Message{Stop: []wire.Stop{{RunID: "a"}}})
	c.sys.ended[10] = Exit{Known: true, Code: 4}
	c.scan(Snapshot{{PID: 10, Session: 10, Ticks: 1, Zombie: true}})
	c.end("a", 4)
	if got := c.ends(); got != "a exit code=4 signal=0" || len(c.sys.signals) != 0 {
		t.Errorf("got %s, signals %v", got, c.sys.signals)
	}
}

func TestFirstCauseWins(t *testing.T) {
	c := newCoreTest(t)
	c.tell(&wire.Message{Start: []wire.Start{
		{RunID: "a", TimeoutMS: 1000, GraceMS: 5000}, {RunID: "b", TimeoutMS: 1000, GraceMS: 5000},
	}})
	c.spawn(10)
	c.spawn(11)
	c.tell(&wire.Message{Stop: []wire.Stop{{RunID: "a", Why: "user"}}})
	c.after(time.Second)
	c.tell(&wire.Message{Stop: []wire.Stop{{RunID: "b", Why: "user", Force: true}}})
	both := Snapshot{{PID: 10, Session: 10, Ticks: 1}, {PID: 11, Session: 11, Ticks: 1}}
	for c.scanning {
		c.scan(both)
	}
	c.end("a", 1)
	c.end("b", 1)
	for c.scanning {
		c.scan(nil)
	}
	if got := c.ends(); got != "a stop code=1 signal=0, b timeout code=1 signal=0" {
		t.Errorf("got %s", got)
	}
}

func TestScanThatFailedProvesNothing(t *testing.T) {
	c := newCoreTest(t)
	c.tell(starts("a"))
	c.spawn(10)
	c.tell(&wire.Message{Stop: []wire.Stop{{RunID: "a"}}})
	c.scan(Snapshot{{PID: 10, Session: 10, Ticks: 1}, {PID: 11, Session: 10, Ticks: 2}})
	c.end("a", 0)
	c.HandleScanFailed(errors.New("no"))
	c.Flush()
	if c.ends() != "" {
		t.Fatalf("ended although a process may live: %s", c.ends())
	}
	c.after(roundWait)
	c.scan(nil)
	if got := c.ends(); got != "a stop code=0 signal=0" {
		t.Errorf("got %s", got)
	}
}

func TestOrphansAreToldFromNewJobs(t *testing.T) {
	c := newCoreTest(t)
	c.tell(starts("a"))
	// 10 is the new job, forked and ended, its fork not answered yet; 20 an orphan.
	c.sys.orphans = []int{10, 20}
	c.HandleChild()
	c.after(sweepAfter)
	c.after(sweepAfter)
	if len(c.sys.reaped) != 0 {
		t.Fatalf("reaped %v while a fork is under way", c.sys.reaped)
	}
	c.tell(starts("b")) // a later fork does not matter
	c.spawn(10)
	c.after(listPause)
	if !slices.Equal(c.sys.reaped, []int{20}) {
		t.Errorf("reaped %v, want the orphan", c.sys.reaped)
	}
}

func TestSyncWhileTheDaemonIsAway(t *testing.T) {
	c := newCoreTest(t)
	c.tell(starts("a"))
	c.spawn(10)
	c.HandleClosed(c.peer)
	c.Flush()
	if c.away {
		t.Error("away at once")
	}
	c.after(syncAfter)
	if !c.away {
		t.Error("not away after a second")
	}
	c.end("a", 0)
	c.HandleHello(c.peer, &wire.Hello{Proto: 1, Registry: "r", Epoch: 1})
	c.Flush()
	if c.away || c.syncAt != nil {
		t.Error("still away")
	}
	if got := fmt.Sprint(c.ends()); got != "a exit code=0 signal=0" {
		t.Errorf("got %s", got)
	}
}
