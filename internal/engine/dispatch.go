package engine

import (
	"context"
	"fmt"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	if c.runner == nil || c.shutdown != nil || c.full {
		return
	}
	s := c.schedulerState(t)
	waiting := map[int64]*job.Job{}
	counts := c.o.Store.Counts().ByQueue
	for i := range s.Queues {
		q := &s.Queues[i]
		free := s.Free(q)
		if free == 0 || counts[q.Name][job.Queued] == 0 {
			continue
		}
		// Jobs that t itself moved are still in the store's line: read that many more.
		line, err := c.o.Store.Candidates(t.ctx, q.Name, min(free, maxClaims)+len(t.edits))
		if err != nil {
			c.o.Log.Error("read waiting jobs", "queue", q.Name, "error", err)
			continue
		}
		for _, j := range line {
			if t.edits[j.ID] == nil {
				q.Waiting = append(q.Waiting, j.ID)
				waiting[j.ID] = j
			}
		}
	}
	d := scheduler.Decide(s)
	c.lastQueue = d.Last
	c.again = c.again || len(d.Start) >= maxClaims
	for _, id := range d.Start {
		c.claim(t, waiting[id])
	}
}

// schedulerState is what is live, with t's changes.
func (c *core) schedulerState(t *tx) scheduler.State {
	live := map[string]int{}
	for _, e := range t.edits {
		if was, is := e.from.State.Live(), e.to.State.Live(); was && !is {
			live[e.from.Queue]--
		} else if is && !was {
			live[e.to.Queue]++
		}
	}
	s := scheduler.State{MaxLive: c.o.MaxConcurrent, Last: c.lastQueue}
	for name, q := range *c.queues.Load() {
		n := c.queueLive[name] + live[name]
		s.Live += n
		s.Queues = append(s.Queues, scheduler.Queue{Name: name, Limit: q.Concurrency, Live: n, Paused: q.Paused})
	}
	return s
}

// claim gives a waiting job a new attempt, with a run id and a fence of its own.
func (c *core) claim(t *tx, j *job.Job) {
	n := t.edit(j).to
	n.State = job.Starting
	n.Attempt++
	n.Fence++
	n.RunID = c.o.NewRunID()
	n.Node = c.o.Node
	t.claims = append(t.claims, j.ID)
}

// start is the request that runs j's attempt.
func (c *core) start(ctx context.Context, j *job.Job) wire.Start {
	s := wire.Start{
		RunID: j.RunID, JobID: j.ID, Fence: j.Fence, Argv: j.Command, Cwd: j.Cwd, Umask: j.Umask,
		Stdout:    joblog.Path(c.o.LogDir, j.ID, j.Attempt, "stdout"),
		TimeoutMS: time.Duration(j.Timeout).Milliseconds(),
		GraceMS:   time.Duration(j.Grace).Milliseconds(),
		Env:       c.environ(ctx, j),
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

func (c *core) environ(ctx context.Context, j *job.Job) []string {
	env, ok := c.envs[j.EnvID]
	if !ok {
		var err error
		if env, err = c.o.Store.Env(ctx, j.EnvID); err != nil {
			c.o.Log.Error("read a job's environment", "job", j.ID, "error", err)
		} else {
			if len(c.envs) >= maxEnvs {
				clear(c.envs)
			}
			c.envs[j.EnvID] = env
		}
	}
	return append(slices.Clone(env),
		"QUEUEMGR_JOB_ID="+strconv.FormatInt(j.ID, 10),
		"QUEUEMGR_RUN_ID="+j.RunID,
		"QUEUEMGR_ATTEMPT="+strconv.Itoa(j.Attempt),
		"QUEUEMGR_QUEUE="+j.Queue,
		"QUEUEMGR_FENCE="+strconv.FormatUint(j.Fence, 10),
		"QUEUEMGR_DIR="+filepath.Join(c.o.ProcDir, "proc", strconv.FormatInt(j.ID, 10)),
	)
}

// environment returns the whole environment of a job to add, KEY=VALUE sorted by key: the given
// one, or for a job that brings none that of a login of its owner.
func environment(given map[string]string, uid uint32) []string {
	env := make([]string, 0, len(given)+5)
	if given == nil {
		env = append(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
		if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
			env = append(env, "HOME="+u.HomeDir, "LOGNAME="+u.Username, "USER="+u.Username)
		}
	}
	for k, v := range given {
		if !strings.HasPrefix(k, "QUEUEMGR_") { // ours to set
			env = append(env, fmt.Sprintf("%s=%s", k, v))
		}
	}
	slices.Sort(env)
	return env
}
