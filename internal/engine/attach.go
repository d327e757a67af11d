package engine

import (
	"fmt"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// connected is a new connection on which the runner has welcomed us.
type connected struct {
	runner  sender
	welcome wire.Welcome
}

// apply compares what the registry says is live with what the runner knows.
//
//	runner knows the run        its events follow; what was asked of it is said again
//	unknown, evidence good      never forked: a start is sent again, a stop has nothing to stop
//	unknown, evidence broken    lost: it may have run, so it is never run again unasked
//
// The evidence is good when the runner's journal is the one that our cursor counts in, written in
// the same boot, and no other daemon has acknowledged events that we have not seen: then the
// absence of a run in it proves that no INTENT was written, and so that nothing was forked.
func (in connected) apply(c *core, t *tx) {
	c.disconnect()
	c.runner, c.welcome = in.runner, in.welcome
	w := &in.welcome
	c.runnerStatus.Store(&job.RunnerStatus{PID: w.PID, Version: w.Version})
	good := w.Journal == c.cursor.Journal && w.BootID == c.cursor.BootID && w.Acked <= c.cursor.Seq
	why := "the runner's journal is not the one in which the job was started"
	if w.Journal == c.cursor.Journal && w.BootID != c.cursor.BootID {
		why = "the machine restarted while the job was live"
	}
	known := make(map[string]bool, len(w.Runs))
	for _, r := range w.Runs {
		known[r.RunID] = true
		if j := c.live[r.JobID]; j == nil || j.RunID != r.RunID {
			c.o.Log.Warn("the runner has a run that the registry does not know as live", "job", r.JobID, "run", r.RunID, "state", r.State)
		}
	}
	var starts []wire.Start
	var stops []wire.Stop
	for _, j := range c.live {
		switch {
		case known[j.RunID]:
			if j.Want != "" {
				stops = append(stops, wire.Stop{RunID: j.RunID, Why: string(j.Want)})
			}
		case !good:
			lose(t.edit(j), t.at, why)
		case !j.StartedAt.IsZero():
			lose(t.edit(j), t.at, "the runner does not know the job any more")
		case j.Want != "":
			neverStarted(t.edit(j), t.at)
		default:
			starts = append(starts, c.start(t.ctx, j))
		}
	}
	if !good {
		// From here on this journal is the one that evidence is taken from.
		t.cursor = &store.Cursor{Journal: w.Journal, BootID: w.BootID, Seq: w.Acked}
		if w.Journal == c.cursor.Journal {
			t.cursor.Seq = max(t.cursor.Seq, c.cursor.Seq)
		}
	}
	c.setRunnerProblem("")
	t.after = append(t.after, func() {
		if len(starts) > 0 {
			c.send(&wire.Message{Start: starts})
		}
		if len(stops) > 0 {
			c.send(&wire.Message{Stop: stops})
		}
	})
	c.o.Log.Info("runner connected", "pid", w.PID, "version", w.Version, "runs", len(w.Runs), "live", len(c.live),
		"started_again", len(starts), "evidence_good", good)
}

// lose ends a job whose outcome cannot be known.
func lose(e *edit, at time.Time, why string) {
	n := e.to
	n.State, n.Reason = job.Failed, job.ReasonLost
	n.FinishedAt, n.PID = at, 0
	n.Error = fmt.Sprintf("its outcome is not known: %s", why)
	concludeWant(e)
}

// neverStarted ends a claimed job that was asked to end before anything was forked.
func neverStarted(e *edit, at time.Time) {
	n := e.to
	n.FinishedAt = at
	n.State, n.Reason = job.Stopped, job.ReasonUser
	if n.Want == job.WantShutdown {
		n.Reason = job.ReasonShutdown
	}
	concludeWant(e)
}

// disconnected says that a connection to the runner has ended.
type disconnected struct{ runner sender }

func (in disconnected) apply(c *core, _ *tx) {
	if in.runner == c.runner {
		c.disconnect()
	}
}
