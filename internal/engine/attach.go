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

// apply takes the connection over: from here on its journal is the one that events are counted in
// and evidence is taken from. What the runner knows is compared with what is live once every input
// of the step has had its say: see core.attach.
func (in connected) apply(c *core, t *tx) {
	c.disconnect()
	w := in.welcome
	c.runner, c.welcome = in.runner, w
	c.runnerStops, c.attaching = w.Stopping, true
	cursor := c.cursor
	if t.cursor != nil {
		cursor = *t.cursor
	}
	sameJournal := w.Journal == cursor.Journal
	c.evidence = sameJournal && w.BootID == cursor.BootID && w.Acked <= cursor.Seq
	if !c.evidence {
		t.cursor = &store.Cursor{Journal: w.Journal, BootID: w.BootID, Seq: w.Acked}
		if sameJournal {
			t.cursor.Seq = max(w.Acked, cursor.Seq)
		}
	}
	c.whyLost = "the runner's journal is not the one in which the job was started"
	if sameJournal && w.BootID != cursor.BootID {
		c.whyLost = "the machine restarted while the job was live"
	}
	c.runnerStatus.Store(&job.RunnerStatus{PID: w.PID, Version: w.Version})
	c.setRunnerProblem("")
	c.runnerOld.Store(nil)
	if text := c.oldRunner(&w); text != "" {
		c.runnerOld.Store(&text)
	}
}

// attach compares what the registry says is live with what the runner knows.
//
//	runner knows the run        its events follow; what was asked of it is said again
//	unknown, evidence good      never forked: a start is sent again, a stop has nothing to stop
//	unknown, evidence broken    lost: it may have run, so it is never run again unasked
//
// The evidence is good when the runner's journal is the one that our cursor counts in, written in
// the same boot, and no other daemon has acknowledged events that we have not seen: then the
// absence of a run in it proves that no INTENT was written, and so that nothing was forked.
func (c *core) attach(t *tx) {
	c.attaching = false
	if c.runner == nil {
		return // gone again in the same step
	}
	t.vital = true
	w := &c.welcome
	known := make(map[string]wire.Run, len(w.Runs))
	for _, r := range w.Runs {
		known[r.RunID] = r
		if _, hidden := c.hidden[r.RunID]; hidden {
			continue
		}
		if j := c.live[r.JobID]; j == nil || j.RunID != r.RunID {
			c.o.Log.Warn("the runner has a run that the registry does not know as live", "job", r.JobID, "run", r.RunID, "state", r.State)
		}
	}
	if c.shutdown != nil && c.shutdown.forced {
		c.forceAll(t) // where that could not be committed before
	}
	for id := range c.live {
		if j := c.current(t, id); j.State.Live() {
			run, ok := known[j.RunID]
			c.attachJob(t, j, ok, run.Stopping)
		}
	}
	c.attachHidden(t, known)
	c.o.Log.Info("runner connected", "pid", w.PID, "version", w.Version, "runs", len(w.Runs), "live", len(c.live),
		"started_again", len(t.starts), "evidence_good", c.evidence)
}

func (c *core) attachJob(t *tx, j *job.Job, known, stopping bool) {
	switch {
	case known:
		if j.Want != "" && (!stopping || j.WantForce) && (t.edits[j.ID] == nil || t.edits[j.ID].stop == nil) {
			t.stops = append(t.stops, stopOf(j))
		}
	case !c.evidence:
		lose(t.edit(j), t.at, c.whyLost)
	case !j.StartedAt.IsZero():
		lose(t.edit(j), t.at, "the runner does not know the job any more")
	case j.Want != "", needsReports(j) && !c.welcome.Reports:
		neverStarted(t.edit(j), t.at)
	default:
		kept, err := c.captured(t.ctx, j)
		if err != nil {
			c.o.Log.Error("read a job's environment: it is queued again", "job", j.ID, "error", err)
			neverStarted(t.edit(j), t.at)
			return
		}
		t.starts = append(t.starts, c.start(j, kept))
	}
}

// lose ends a job whose outcome cannot be known.
func lose(e *edit, at time.Time, why string) {
	n := e.to
	n.State, n.Reason = job.Failed, job.ReasonLost
	n.FinishedAt, n.PID = at, 0
	n.Error = fmt.Sprintf("its outcome is not known: %s", why)
	concludeWant(e)
}

// neverStarted takes a claim back before anything was forked: the job ends as it was asked to, or
// waits again as if it had not been claimed.
func neverStarted(e *edit, at time.Time) {
	n := e.to
	switch n.Want {
	case "":
		n.State, n.RunID = job.Queued, ""
		n.Attempt--
		return
	case job.WantShutdown:
		n.State, n.Reason = job.Stopped, job.ReasonShutdown
	default:
		n.State, n.Reason = job.Stopped, job.ReasonUser
	}
	n.FinishedAt = at
	concludeWant(e)
}

// disconnected says that a connection to the runner has ended.
type disconnected struct{ runner sender }

func (in disconnected) apply(c *core, _ *tx) {
	if in.runner == c.runner {
		c.disconnect()
	}
}
