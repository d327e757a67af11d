package runner

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// Texts of CauseLost.
const (
	lostReboot = "the machine restarted while the job ran; its outcome is not known"
	lostGone   = "the runner was restarted while the job ran; its exit status went to another process"
	lostIntent = "the runner died while starting it; whether it ran is not known"
)

// recover finds out what became of the journal's runs. An outcome that cannot be known is lost:
// never guessed, never run again.
func (c *Core) recover() error {
	found := c.journal.found
	c.journal.found = nil
	rebooted := c.journal.header.BootID != c.sys.BootID()
	var doubt []*run
	for _, rec := range found {
		r := &run{runRecord: *rec}
		c.add(r)
		c.outboxOf(r)
		c.resumeFolder(r, found)
		switch {
		case r.Exited != nil:
		case rebooted && r.Status == nil:
			c.lost(r, lostReboot)
		case rebooted:
			e := *r.Status
			c.ended(r, &e)
		case r.Status != nil:
			c.resumeStop(r)
		case r.Started == nil:
			doubt = append(doubt, r)
		default:
			c.adopt(r, r.Started.PID, r.Started.StartTicks)
		}
	}
	slices.SortFunc(c.outbox, func(a, b *wire.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	if len(doubt) > 0 {
		snap, err := c.sys.ScanNow()
		if err != nil {
			return fmt.Errorf("look for jobs of the runner before: %w", err)
		}
		for _, r := range doubt {
			c.seek(r, snap)
		}
	}
	if !rebooted {
		return nil
	}
	// What was written last before a power loss may be gone, so this counts as another journal.
	// The ends above are written first, while the old boot id still stands in the header.
	if !c.writeOut() {
		return fmt.Errorf("the runner journal %s cannot be written", c.journal.path)
	}
	c.journal.header.BootID = c.sys.BootID()
	c.newIdentity()
	return nil
}

// resumeFolder goes on with what the runner before may have left undone of r's last words and its folder.
func (c *Core) resumeFolder(r *run, all []*runRecord) {
	if r.Exited != nil {
		r.closed = true
		another := slices.ContainsFunc(all, func(o *runRecord) bool { return o.Exited == nil && o.Intent.Dir == r.Intent.Dir })
		if r.Intent.Dir != "" && r.Started != nil && !another {
			c.staged.clear = append(c.staged.clear, r)
		}
		return
	}
	if r.Status == nil {
		return
	}
	r.collected = true
	if rep := r.Status.Report; rep != nil {
		r.voice = &voice{report: *rep, final: rep.Result != nil}
		r.voice.report.RunID, r.voice.report.JobID, r.voice.report.Fence = r.id(), r.Intent.JobID, r.Intent.Fence
	}
}

// writeOut writes the staged records at once.
func (c *Core) writeOut() bool {
	c.writeJournal()
	return len(c.staged.records) == 0
}

// outboxOf puts the recorded events of r that nobody acknowledged into the outbox.
func (c *Core) outboxOf(r *run) {
	for _, e := range []*wire.Event{r.Started, r.Exited} {
		if e != nil && e.Seq > c.journal.header.Acked {
			c.outbox = append(c.outbox, e)
		}
	}
}

// adopt goes on watching a process of the runner before.
func (c *Core) adopt(r *run, pid int, ticks uint64) {
	p, ok := c.sys.Open(pid, ticks)
	if !ok {
		c.gone(r)
		return
	}
	c.hold(r, p)
	c.staged.started = append(c.staged.started, r)
	c.goOnStopping(r)
	c.watch(r)
	now := c.sys.Now()
	c.limit(r, now.Add(-now.Sub(r.Started.At)))
}

// seek looks for the process of a run whose fork is in doubt.
func (c *Core) seek(r *run, snap Snapshot) {
	info, ok := carrier(snap, r.id())
	if !ok {
		c.lost(r, lostIntent)
		return
	}
	p, ok := c.sys.Open(info.PID, info.Ticks)
	if !ok {
		c.gone(r)
		return
	}
	c.started(r, p, info.Started)
	c.goOnStopping(r)
}

// goOnStopping goes on with a stop of the runner before: what it left undone of signal, grace, KILL.
func (c *Core) goOnStopping(r *run) {
	if r.Stop == nil {
		return
	}
	c.stopRun(r, stopRequest{cause: r.Stop.Cause, why: r.Stop.Why, grace: r.Stop.grace(), force: r.Stop.Force})
	r.stop.signalled = r.Stop.signalled() // once is enough
	if !r.stop.signalled || r.stop.kill {
		return
	}
	now := c.sys.Now()
	// Wall clock, which may have been set meanwhile: never longer than the whole grace.
	left := min(r.Stop.KillAt.Sub(now), r.stop.grace)
	c.timers.set(&r.stop.killAt, now.Add(left), atKill, r)
}

// gone ends a run whose leader ended while no runner watched. Was it sent a signal before, then it
// was stopped, as soon as the rest of its tree is gone, too.
func (c *Core) gone(r *run) {
	if r.Stop == nil || !r.Stop.signalled() {
		c.lost(r, lostGone)
		return
	}
	e := r.event(wire.Exited, c.sys.Now())
	e.Cause, e.Why, e.Error = r.Stop.Cause, r.Stop.Why, lostGone
	r.Status = e
	c.append(record{Status: e})
	c.resumeStop(r)
}

// resumeStop goes on ending the tree of a run whose leader has ended.
func (c *Core) resumeStop(r *run) {
	if r.Stop == nil { // that record was damaged: nothing is known of a grace
		r.Stop = &stopped{RunID: r.id(), Cause: r.Status.Cause, Why: r.Status.Why, Force: true}
		c.append(record{Stop: r.Stop})
	}
	c.goOnStopping(r)
}

func (c *Core) lost(r *run, text string) {
	e := r.event(wire.Exited, c.sys.Now())
	e.Cause, e.Error = wire.CauseLost, text
	c.ended(r, e)
}
