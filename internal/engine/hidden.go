package engine

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/internal/joblog"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// HiddenPrefix begins the run id of every run that is no job's attempt: so that the end of one is
// known for what it is whoever has forgotten it.
const HiddenPrefix = "hook-"

func isHidden(run string) bool { return strings.HasPrefix(run, HiddenPrefix) }

// Hidden is who has runs that are no jobs' attempts: commands of hooks. Its methods do not block.
type Hidden interface {
	// LiveRuns returns the runs that were asked for by a daemon before and whose ends are not on record.
	LiveRuns() []string
	// Ended returns what the end of a run makes of its delivery, and whether there is one. It is asked
	// again where that could not be committed.
	Ended(store.RunEnd) (store.DeliveryUpdate, bool)
	// Recorded is told that the ends of runs are committed.
	Recorded(runs []string)
}

// HiddenRun is a run that is no job's attempt.
type HiddenRun struct {
	RunID string // begins with HiddenPrefix; on record before it is asked for
	JobID int64
	Log   int64 // number of its log among those of the job's hooks
	Argv  []string
	Env   []string // KEY=VALUE, laid over those that it has anyway
	// AsJob gives it account, environment, folder and umask of the job. Else it has the account of
	// Options.HiddenAccount and the environment of a login of that.
	AsJob   bool
	Stdin   []byte
	Timeout time.Duration // 0 = none
}

// hiddenGrace lies between stop signal and KILL of a hidden run.
const hiddenGrace = 5 * time.Second

// RunHidden asks for a run; Hidden.Ended tells of its end. It counts for no limit of jobs. While no
// runner is connected it waits for one. Errors: job.NotFound where AsJob and the job is not on record any
// more; job.Unavailable when the service ends.
func (e *Engine) RunHidden(ctx context.Context, r HiddenRun) error {
	start, err := e.hiddenStart(ctx, r)
	if err != nil {
		return err
	}
	return e.do(ctx, func(c *core, t *tx) error {
		if c.shutdown != nil || c.runnerStops {
			return errStopping()
		}
		t.after = append(t.after, func() {
			c.hidden[r.RunID] = start
			if c.runner != nil && c.welcome.Reports { // an older one gives no standard input
				c.sendStarts([]wire.Start{*start})
				return
			}
			c.unsent[r.RunID] = true
			c.tellHeld()
		})
		return nil
	})
}

// hiddenStart is the request that r is made of.
func (e *Engine) hiddenStart(ctx context.Context, r HiddenRun) (*wire.Start, error) {
	s := &wire.Start{RunID: r.RunID, JobID: r.JobID, Argv: r.Argv, Cwd: "/", Stdin: r.Stdin,
		Stdout: joblog.HookPath(e.o.LogDir, r.JobID, r.Log), GraceMS: hiddenGrace.Milliseconds()}
	if r.Timeout > 0 {
		s.TimeoutMS = max(r.Timeout.Milliseconds(), 1)
	}
	if r.AsJob {
		j, err := e.o.Store.Job(ctx, r.JobID)
		if err != nil {
			return nil, err
		}
		env, err := e.o.Store.Env(ctx, j.EnvID)
		if err != nil {
			return nil, err
		}
		s.Umask, s.Cwd = j.Umask, or(j.Cwd, "/")
		s.Env = newCaptured(env).env
		if e.o.Drops {
			s.User = j.User
			if j.UID != job.NoUID {
				s.By = &j.UID
			}
		}
	} else {
		uid := uint32(os.Geteuid())
		if e.o.HiddenAccount != nil {
			account, err := e.o.HiddenAccount(ctx)
			if err != nil {
				return nil, err
			}
			s.User, uid = account, job.NoUID
		}
		s.Env = environment(nil, uid, s.User)
	}
	s.Env = append(s.Env, r.Env...)
	s.Env = append(s.Env, "QUEUEMGR_JOB_ID="+strconv.FormatInt(r.JobID, 10), "QUEUEMGR_RUN_ID="+r.RunID)
	return s, nil
}

// hiddenEvent takes the end of a hidden run. Its start tells nothing that anybody waits for.
func (c *core) hiddenEvent(t *tx, ev *wire.Event) {
	if ev.Kind != wire.Exited {
		return
	}
	end := store.RunEnd{RunID: ev.RunID, At: ev.At.UTC().Truncate(time.Microsecond)}
	switch {
	case ev.Cause == wire.CauseRefused:
		end.Undone, end.Problem = true, "the command could not be started now: "+ev.Error
	case ev.Cause == wire.CauseStop:
		end.Undone, end.Stopped, end.Problem = true, true, "the command was stopped with the service"
	case ev.Cause == wire.CauseTimeout:
		end.Problem = "the command was ended by its time limit"
	case ev.Cause == wire.CauseSpawn:
		end.Problem = "the command can't be run: " + ev.Error
	case ev.Cause == wire.CauseLost:
		end.Problem = "how the command ended is not known: " + ev.Error
	case ev.Signal != 0:
		end.Problem = fmt.Sprintf("the command was killed by signal %d", ev.Signal)
	case ev.ExitCode == nil || *ev.ExitCode != 0:
		end.Problem = "the command failed"
		if ev.ExitCode != nil {
			end.Problem = fmt.Sprintf("the command ended with exit code %d", *ev.ExitCode)
		}
	}
	c.endHidden(t, end)
}

// endHidden has the end of a hidden run committed with t.
func (c *core) endHidden(t *tx, end store.RunEnd) {
	t.hiddenEnds = append(t.hiddenEnds, end.RunID)
	if c.o.Hidden == nil {
		return
	}
	if u, ok := c.o.Hidden.Ended(end); ok {
		t.deliveries = append(t.deliveries, u)
	} else {
		c.o.Log.Warn("a hook's command that nobody waits for has ended", "run", end.RunID, "problem", end.Problem)
	}
}

// attachHidden compares the hidden runs with those that a runner which has just welcomed us knows. One that was
// never forked is asked for again where the request is still there; otherwise it may or may not have
// run, which is told as a failure: hooks are called at least once.
func (c *core) attachHidden(t *tx, known map[string]wire.Run) {
	for run, start := range c.hidden {
		if _, ok := known[run]; ok || slices.Contains(t.hiddenEnds, run) {
			continue
		}
		never := c.evidence || c.unsent[run] // was it forked
		if start != nil && never && !c.runnerStops && c.shutdown == nil {
			if held := !c.welcome.Reports; held { // an older one gives no standard input: the run waits for a newer
				c.unsent[run] = true
			} else {
				t.starts = append(t.starts, *start)
				t.after = append(t.after, func() { delete(c.unsent, run) })
			}
			continue
		}
		c.endHidden(t, store.RunEnd{RunID: run, At: t.at, Undone: never, Problem: "whether the command ran is not known: the daemon or the runner began anew"})
	}
	t.after = append(t.after, c.tellHeld)
}

// tellHeld notes whether commands wait because the runner is an older one.
func (c *core) tellHeld() {
	c.hiddenHeld.Store(c.runner != nil && !c.welcome.Reports && len(c.unsent) > 0)
}

// endUnsent ends at a shutdown the hidden runs that no runner was asked for: the next service has them run.
func (c *core) endUnsent(t *tx) {
	for run := range c.unsent {
		if !slices.Contains(t.hiddenEnds, run) {
			c.endHidden(t, store.RunEnd{RunID: run, At: t.at, Undone: true, Stopped: true, Problem: "the service ended before the command was started"})
		}
	}
}

// settleHidden forgets what has ended with t.
func (c *core) settleHidden(t *tx) {
	if len(t.hiddenEnds) == 0 {
		return
	}
	for _, run := range t.hiddenEnds {
		delete(c.hidden, run)
		delete(c.unsent, run)
	}
	c.tellHeld()
	if c.o.Hidden != nil {
		c.o.Hidden.Recorded(t.hiddenEnds)
	}
}

// stopHidden asks every hidden run to end.
func (c *core) stopHidden(grace time.Duration, force bool) {
	if len(c.hidden) == 0 {
		return
	}
	ms := grace.Milliseconds()
	var stops []wire.Stop
	for run := range c.hidden {
		stops = append(stops, wire.Stop{RunID: run, Why: string(job.WantShutdown), GraceMS: &ms, Force: force})
	}
	c.send(&wire.Message{Stop: stops})
}
