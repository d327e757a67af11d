package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"pgregory.net/rapid"

	"github.com/queuemgr/queuemgr/internal/runner"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// world is a whole queue manager in one goroutine: the real registry, the real core of the engine,
// the real core of the runner with its real journal; the machine and the wire are the test's. Every
// message waits until the test delivers it, and either side dies when the test says so, at any
// point that is named in the code.
type world struct {
	t     *rapid.T
	ctx   context.Context
	os    *simOS
	store *brittle
	hub   *Hub
	opts  *Options
	proc  *procView

	daemon *Engine // nil while dead; only its core is used, step by step
	epoch  uint64
	dieAt  string // the daemon dies at this point
	sent   []*wire.Message
	conn   *simConn // nil while not connected

	runner      *runner.Core // nil while dead
	journal     *runner.Journal
	journalPath string
	runnerDieAt string
	answers     []*wire.Message

	jobs     []int64         // acknowledged
	asked    map[int64]ends  // what was asked of a job
	touched  map[string]bool // run ids that a dead runner or a reboot may have cost
	requeues map[int64]bool  // jobs with on_lost = requeue
	said     map[string]int  // progress that each run has reported to its runner
	runSeq   int

	everShutDown bool
}

// ends is what was asked of a job while the daemon acknowledged it.
type ends struct{ stop, del, start bool }

// errDied is what a side that dies panics with.
var errDied = errors.New("died")

// simConn is both ends of a connection.
type simConn struct {
	w      *world
	closed bool
}

func (c *simConn) Send(m *wire.Message) error {
	if c.closed {
		return errors.New("closed")
	}
	c.w.sent = append(c.w.sent, copyMessage(c.w.t, m))
	return nil
}

func (c *simConn) Close() error { c.closed = true; return nil }

// simPeer is the runner's end.
type simPeer struct{ c *simConn }

func (p simPeer) Send(m *wire.Message) {
	w := p.c.w
	if p.c.closed || p.c != w.conn {
		return
	}
	c := copyMessage(w.t, m)
	for i := range c.Events {
		if n, ok := w.said[c.Events[i].RunID]; ok && c.Events[i].Kind == wire.Exited {
			if c.Events[i].Report == nil {
				c.Events[i].Report = &wire.Report{}
			}
			c.Events[i].Report.Progress = &n
		}
	}
	w.answers = append(w.answers, c)
	if m.Welcome != nil {
		w.sayAgain()
	}
}

// say has a live process report that it came further. Its runner tells the daemon, where there are both.
func (w *world) say(p *simProc, by int) {
	if p.orphaned || w.runner == nil {
		return // nobody hears it
	}
	w.said[p.runID] = min(w.said[p.runID]+by, 100)
	if w.conn != nil && !w.conn.closed {
		w.answers = append(w.answers, w.reportOf(p))
	}
}

// sayAgain has the runner say on a new connection what its live runs have said.
func (w *world) sayAgain() {
	for _, p := range w.os.alive() {
		if _, ok := w.said[p.runID]; ok {
			w.answers = append(w.answers, w.reportOf(p))
		}
	}
}

func (w *world) reportOf(p *simProc) *wire.Message {
	n, start := w.said[p.runID], w.os.starts[p.runID]
	return copyMessage(w.t, &wire.Message{Reports: []wire.Report{{RunID: p.runID, JobID: start.JobID, Fence: start.Fence, Progress: &n}}})
}

func (p simPeer) Close() { p.c.closed = true }

// copyMessage takes m over the wire.
func copyMessage(t *rapid.T, m *wire.Message) *wire.Message {
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	c := new(wire.Message)
	if err := json.Unmarshal(b, c); err != nil {
		t.Fatal(err)
	}
	return c
}

func newWorld(t *rapid.T, dir string) *world {
	w := &world{t: t, ctx: context.Background(), os: newSimOS(), hub: NewHub(), asked: map[int64]ends{},
		touched: map[string]bool{}, said: map[string]int{}, requeues: map[int64]bool{}, journalPath: filepath.Join(dir, "runner.journal")}
	log := slog.New(slog.DiscardHandler)
	s, err := sqlite.Open(w.ctx, sqlite.Options{Path: filepath.Join(dir, "registry.db"), OnCommit: w.hub.Publish, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	w.store = &brittle{Store: s}
	if w.proc, err = newProcView(dir, log); err != nil {
		t.Fatal(err)
	}
	w.opts = &Options{Store: w.store, Hub: w.hub, Now: w.os.Now, Log: log, Node: "model", LogDir: dir, ProcDir: dir,
		Settings: Settings{MaxConcurrent: 3, ShutdownTimeout: time.Minute}, NewRunID: w.newRunID,
		atPoint: func(name string) {
			if name == w.dieAt {
				panic(errDied)
			}
		}}
	w.startDaemon()
	w.startRunner()
	return w
}

func (w *world) close() {
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) newRunID() string {
	w.runSeq++
	id := fmt.Sprintf("run-%d", w.runSeq)
	w.os.stubs[id] = w.runSeq%3 == 0
	return id
}

// survive runs f and reports whether the side that it belongs to lives on.
func survive(f func()) (alive bool) {
	defer func() {
		if r := recover(); r != nil {
			if r != errDied { //nolint:errorlint // a panic value, the very same
				panic(r)
			}
			alive = false
		}
	}()
	f()
	return true
}

func (w *world) startDaemon() {
	in := newMailbox()
	c, err := newCore(w.ctx, w.opts, w.proc, in)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.epoch, err = w.store.NextEpoch(w.ctx, w.epoch); err != nil {
		w.t.Fatal(err)
	}
	w.daemon = &Engine{o: *w.opts, core: c, in: in, proc: w.proc, done: make(chan struct{})}
}

// killDaemon leaves what it sent on its way and loses what was on the way to it.
func (w *world) killDaemon() {
	w.daemon, w.dieAt = nil, ""
	w.answers = nil
	if w.conn != nil {
		w.conn.closed = true
	}
}

// step lets the daemon take one step, in which it may die.
func (w *world) step() {
	if w.daemon == nil {
		return
	}
	c := w.daemon.core
	c.reports = nil // time is not what is tested
	if !survive(func() { c.step(w.ctx, w.daemon.in.take()) }) || c.finished {
		w.killDaemon()
		return
	}
	if w.conn != nil && w.conn.closed && c.runner == nil {
		w.daemon.in.put(disconnected{runner: w.conn}) // as the link says it
	}
}

// deliverAnswer gives the daemon the oldest message of the runner.
func (w *world) deliverAnswer() {
	if w.daemon == nil || len(w.answers) == 0 {
		return
	}
	m := w.answers[0]
	w.answers = w.answers[1:]
	if m.Welcome != nil {
		w.daemon.in.put(connected{runner: w.conn, welcome: *m.Welcome})
	}
	for i := range m.Events {
		w.checkReport(&m.Events[i])
	}
	if len(m.Events) > 0 {
		w.daemon.in.put(received{from: w.conn, events: m.Events})
	}
	if len(m.Reports) > 0 {
		w.daemon.in.putReports(w.conn, m.Reports)
	}
	if m.Bye != nil {
		w.daemon.in.put(bye{from: w.conn, Bye: *m.Bye})
	}
}

// checkReport holds what comes with an end to what the process said before it, whoever died in between.
func (w *world) checkReport(e *wire.Event) {
	if e.Kind != wire.Exited || e.Cause != wire.CauseExit {
		return
	}
	ran := w.os.forks[e.RunID]
	if len(ran) != 1 || e.Report == nil || string(e.Report.Result) != ran[0].result() {
		w.t.Fatalf("run %s of %d processes ended with the report %+v", e.RunID, len(ran), e.Report)
	}
}

// connect makes a connection as the engine's link does.
func (w *world) connect() {
	if w.daemon == nil || w.runner == nil || w.conn != nil && !w.conn.closed {
		return
	}
	w.conn = &simConn{w: w}
	w.sent, w.answers = nil, nil
	cursor, err := w.store.Cursor(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	w.toRunner(func() {
		w.runner.HandleHello(simPeer{w.conn}, &wire.Hello{Proto: wire.Proto, Registry: w.store.RegistryID(), Epoch: w.epoch,
			Journal: cursor.Journal, Cursor: cursor.Seq})
	})
}

// deliver gives the runner the oldest message of the daemon, or the end of the connection.
func (w *world) deliver() {
	if w.runner == nil || w.conn == nil {
		return
	}
	peer := simPeer{w.conn}
	if len(w.sent) > 0 {
		m := w.sent[0]
		w.sent = w.sent[1:]
		w.toRunner(func() { w.runner.HandleMessage(peer, m) })
		return
	}
	if w.conn.closed {
		w.conn = nil
		w.toRunner(func() { w.runner.HandleClosed(peer) })
	}
}

// toRunner is one input of the runner and the flush after it, in which it may die.
func (w *world) toRunner(f func()) {
	if w.runner == nil {
		return
	}
	if !survive(func() { f(); w.runner.Flush() }) || w.runner.Finished() {
		w.killRunner()
	}
}

// killRunner loses its connection and its memory; the journal and the processes stay.
func (w *world) killRunner() {
	for id, procs := range w.os.forks {
		for _, p := range procs {
			if !p.reaped || p.alive {
				w.touched[id] = true
			}
		}
	}
	for _, s := range w.os.pending {
		w.touched[s.RunID] = true
	}
	w.runner, w.runnerDieAt = nil, ""
	if err := w.journal.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.dropConnection()
}

// dropConnection is the end of the connection as the daemon sees it.
func (w *world) dropConnection() {
	w.sent, w.answers = nil, nil
	if w.conn == nil {
		return
	}
	w.conn.closed = true
	if w.daemon != nil {
		w.daemon.in.put(disconnected{runner: w.conn})
	}
	w.conn = nil
}

func (w *world) startRunner() {
	if w.runner != nil {
		return
	}
	w.os.newRunner()
	log := slog.New(slog.DiscardHandler)
	var err error
	if w.journal, err = runner.OpenJournal(w.journalPath, "model", w.os.BootID(), log); err != nil {
		w.t.Fatal(err)
	}
	w.runner, err = runner.NewCore(w.os, w.journal, runner.CoreOptions{Version: "model", Log: log, Step: func(point string) {
		if point == w.runnerDieAt {
			panic(errDied)
		}
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.toRunner(func() {})
}

// reboot is a power cut: every process is gone, and of the journal what was not synced may be.
func (w *world) reboot(unsynced bool, rt *rapid.T) {
	for id := range w.os.forks {
		w.touched[id] = true
	}
	if w.runner != nil {
		w.killRunner()
	}
	if w.daemon != nil {
		w.killDaemon()
	}
	w.dropConnection()
	w.os.reboot()
	if !unsynced {
		return
	}
	info, err := os.Stat(w.journalPath)
	if err != nil {
		rt.Fatal(err)
	}
	if err := os.Truncate(w.journalPath, rapid.Int64Range(0, info.Size()).Draw(rt, "journal left")); err != nil {
		rt.Fatal(err)
	}
}

// add adds a job; it counts once the daemon has acknowledged it.
func (w *world) add(requeue bool, timeout time.Duration) {
	if w.daemon == nil {
		return
	}
	s := job.Spec{Command: []string{"work"}, Timeout: job.Duration(timeout), Grace: job.Duration(2 * time.Second)}
	if requeue {
		s.OnLost = job.OnLostRequeue
	}
	j, err := w.daemon.AddJob(job.WithCaller(w.ctx, job.Caller{UID: 0, Name: "root"}), s)
	if w.daemon.core.stopping.Load() && job.CodeOf(err) == job.Unavailable {
		return
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.jobs = append(w.jobs, j.ID)
	w.requeues[j.ID] = requeue
}

// act asks something of a job and lets the daemon take the step that commits it.
func (w *world) act(id int64, action job.Action, force bool) {
	if w.daemon == nil {
		return
	}
	j, err := w.store.Job(w.ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	a := &acting{r: job.ActRequest{Action: action, Force: force}, jobs: []*job.Job{j}, head: 1}
	w.daemon.in.put(call{f: a.run, reply: make(chan error, 1)})
	// Recorded before the step, which takes other inputs along: a daemon that dies in it may have
	// committed.
	asked := w.asked[id]
	asked.stop = asked.stop || action == job.ActStop
	asked.del = asked.del || action == job.ActDelete
	asked.start = asked.start || action == job.ActStart
	w.asked[id] = asked
	if action == job.ActStart {
		w.step()
	}
}

// shutDown asks the daemon to end its jobs and itself; once it has, it is dead like any other.
func (w *world) shutDown() {
	if w.daemon == nil {
		return
	}
	w.everShutDown = true
	w.daemon.in.put(call{f: func(c *core, t *tx) error { c.beginShutdown(t, false); return nil }, reply: make(chan error, 1)})
}

// brittle is a registry whose next commit may fail.
type brittle struct {
	store.Store
	fails bool
}

func (b *brittle) Commit(ctx context.Context, c store.Commit) (store.Committed, error) {
	if b.fails {
		b.fails = false
		return store.Committed{}, &job.Error{Code: job.Exhausted, Message: "no room"}
	}
	return b.Store.Commit(ctx, c)
}
