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

	// What callers read while the core works.
	queues        atomic.Pointer[map[string]job.Queue]
	runnerStatus  atomic.Pointer[job.RunnerStatus] // nil while not connected
	runnerProblem atomic.Pointer[string]           // why there is no runner
	stopping      atomic.Bool                      // adds nothing any more
	quit          atomic.Bool                      // the runner was asked to end: no connection is made any more

	live      map[int64]*job.Job // values are never modified, only replaced
	queueLive map[string]int
	cursor    store.Cursor
	envs      map[int64][]string // cache of captured environments
	lastQueue string             // served last; see scheduler.State
	headSeq   int64              // the highest job.Head given out

	runner  sender // nil while not connected
	welcome wire.Welcome

	again    bool // take another step at once
	full     bool // the disk was full at the last claim
	retry    <-chan time.Time
	shutdown *shutdown // nil until asked for
	finished bool
}

// diskRetry is how long a full disk keeps waiting jobs from being claimed before the next try.
const diskRetry = 5 * time.Second

func newCore(ctx context.Context, o *Options, proc *procView, in *mailbox) (*core, error) {
	c := &core{o: o, proc: proc, in: in, live: map[int64]*job.Job{},
		queueLive: map[string]int{}, envs: map[int64][]string{}}
	var err error
	if c.cursor, err = o.Store.Cursor(ctx); err != nil {
		return nil, fmt.Errorf("read the runner's cursor: %w", err)
	}
	live, err := o.Store.LiveJobs(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the live jobs: %w", err)
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
	for !c.finished {
		if !c.again {
			select {
			case <-ctx.Done():
				c.disconnect()
				return
			case <-c.in.ready:
			case <-c.retry:
				c.retry, c.full = nil, false
			case <-c.shutdown.expired():
				c.shutdown.passed = true
			}
		}
		c.again = false
		c.step(ctx, c.in.take())
	}
	c.disconnect()
}

// step applies inputs, commits what they change and acts on it.
func (c *core) step(ctx context.Context, inputs []input) {
	t := c.begin(ctx)
	for _, in := range inputs {
		in.apply(c, t)
	}
	c.continueShutdown(t)
	if t.movesWaiting {
		// The order of the lines has changed: commit it before it is read for dispatch.
		c.commit(t)
		t = c.begin(ctx)
	}
	c.dispatch(t)
	c.commit(t)
	c.endShutdown()
}

// tx is what one step is going to change.
type tx struct {
	ctx context.Context
	at  time.Time

	edits  map[int64]*edit
	order  []int64 // keys of edits as they came
	claims []int64 // those of them that are claims

	cursor       *store.Cursor
	acknowledges bool
	movesWaiting bool

	after   []func()     // what to do once committed
	replies []chan error // who waits for the commit
}

// edit is one job's record on its way from what is on record to what shall be.
type edit struct {
	from    *job.Job
	to      *job.Job
	archive *job.Attempt
	stop    *wire.Stop
}

func (c *core) begin(ctx context.Context) *tx {
	// A commit that has begun is carried out whatever happens to the caller.
	return &tx{ctx: context.WithoutCancel(ctx), at: c.o.Now().UTC().Truncate(time.Microsecond), edits: map[int64]*edit{}}
}

// edit returns the job's record in t, to be modified; from is its present record.
func (t *tx) edit(from *job.Job) *edit {
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

// commit writes t and then acts on it. Where the disk has no room for claims, everything else is
// still committed.
func (c *core) commit(t *tx) {
	done, err := c.write(t)
	if job.CodeOf(err) == job.Exhausted && len(t.claims) > 0 {
		c.o.Log.Error("no room to claim waiting jobs: they go on waiting", "error", err)
		c.full, c.retry = true, time.After(diskRetry)
		for _, id := range t.claims {
			delete(t.edits, id)
		}
		t.claims = nil
		done, err = c.write(t)
	}
	if err != nil {
		c.o.Log.Error("commit failed", "jobs", len(t.edits), "error", err)
		t.finish(err)
		if t.cursor != nil {
			c.disconnect() // what was not recorded is sent again on the next connection
		}
		return
	}
	for _, id := range done.Conflicts {
		c.o.Log.Debug("a job changed meanwhile", "job", id)
		delete(t.edits, id)
	}
	c.settle(t)
	t.finish(nil)
}

func (c *core) write(t *tx) (store.Committed, error) {
	w := store.Commit{At: t.at, Cursor: t.cursor, Vital: t.acknowledges}
	for _, id := range t.order {
		if e := t.edits[id]; e != nil {
			w.Updates = append(w.Updates, store.Update{Job: e.to, From: e.from.State, Archive: e.archive})
		}
	}
	if len(w.Updates) == 0 && w.Cursor == nil {
		return store.Committed{}, nil
	}
	return c.o.Store.Commit(t.ctx, w)
}

// settle brings memory in line with what is committed and tells the runner.
func (c *core) settle(t *tx) {
	var starts []wire.Start
	var stops []wire.Stop
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
		if e.from.State != e.to.State {
			c.proc.set(e.to)
		}
		switch {
		case e.to.State == job.Starting && !wasLive:
			starts = append(starts, c.start(t.ctx, e.to))
		case e.stop != nil && isLive:
			stops = append(stops, *e.stop)
		}
		if e.to.State == job.Queued {
			c.again = true
		}
	}
	if t.cursor != nil {
		c.cursor = *t.cursor
	}
	if t.acknowledges {
		c.point("engine.after-events-commit")
		c.send(&wire.Message{Ack: &wire.Ack{Cursor: c.cursor.Seq}})
		c.point("engine.after-ack")
	}
	if len(starts) > 0 {
		c.point("engine.after-claim")
		c.send(&wire.Message{Start: starts})
		c.point("engine.after-start-sent")
	}
	if len(stops) > 0 {
		c.send(&wire.Message{Stop: stops})
		c.point("engine.after-stop-sent")
	}
	for _, f := range t.after {
		f()
	}
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
