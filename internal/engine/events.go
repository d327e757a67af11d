package engine

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// received are events from the runner.
type received struct {
	from   sender
	events []wire.Event
}

// apply accounts for each event once: those up to the cursor are on record already, and one whose
// run id or fence is not the job's present one belongs to a claim that is over.
func (in received) apply(c *core, t *tx) {
	if in.from != c.runner {
		return // of a connection that was given up: they come again
	}
	c.point("engine.after-events-received")
	cursor := c.cursor
	if t.cursor != nil {
		cursor = *t.cursor
	}
	for i := range in.events {
		ev := &in.events[i]
		if ev.Seq <= cursor.Seq {
			continue
		}
		cursor.Seq = ev.Seq
		c.event(t, ev)
	}
	t.cursor = &store.Cursor{Journal: c.welcome.Journal, BootID: c.welcome.BootID, Seq: cursor.Seq}
	t.acknowledges, t.vital = true, true
}

func (c *core) event(t *tx, ev *wire.Event) {
	if isHidden(ev.RunID) {
		c.hiddenEvent(t, ev)
		return
	}
	j := c.current(t, ev.JobID)
	if j == nil || !j.State.Live() || j.RunID != ev.RunID || j.Fence != ev.Fence {
		c.o.Log.Warn("event of a run that is over", "job", ev.JobID, "run", ev.RunID, "kind", ev.Kind, "cause", ev.Cause)
		return
	}
	e := t.edit(j)
	ev.At = ev.At.UTC().Truncate(time.Microsecond)
	switch ev.Kind {
	case wire.Started:
		e.to.StartedAt = ev.At
		e.to.PID = ev.PID
		if j.State == job.Starting {
			e.to.State = job.Running
		}
	case wire.Exited:
		if ev.Cause == wire.CauseRefused {
			c.o.Log.Warn("the runner could not start a job now", "job", j.ID, "error", ev.Error)
			c.pauseClaims()
		}
		if ev.Report != nil {
			e.report = c.takeReport(e.to, ev.Report) || e.report
		}
		end(e, ev)
	default:
		c.o.Log.Warn("unknown event from the runner", "kind", ev.Kind, "job", ev.JobID)
	}
}

// end turns a run's end into the job's. The cause is the runner's word: it alone knows whether the
// process ended before or after a signal was sent.
func end(e *edit, ev *wire.Event) {
	n := e.to
	if ev.Cause == wire.CauseRefused {
		neverStarted(e, ev.At)
		return
	}
	n.FinishedAt = ev.At
	n.PID = 0
	n.ExitCode = ev.ExitCode
	n.Signal = ev.Signal
	n.Error = ev.Error
	if u := ev.Usage; u != nil {
		n.Usage = &job.Usage{
			CPUUser:   job.Duration(time.Duration(u.CPUUserUS) * time.Microsecond),
			CPUSystem: job.Duration(time.Duration(u.CPUSystemUS) * time.Microsecond),
			MaxRSS:    u.MaxRSS, ReadBytes: u.ReadBytes, WriteBytes: u.WriteBytes,
		}
	}
	switch ev.Cause {
	case wire.CauseStop:
		n.State, n.Reason = job.Stopped, job.ReasonUser
		if ev.Why == string(job.WantShutdown) {
			n.Reason = job.ReasonShutdown
		}
	case wire.CauseTimeout:
		n.State, n.Reason = job.Failed, job.ReasonTimeout
		n.Error = fmt.Sprintf("stopped after its time limit of %s", n.Timeout)
		if ev.Why == wire.WhyWatchdog {
			n.Error = fmt.Sprintf("was silent for %s (watchdog)", n.Watchdog)
		}
		if ev.Error != "" {
			n.Error += "; " + ev.Error
		}
	case wire.CauseSpawn:
		n.State, n.Reason = job.Failed, job.ReasonSpawn
		n.ExitCode = spawnExitCode(syscall.Errno(ev.Errno))
	case wire.CauseLost:
		n.State, n.Reason = job.Failed, job.ReasonLost
	default:
		switch {
		case ev.Signal != 0:
			n.State, n.Reason = job.Failed, job.ReasonSignal
		case ev.ExitCode != nil && (*ev.ExitCode == 0 || slices.Contains(n.SuccessCodes, *ev.ExitCode)):
			n.State, n.Reason = job.Completed, ""
		default:
			n.State, n.Reason = job.Failed, job.ReasonExit
			if ev.Report != nil && ev.Report.Error != "" {
				n.Error = ev.Report.Error
			}
		}
	}
	concludeWant(e)
}

// spawnExitCode is what a shell would answer: 127 for what is not there, 126 for what cannot run.
func spawnExitCode(errno syscall.Errno) *int {
	code := 126
	if errno == syscall.ENOENT {
		code = 127
	}
	return &code
}

// concludeWant applies what was asked of the job while it was live, and on_lost.
func concludeWant(e *edit) {
	n := e.to
	want := n.Want
	n.Want, n.WantForce, n.WantGrace = "", false, nil
	again := n.OnLost == job.OnLostRequeue && want != job.WantStop
	switch {
	case want == job.WantDelete:
		n.State = job.Deleted
	case again && n.State == job.Failed && n.Reason == job.ReasonLost,
		again && n.State == job.Stopped && n.Reason == job.ReasonShutdown:
		requeue(e, n.FinishedAt)
	}
}

// requeue gives a job that has ended another attempt and keeps the one that it had. One that was
// stopped while it waited had none since the last that was kept: it has no run id.
func requeue(e *edit, at time.Time) {
	n := e.to
	if n.RunID != "" {
		e.archive = &job.Attempt{JobID: n.ID, Attempt: n.Attempt, RunID: n.RunID, State: n.State, Reason: n.Reason,
			ExitCode: n.ExitCode, Signal: n.Signal, StartedAt: n.StartedAt, FinishedAt: n.FinishedAt, Usage: n.Usage, Error: n.Error, Progress: n.Progress, StatusText: n.StatusText}
	}
	n.State, n.Reason = job.Queued, ""
	n.ExitCode, n.Signal, n.Usage, n.Error = nil, 0, nil, ""
	n.Progress, n.StatusText, n.Result, n.Notes = nil, "", nil, nil
	n.StartedAt, n.FinishedAt, n.PID, n.RunID = time.Time{}, time.Time{}, 0, ""
	n.QueuedAt = at
}
