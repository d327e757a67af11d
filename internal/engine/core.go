package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/queuemgr/queuemgr/internal/crashpoint"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// input is something that the core has to take into account.
type input interface{ apply(*core, *tx) }

// sender is the connection to the runner as the core sees it.
type sender interface {
	Send(*wire.Message) error
	Close() error
}

// core decides everything about jobs that are live or become so. One goroutine owns it and calls
// step; a step takes all inputs that wait, turns them into one commit, and acts on the commit
// afterwards. What is in memory changes only when the commit has succeeded, so that a core that
// died at any point is replaced by one that reads the registry.
type core struct {
	o    *Options
	proc *procView
	in   *mailbox
	done *tally

	// What callers read while the core works.
	queues        atomic.Pointer[map[string]job.Queue]
	runnerStatus  atomic.Pointer[job.RunnerStatus] // nil while not connected
	runnerProblem atomic.Pointer[string]           // why there is no runner
	runnerOld     atomic.Pointer[string]           // why jobs that need wire.Welcome.Reports wait; nil = they do not
	waitsForNewer atomic.Bool                      // such jobs do wait
	hiddenHeld    atomic.Bool                      // commands of hooks do wait for one
	lastHead      atomic.Int64                     // the highest job.Head given out
	stopping      atomic.Bool                      // adds nothing any more
	quit          atomic.Bool                      // the runner was asked to end: no connection is made any more

	live      map[int64]*job.Job // values are never modified, only replaced
	queueLive map[string]int
	cursor    store.Cursor
	envs      map[int64]captured     // cache
	hidden    map[string]*wire.Start // runs that are no jobs' attempts, by run id; nil = asked for by a daemon before
	unsent    map[string]bool        // those of them that no runner was asked for yet
	lastQueue string                 // served last; see scheduler.State

	runner  sender // nil while not connected
	welcome wire.Welcome

	runnerStops bool // the connected runner is ending: it refuses every start
	replaced    bool // an older runner was told to end, to make room for one that can run all jobs
	attaching   bool // a runner has welcomed us and is not yet compared with what is live
	evidence    bool // the absence of a run in its welcome proves that the run was never forked
	whyLost     string

	again    bool             // take another step at once
	retry    <-chan time.Time // claiming is paused until then; nil = it is not
	reports  <-chan time.Time // reports wait until then; nil = they do not
	shutdown *shutdown        // nil until asked for
	finished bool
}

// claimPause is how long waiting jobs are left alone when claiming failed: a full disk, say.
const claimPause = 5 * time.Second

// pauseClaims leaves waiting jobs alone for a while.
func (c *core) pauseClaims() {
	if c.retry == nil {
		c.retry = time.After(claimPause)
	}
}

func newCore(ctx context.Context, o *Options, proc *procView, in *mailbox) (*core, error) {
	o.now = new(atomic.Pointer[Settings])
	o.now.Store(&o.Settings)
	c := &core{o: o, proc: proc, in: in, live: map[int64]*job.Job{},
		queueLive: map[string]int{}, envs: map[int64]captured{}, hidden: map[string]*wire.Start{}, unsent: map[string]bool{}}
	if o.Hidden != nil {
		for _, run := range o.Hidden.LiveRuns() {
			c.hidden[run] = nil
		}
	}
	var err error
	if c.done, err = newTally(ctx, o); err != nil {
		return nil, err
	}
	if c.cursor, err = o.Store.Cursor(ctx); err != nil {
		return nil, fmt.Errorf("read the runner's cursor: %w", err)
	}
	live, err := o.Store.LiveJobs(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the live jobs: %w", err)
	}
	runners := map[int64]bool{} // folders that the runner may have in use
	for _, j := range live {
		runners[j.ID] = hasFolder(j)
	}
	if err := proc.clear(runners); err != nil {
		return nil, err
	}
	for _, j := range live {
		c.live[j.ID] = j
		c.queueLive[j.Queue]++
		if j.State != job.Starting {
			proc.set(j)
		}
	}
	return c, c.loadQueues(ctx)
}

func (c *core) loadQueues(ctx context.Context) error {
	queues, err := c.o.Store.Queues(ctx)
	if err != nil {
		return fmt.Errorf("read the queues: %w", err)
	}
	byName := make(map[string]job.Queue, len(queues))
	for _, q := range queues {
		byName[q.Name] = q
	}
	c.queues.Store(&byName)
	return nil
}

func (c *core) setRunnerProblem(text string) {
	if text == "" {
		c.runnerProblem.Store(nil)
		return
	}
	c.runnerProblem.Store(&text)
}

// run takes steps until ctx ends or a shutdown is complete.
func (c *core) run(ctx context.Context) {
	for !c.finished && ctx.Err() == nil {
		if !c.again {
			said := c.in.saidMore
			if c.reports != nil {
				said = nil
			}
			select {
			case <-ctx.Done():
			case <-c.in.ready:
			case <-said:
			case <-c.reports:
				c.reports = nil
			case <-c.retry:
				c.retry = nil
			case <-c.shutdown.expired():
				c.shutdown.passed = true
			}
		}
		c.again = false
		c.step(ctx, c.in.take())
	}
	c.disconnect()
}

// step applies inputs, commits what they change and acts on it; then it claims what may start. Claims
// have a commit of their own: they must not use the room that is kept for recording ends.
func (c *core) step(ctx context.Context, inputs []input) {
	t := c.begin(ctx)
	for _, in := range inputs {
		in.apply(c, t)
	}
	c.hearReports(t)
	if c.attaching {
		c.attach(t)
	}
	c.continueShutdown(t)
	c.commit(t)

	t = c.begin(ctx)
	c.dispatch(t)
	c.commit(t)
	c.replaceRunner()
	c.endShutdown()
}

// tx is what one step is going to change.
type tx struct {
	ctx context.Context
	at  time.Time

	edits map[int64]*edit
	order []int64 // keys of edits as they came

	cursor       *store.Cursor
	acknowledges bool
	vital        bool // has to be recorded even on a full disk
	claims       bool

	hiddenEnds []string // of runs that are no jobs' attempts, with what becomes of their deliveries
	deliveries []store.DeliveryUpdate

	starts []wire.Start // said again, of jobs that do not change
	stops  []wire.Stop

	after   []func()     // what to do once committed
	replies []chan error // who waits for the commit
}

// edit is one job's record on its way from what is on record to what shall be.
type edit struct {
	from    *job.Job
	to      *job.Job
	archive *job.Attempt
	start   *wire.Start
	stop    *wire.Stop

	report bool // what the run says of itself has changed
	more   bool // and something else, or only that
}

// kind is what the change is called.
func (e *edit) kind() job.ChangeKind {
	if e.more {
		return job.JobChanged
	}
	return job.JobReported
}

func (c *core) begin(ctx context.Context) *tx {
	// A commit that has begun is carried out whatever happens to the caller.
	return &tx{ctx: context.WithoutCancel(ctx), at: c.o.Now().UTC().Truncate(time.Microsecond), edits: map[int64]*edit{}}
}

// edit returns the job's record in t, to be modified; from is its present record.
func (t *tx) edit(from *job.Job) *edit {
	e := t.open(from)
	e.more = true
	return e
}

// report is edit for what the job's run says of itself.
func (t *tx) report(from *job.Job) *edit {
	e := t.open(from)
	e.report = true
	return e
}

func (t *tx) open(from *job.Job) *edit {
	if e := t.edits[from.ID]; e != nil {
		return e
	}
	to := *from
	e := &edit{from: from, to: &to}
	t.edits[from.ID] = e
	t.order = append(t.order, from.ID)
	return e
}

// current returns the live job's record as t leaves it, nil where the job is not live.
func (c *core) current(t *tx, id int64) *job.Job {
	if e := t.edits[id]; e != nil {
		return e.to
	}
	return c.live[id]
}

// commit writes t and then acts on it.
func (c *core) commit(t *tx) {
	done, err := c.write(t)
	if err != nil {
		c.o.Log.Error("commit failed", "jobs", len(t.edits), "claims", t.claims, "error", err)
		if t.claims {
			c.pauseClaims()
		}
		if t.vital {
			c.disconnect() // what was not recorded is said again on the next connection
		}
		t.finish(err)
		return
	}
	for _, id := range done.Conflicts {
		c.conflict(t, id)
	}
	c.settle(t)
	t.finish(nil)
}

// conflict drops an edit that was made from a record that is not the present one. For a waiting or
// ended job that is the way of things. Nobody else writes live ones: should it happen all the same,
// the record is read again and the runner asked anew.
func (c *core) conflict(t *tx, id int64) {
	from := t.edits[id].from
	delete(t.edits, id)
	if !from.State.Live() {
		return
	}
	c.o.Log.Error("the record of a live job was changed by somebody else", "job", id)
	c.disconnect()
	delete(c.live, id)
	c.queueLive[from.Queue]--
	if j, err := c.o.Store.Job(t.ctx, id); err == nil && j.State.Live() {
		c.live[id] = j
		c.queueLive[j.Queue]++
	}
}

func (c *core) write(t *tx) (store.Committed, error) {
	w := store.Commit{At: t.at, Cursor: t.cursor, Vital: t.vital, Deliveries: t.deliveries}
	for _, id := range t.order {
		e := t.edits[id]
		w.Updates = append(w.Updates, store.Update{Job: e.to, From: e.from.State, Archive: e.archive, Kind: e.kind()})
	}
	if len(w.Updates) == 0 && w.Cursor == nil && len(w.Deliveries) == 0 {
		return store.Committed{}, nil
	}
	return c.o.Store.Commit(t.ctx, w)
}

// settle brings memory in line with what is committed and tells the runner.
func (c *core) settle(t *tx) {
	starts, stops := t.starts, t.stops
	for _, id := range t.order {
		e := t.edits[id]
		if e == nil {
			continue
		}
		wasLive, isLive := e.from.State.Live(), e.to.State.Live()
		switch {
		case isLive:
			c.live[id] = e.to
			if !wasLive {
				c.queueLive[e.to.Queue]++
			}
		case wasLive:
			delete(c.live, id)
			c.queueLive[e.from.Queue]--
		}
		if e.from.State != e.to.State || e.report {
			c.proc.set(e.to)
		}
		if e.start != nil {
			starts = append(starts, *e.start)
		}
		if e.stop != nil && isLive {
			stops = append(stops, *e.stop)
		}
	}
	c.done.count(t)
	c.settleHidden(t)
	if t.cursor != nil {
		c.cursor = *t.cursor
	}
	if t.acknowledges {
		c.point("engine.after-events-commit")
		c.send(&wire.Message{Ack: &wire.Ack{Cursor: c.cursor.Seq}})
		c.point("engine.after-ack")
	}
	c.sendStarts(starts)
	if len(stops) > 0 {
		c.send(&wire.Message{Stop: stops})
		c.point("engine.after-stop-sent")
	}
	for _, f := range t.after {
		f()
	}
}

// startsBytes is about how much of starts goes into one message, far below wire.MaxMessage.
const startsBytes = 4 << 20

// sendStarts asks for runs, in as many messages as their size needs.
func (c *core) sendStarts(starts []wire.Start) {
	if len(starts) == 0 {
		return
	}
	c.point("engine.after-claim")
	first, size := 0, 0
	for i := range starts {
		n := sizeOf(&starts[i])
		if size+n > startsBytes && i > first {
			c.send(&wire.Message{Start: starts[first:i]})
			first, size = i, 0
		}
		size += n
	}
	c.send(&wire.Message{Start: starts[first:]})
	c.point("engine.after-start-sent")
}

// sizeOf is about how long s is on the wire.
func sizeOf(s *wire.Start) int {
	n := 512 + len(s.Params) + len(s.View) + 4*len(s.Stdin)/3
	for _, a := range s.Argv {
		n += len(a) + 3
	}
	for _, e := range s.Env {
		n += len(e) + 3
	}
	return n
}

// finish answers everybody who waits for t.
func (t *tx) finish(err error) {
	for _, r := range t.replies {
		r <- err
	}
}

// send tells the runner something. On failure the connection is given up: what is on record says
// what has to be said on the next one.
func (c *core) send(m *wire.Message) {
	if c.runner == nil {
		return
	}
	if err := c.runner.Send(m); err != nil {
		c.o.Log.Warn("lost the runner while sending", "error", err)
		c.disconnect()
	}
}

func (c *core) disconnect() {
	if c.runner == nil {
		return
	}
	if err := c.runner.Close(); err != nil {
		c.o.Log.Debug("close the runner's connection", "error", err)
	}
	c.runner = nil
	c.runnerStatus.Store(nil)
	c.runnerOld.Store(nil)
}

// call is a request from outside, run in a step.
type call struct {
	f     func(*core, *tx) error
	reply chan error
}

func (in call) apply(c *core, t *tx) {
	if err := in.f(c, t); err != nil {
		in.reply <- err
		return
	}
	t.replies = append(t.replies, in.reply)
}

// point is a place between two steps of the start/exit protocol where tests make the daemon die.
func (c *core) point(name string) {
	crashpoint.Here(name)
	if c.o.atPoint != nil {
		c.o.atPoint(name)
	}
}
