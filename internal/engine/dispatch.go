package engine

import (
	"context"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/queuemgr/queuemgr/internal/joblog"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/internal/scheduler"
	"github.com/queuemgr/queuemgr/job"
)

// maxClaims bounds how many jobs of a queue one step claims, and so how long a step takes.
const maxClaims = 500

// dispatch claims waiting jobs for the free slots. The claim is committed with t; only then is the
// runner asked. Without a runner nothing is claimed: jobs wait where they are.
func (c *core) dispatch(t *tx) {
	if c.runner == nil || c.runnerStops || c.shutdown != nil || c.retry != nil {
		return
	}
	s := c.schedulerState()
	waiting := map[int64]*job.Job{}
	counts := c.o.Store.Counts().ByQueue
	looked, passed := true, false
	for i := range s.Queues {
		q := &s.Queues[i]
		free := s.Free(q)
		if counts[q.Name][job.Queued] == 0 {
			continue
		}
		if free == 0 {
			looked = looked && q.Paused
			continue
		}
		line, over, err := c.line(t.ctx, q.Name, min(free, maxClaims))
		passed = passed || over
		if err != nil {
			c.o.Log.Error("read waiting jobs", "queue", q.Name, "error", err)
			c.pauseClaims()
			continue
		}
		for _, j := range line {
			q.Waiting = append(q.Waiting, j.ID)
			waiting[j.ID] = j
		}
	}
	if looked || passed {
		c.waitsForNewer.Store(passed)
	}
	d := scheduler.Decide(s)
	c.lastQueue = d.Last
	c.again = c.again || len(d.Start) >= maxClaims
	for _, id := range d.Start {
		c.claim(t, waiting[id])
	}
}

// maxPassed bounds how far the first jobs of a queue that the connected runner can run are looked for.
const maxPassed = 4096

// line returns the first jobs of a queue that the connected runner can run, and whether some were
// passed over because it can't run them.
func (c *core) line(ctx context.Context, queue string, n int) (line []*job.Job, passed bool, err error) {
	for look := n; ; look *= 4 {
		first, err := c.o.Store.Candidates(ctx, queue, look)
		if err != nil || c.welcome.Reports {
			return first, false, err
		}
		line = slices.DeleteFunc(slices.Clone(first), needsReports)
		if len(line) >= n || len(first) < look || look >= maxPassed {
			return line[:min(n, len(line))], len(line) < len(first), nil
		}
	}
}

// schedulerState is what is live now.
func (c *core) schedulerState() scheduler.State {
	s := scheduler.State{MaxLive: c.o.settings().MaxConcurrent, Live: len(c.live), Last: c.lastQueue}
	for name, q := range *c.queues.Load() {
		s.Queues = append(s.Queues, scheduler.Queue{Name: name, Limit: q.Concurrency, Live: c.queueLive[name], Paused: q.Paused})
	}
	return s
}

// claim gives a waiting job a new attempt, with a run id and a fence of its own.
func (c *core) claim(t *tx, j *job.Job) {
	kept, err := c.captured(t.ctx, j)
	if err != nil { // it must not run with another environment than its own
		c.o.Log.Error("read a job's environment", "job", j.ID, "error", err)
		c.pauseClaims()
		return
	}
	e := t.edit(j)
	e.to.State = job.Starting
	e.to.Attempt++
	e.to.Fence++
	e.to.RunID = c.o.NewRunID()
	e.to.Node = c.o.Node
	start := c.start(e.to, kept)
	e.start = &start
	t.claims = true
}

// start is the request that runs j's attempt.
func (c *core) start(j *job.Job, kept captured) wire.Start {
	s := wire.Start{
		RunID: j.RunID, JobID: j.ID, Fence: j.Fence, Argv: j.Command, Cwd: j.Cwd, Umask: j.Umask,
		Stdout:    joblog.Path(c.o.LogDir, j.ID, j.Attempt, "stdout"),
		TimeoutMS: time.Duration(j.Timeout).Milliseconds(),
		GraceMS:   time.Duration(j.Grace).Milliseconds(),
		Env:       c.environ(j, kept.env),
	}
	if hasFolder(j) {
		s.Dir, s.Params, s.View = c.folder(j), kept.params, viewOf(j)
		if s.Params == nil {
			s.Params = j.Params
		}
	}
	if j.Watchdog > 0 {
		s.WatchdogMS = max(time.Duration(j.Watchdog).Milliseconds(), 1)
	}
	if c.o.Drops {
		s.User = j.User
		if j.UID != job.NoUID { // none is a token or a login: the runner's policy knows that
			s.By = &j.UID
		}
	}
	if j.Timeout > 0 {
		s.TimeoutMS = max(s.TimeoutMS, 1) // 0 would mean no limit
	}
	if s.Cwd == "" {
		s.Cwd = "/"
	}
	if j.Split {
		s.Stderr = joblog.Path(c.o.LogDir, j.ID, j.Attempt, "stderr")
	}
	if n, err := job.ParseSignal(j.StopSignal); err == nil {
		s.StopSignal = n
	}
	return s
}

// maxEnvs bounds the cache of environments: most jobs of a time share a few.
const maxEnvs = 64

// captured returns what came with the job. Secrets are not kept in memory.
func (c *core) captured(ctx context.Context, j *job.Job) (captured, error) {
	if kept, ok := c.envs[j.EnvID]; ok {
		return kept, nil
	}
	entries, err := c.o.Store.Env(ctx, j.EnvID)
	if err != nil {
		return captured{}, err
	}
	kept := newCaptured(entries)
	if kept.params != nil {
		return kept, nil
	}
	if len(c.envs) >= maxEnvs {
		clear(c.envs)
	}
	c.envs[j.EnvID] = kept
	return kept, nil
}

// ownVariables are set for each job, by us or by the runner, and never taken from the environment that
// came with it.
var ownVariables = []string{"QUEUEMGR_JOB_ID", "QUEUEMGR_RUN_ID", "QUEUEMGR_ATTEMPT", "QUEUEMGR_QUEUE", "QUEUEMGR_FENCE", "QUEUEMGR_DIR",
	"QUEUEMGR_PARAMS", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

// folder is where a job sees itself while it runs.
func (c *core) folder(j *job.Job) string {
	return filepath.Join(c.o.ProcDir, "proc", strconv.FormatInt(j.ID, 10))
}

func (c *core) environ(j *job.Job, env []string) []string {
	return append(slices.Clone(env),
		"QUEUEMGR_JOB_ID="+strconv.FormatInt(j.ID, 10),
		"QUEUEMGR_RUN_ID="+j.RunID,
		"QUEUEMGR_ATTEMPT="+strconv.Itoa(j.Attempt),
		"QUEUEMGR_QUEUE="+j.Queue,
		"QUEUEMGR_FENCE="+strconv.FormatUint(j.Fence, 10),
		"QUEUEMGR_DIR="+c.folder(j),
	)
}

// environment returns the whole environment of a job to add, KEY=VALUE sorted by key: the given
// one, or for a job that brings none that of a login of its owner, or of account where the owner is
// no user of this machine.
func environment(given map[string]string, uid uint32, account string) []string {
	env := make([]string, 0, len(given)+5)
	if given == nil {
		env = append(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
		u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
		if uid == job.NoUID {
			u, err = user.Lookup(account)
		}
		if err == nil {
			env = append(env, "HOME="+u.HomeDir, "LOGNAME="+u.Username, "USER="+u.Username)
		}
	}
	for k, v := range given {
		if !slices.Contains(ownVariables, k) {
			env = append(env, k+"="+v)
		}
	}
	slices.Sort(env)
	return env
}
