package runner

import (
	"slices"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// run is one attempt of a job, from INTENT until its end is acknowledged.
type run struct {
	runRecord
	proc      *Process // the leader; nil before the fork and after it was reaped
	token     uint64   // of proc
	timeoutAt *deadline
	watchAt   *deadline   // when it must have said something
	voice     *voice      // nil while it has said nothing
	closed    bool        // nothing is heard of it any more; guarded by Core.ledger
	collected bool        // its result file was looked for
	unshown   bool        // its folder could not be written, which was logged
	stop      *stopping   // nil unless it is to be stopped
	start     *wire.Start // until its process is there or cannot be
}

func (r *run) id() string { return r.Intent.RunID }

func (r *run) state() wire.RunState {
	switch {
	case r.Exited != nil:
		return wire.RunExited
	case r.Started != nil:
		return wire.RunStarted
	}
	return wire.RunIntent
}

func (r *run) signal() syscall.Signal {
	if r.Intent.StopSignal == 0 {
		return syscall.SIGTERM
	}
	return syscall.Signal(r.Intent.StopSignal)
}

// grace is what a stop leaves the run unless it says otherwise.
func (r *run) grace() time.Duration { return time.Duration(r.Intent.GraceMS) * time.Millisecond }

// event makes an event of r that happened at at; it has no Seq yet.
func (r *run) event(kind wire.Kind, at time.Time) *wire.Event {
	return &wire.Event{
		Kind: kind, RunID: r.Intent.RunID, JobID: r.Intent.JobID, Fence: r.Intent.Fence,
		At: at.Round(0).UTC(),
	}
}

// add puts a new run on the books.
func (c *Core) add(r *run) {
	c.ledger.Lock()
	c.runs[r.id()] = r
	if r.UID != nil && r.Exited == nil {
		c.uids[*r.UID]++
	}
	c.ledger.Unlock()
	c.order = append(c.order, r)
	if r.Exited == nil {
		c.alive++
	}
}

// orderedRuns returns all runs in the order they came.
func (c *Core) orderedRuns() []*run {
	c.order = slices.DeleteFunc(c.order, func(r *run) bool { return c.runs[r.id()] != r })
	return c.order
}

// numbered gives e its Seq and puts it into the outbox and the next message.
func (c *Core) numbered(e *wire.Event) *wire.Event {
	c.journal.header.LastSeq++
	e.Seq = c.journal.header.LastSeq
	c.outbox = append(c.outbox, e)
	c.staged.event(e)
	return e
}

// started puts the start of r on record. The process is watched from the flush on.
func (c *Core) started(r *run, p *Process, at time.Time) {
	e := r.event(wire.Started, at)
	e.PID, e.StartTicks = p.PID, p.Ticks
	r.Started = c.numbered(e)
	c.hold(r, p)
	c.append(record{Started: e, UID: r.account(c.opts.Drops)})
	c.staged.started = append(c.staged.started, r)
	c.limit(r, at)
	c.watch(r)
	c.show(r)
}

// account is what the journal has to know of the run's account: nothing when all have the runner's.
func (r *run) account(drops bool) *uint32 {
	if drops {
		return r.UID
	}
	return nil
}

// limit sets the time limit of r, which started at from (with a monotonic clock reading).
func (c *Core) limit(r *run, from time.Time) {
	if r.Intent.TimeoutMS > 0 && r.stop == nil {
		limit := time.Duration(r.Intent.TimeoutMS) * time.Millisecond
		c.timers.set(&r.timeoutAt, from.Add(limit), atTimeout, r)
	}
}

// hold makes p the leader of r.
func (c *Core) hold(r *run, p *Process) {
	r.proc, r.token = p, c.token(r)
	c.ledger.Lock()
	defer c.ledger.Unlock()
	if r.UID == nil {
		uid := p.UID
		r.UID = &uid
		c.uids[uid]++
	}
	if p.Child {
		c.kids[p.PID] = r
	} else {
		c.adopted++
	}
}

// ended puts the end of r on record: this is its one Exited event.
func (c *Core) ended(r *run, e *wire.Event) {
	c.ledger.Lock()
	r.closed = true
	if r.UID != nil {
		if c.uids[*r.UID]--; c.uids[*r.UID] == 0 {
			delete(c.uids, *r.UID)
		}
	}
	c.ledger.Unlock()
	c.lastWords(r, e, true)
	r.Exited = c.numbered(e)
	c.append(record{Exit: e})
	c.staged.exited = append(c.staged.exited, r)
	c.timers.clear(&r.timeoutAt)
	c.timers.clear(&r.watchAt)
	if r.voice != nil {
		c.timers.clear(&r.voice.due)
		r.voice = nil
	}
	if r.Intent.Dir != "" && (r.Started != nil || e.Cause == wire.CauseLost) {
		c.staged.clear = append(c.staged.clear, r)
	}
	c.letGo(r)
	c.alive--
}

// letGo frees what r holds once its records are written.
func (c *Core) letGo(r *run) {
	if r.stop != nil {
		c.endStop(r)
	}
	if r.proc == nil {
		return
	}
	delete(c.tokens, r.token)
	delete(c.blind, r)
	if r.proc.Child {
		c.staged.reap = append(c.staged.reap, r.proc)
	} else {
		c.adopted--
		c.staged.release = append(c.staged.release, r.proc)
	}
	r.proc = nil
}

// exitEvent turns what the kernel says into an event.
func exitEvent(r *run, x Exit, at time.Time) *wire.Event {
	e := r.event(wire.Exited, at)
	if !x.Known {
		e.Cause = wire.CauseLost
		e.Error = "the runner was restarted while the job ran; its exit status went to another process"
		return e
	}
	e.Cause, e.Signal, e.Core = wire.CauseExit, x.Signal, x.Core
	if x.Signal == 0 {
		code := x.Code
		e.ExitCode = &code
	}
	usage := x.Usage
	e.Usage = &usage
	return e
}
