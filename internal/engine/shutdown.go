package engine

import (
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/job"
)

// shutdown is the state of a graceful end: nothing is claimed any more, live jobs are asked to
// end, then the runner, then the core ends.
type shutdown struct {
	deadline <-chan time.Time
	passed   bool // the deadline has
	forced   bool // the first deadline has passed: everything gets KILL
	quitSent bool
	over     bool
}

// killMargin is how long the runner has to report the ends after KILL.
const killMargin = 5 * time.Second

// expired is nil, and so never ready, while no shutdown is under way.
func (s *shutdown) expired() <-chan time.Time {
	if s == nil {
		return nil
	}
	return s.deadline
}

// beginShutdown asks every live job to end. Asked for again it asks those that were not yet.
func (c *core) beginShutdown(t *tx, keepJobs bool) {
	if keepJobs {
		t.after = append(t.after, func() {
			c.stopping.Store(true)
			c.finished = true
		})
		return
	}
	timeout := c.o.settings().ShutdownTimeout
	for id := range c.live {
		if j := c.current(t, id); j.Want == "" {
			grace := min(time.Duration(j.Grace), timeout)
			c.askToEnd(t, j, job.WantShutdown, &grace, false)
		}
	}
	c.endUnsent(t)
	t.after = append(t.after, func() {
		if c.shutdown == nil {
			c.o.Log.Info("shutting down", "live", len(c.live), "timeout", timeout)
			c.stopping.Store(true)
			c.shutdown = &shutdown{deadline: time.After(timeout)}
			c.stopHidden(min(hiddenGrace, timeout), false)
		}
	})
}

// continueShutdown forces what has not ended by the deadline, and gives up after a margin: the
// runner goes on killing by itself and its next daemon learns the ends.
func (c *core) continueShutdown(t *tx) {
	if c.shutdown == nil || !c.shutdown.passed {
		return
	}
	c.shutdown.passed = false
	if c.shutdown.forced {
		c.shutdown.over = true
		return
	}
	c.shutdown.forced = true
	c.shutdown.deadline = time.After(killMargin)
	c.forceAll(t)
	t.after = append(t.after, func() { c.stopHidden(0, true) })
}

// forceAll asks for KILL of every live job that it was not asked for yet.
func (c *core) forceAll(t *tx) {
	for id := range c.live {
		if j := c.current(t, id); !j.WantForce {
			c.askToEnd(t, j, job.WantShutdown, nil, true)
		}
	}
}

// endShutdown ends the runner when nothing is live, and the core when the runner has gone. While a
// connection is being made it is waited for: a runner may just have been started.
func (c *core) endShutdown() {
	s := c.shutdown
	idle := len(c.live) == 0 && (len(c.hidden) == len(c.unsent) || c.runner == nil)
	switch {
	case s == nil:
	case s.over, idle && c.runner == nil && (s.quitSent || c.runnerProblem.Load() != nil):
		c.quit.Store(true)
		c.finished = true
	case idle && c.runner != nil && !s.quitSent:
		s.quitSent = true
		c.quit.Store(true)
		c.send(&wire.Message{Quit: &wire.Quit{}})
		c.again = c.again || c.runner == nil
	}
}

// bye is the runner's answer to Quit, or says unasked that it is ending. A runner that ends closes
// the connection as the last thing it does, which ends the shutdown; one that stays does not.
type bye struct {
	from sender
	wire.Bye
}

func (in bye) apply(c *core, _ *tx) {
	if in.from != c.runner {
		return
	}
	if in.Stopping {
		c.o.Log.Warn("the runner was told to end: jobs wait for the next one", "running", in.Running)
		c.runnerStops = true
		return
	}
	if c.shutdown == nil && in.Running > 0 {
		c.runnerStops = false // it was told to end and has something to do: see core.replaceRunner
	}
	if c.shutdown != nil && in.Running > 0 {
		c.o.Log.Warn("the runner stays: it has processes that the registry does not know", "running", in.Running)
		c.shutdown.over = true
	}
}
