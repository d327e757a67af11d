package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/queuemgr/queuemgr/internal/joblog"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// DefaultGrace lies between stop signal and KILL of a job that names no grace.
const DefaultGrace = job.Duration(10e9)

// AddJob implements job.Service.
func (e *Engine) AddJob(ctx context.Context, s job.Spec) (*job.Job, error) {
	jobs, err := e.add(ctx, job.Batch{Jobs: []job.Spec{s}})
	if err != nil {
		if je, ok := errorAs(err); ok && je.Line != 0 {
			alone := *je
			alone.Line = 0
			return nil, &alone
		}
		return nil, err
	}
	return e.describe(jobs[0]), nil
}

// AddJobs implements job.Service.
func (e *Engine) AddJobs(ctx context.Context, b job.Batch) ([]int64, error) {
	if len(b.Jobs) == 0 {
		return []int64{}, nil
	}
	if len(b.Jobs) > job.MaxBatch {
		return nil, job.TooManyJobs()
	}
	jobs, err := e.add(ctx, b)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
	}
	return ids, nil
}

func (e *Engine) add(ctx context.Context, b job.Batch) ([]*job.Job, error) {
	if e.core.stopping.Load() {
		return nil, errStopping()
	}
	caller, ok := job.CallerFrom(ctx)
	if !ok {
		return nil, &job.Error{Code: job.Forbidden, Message: "nobody is known to ask for this job"}
	}
	now := e.o.Now().UTC().Truncate(1000)
	settings := e.o.settings()
	add := store.AddJobs{At: now, MaxWaiting: settings.MaxQueueSize, TypeLimits: settings.TypeLimits, Jobs: make([]store.NewJob, len(b.Jobs))}
	queues := e.core.queues.Load()
	if err := (&job.Spec{Command: []string{"defaults"}, Env: b.Defaults.Env}).Check(); err != nil {
		return nil, err
	}
	var shared []string // environment of jobs that add nothing to the defaults
	jobs := make([]*job.Job, len(b.Jobs))
	for i := range b.Jobs {
		s := b.Jobs[i]
		own := len(s.Env) > 0
		fill(&s, &b.Defaults)
		whole := s.Env
		if !own {
			s.Env = nil // the defaults' is checked once for all
		}
		if err := s.Check(); err != nil {
			return nil, atLine(err, i+1)
		}
		var secret json.RawMessage
		if s.Typed() {
			var err error
			if secret, err = e.prepare(&s); err != nil {
				return nil, atLine(err, i+1)
			}
		}
		s.Env = whole
		name := s.Queue
		if name == "" {
			name = job.DefaultQueue
		}
		q, ok := (*queues)[name]
		if !ok {
			return nil, atLine(noQueue(name, *queues), i+1)
		}
		j := newJob(&s, &q, caller)
		j.CreatedAt = now
		if j.State == job.Queued {
			j.QueuedAt = now
		}
		jobs[i] = j
		env := shared
		if own || env == nil {
			env = environment(s.Env, caller.UID, s.User)
			if !own {
				shared = env
			}
		}
		add.Jobs[i] = store.NewJob{Job: j, Env: withParams(env, secret)}
	}
	// Carried out even when the caller goes away: what is on disk has to be dispatched.
	added, err := e.o.Store.AddJobs(context.WithoutCancel(ctx), add)
	if err != nil {
		return nil, err
	}
	e.removeLogs(added.Purged)
	e.in.wake()
	return jobs, nil
}

// newJob makes the record of a checked spec.
func newJob(s *job.Spec, q *job.Queue, caller job.Caller) *job.Job {
	j := &job.Job{
		Key: s.Key, Name: s.Name, Queue: q.Name, Type: s.Type, State: job.Queued, Command: s.Command, Params: s.Params,
		Cwd: s.Cwd, Tags: s.Tags, Owner: caller.Name, User: s.User, UID: caller.UID, GID: caller.GID, MaxAttempts: 1,
		Timeout: s.Timeout, Grace: s.Grace, StopSignal: s.StopSignal, OnLost: s.OnLost, Split: s.Split, Umask: s.Umask, Hooks: s.Hooks,
		Watchdog: s.Watchdog, SuccessCodes: s.SuccessCodes,
	}
	if s.Priority != nil {
		j.Priority = *s.Priority
	}
	if j.Type == "" {
		j.Type = job.TypeCommand
	}
	if s.Shell != "" {
		j.Type = job.TypeShell
		j.Command = []string{"/bin/sh", "-c", s.Shell}
	}
	if j.Grace == 0 {
		j.Grace = DefaultGrace
	}
	if s.Hold || q.Start == job.StartManual {
		j.State = job.Held
	}
	return j
}

// fill lays the defaults of a batch under one of its jobs.
func fill(s, d *job.Spec) {
	switch saysWhat := s.Shell != "" || len(s.Command) > 0 || s.Typed(); {
	case !saysWhat:
		s.Shell, s.Command, s.Type = d.Shell, d.Command, or(s.Type, d.Type)
	case !s.Typed() && !d.Typed():
		s.Type = or(s.Type, d.Type)
	}
	if s.Params == nil && (!d.Typed() || s.Type == d.Type) { // those of a type mean nothing to another
		s.Params = d.Params
	}
	s.Queue, s.Name, s.Cwd = or(s.Queue, d.Queue), or(s.Name, d.Name), or(s.Cwd, d.Cwd)
	s.User = or(s.User, d.User)
	s.StopSignal, s.OnLost = or(s.StopSignal, d.StopSignal), or(s.OnLost, d.OnLost)
	s.Timeout, s.Grace = or(s.Timeout, d.Timeout), or(s.Grace, d.Grace)
	s.Priority, s.Umask = or(s.Priority, d.Priority), or(s.Umask, d.Umask)
	s.Split, s.Hold = s.Split || d.Split, s.Hold || d.Hold
	if s.Tags == nil {
		s.Tags = d.Tags
	}
	s.Watchdog = or(s.Watchdog, d.Watchdog)
	if s.SuccessCodes == nil {
		s.SuccessCodes = d.SuccessCodes
	}
	if s.Hooks == nil {
		s.Hooks = d.Hooks
	}
	switch {
	case len(s.Env) == 0 && d.Env != nil:
		s.Env = d.Env
	case len(d.Env) > 0:
		env := make(map[string]string, len(d.Env)+len(s.Env))
		for k, v := range d.Env {
			env[k] = v
		}
		for k, v := range s.Env {
			env[k] = v
		}
		s.Env = env
	}
}

func or[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

func atLine(err error, line int) error {
	if e, ok := errorAs(err); ok {
		at := *e
		at.Line = line
		return &at
	}
	return err
}

func errorAs(err error) (*job.Error, bool) {
	var e *job.Error
	ok := errors.As(err, &e)
	return e, ok
}

// Job implements job.Service.
func (e *Engine) Job(ctx context.Context, id int64) (*job.Job, error) {
	j, err := e.o.Store.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	return e.describe(j), nil
}

// JobByKey implements job.Service.
func (e *Engine) JobByKey(ctx context.Context, key string) (*job.Job, error) {
	j, err := e.o.Store.JobByKey(ctx, key)
	if err != nil {
		return nil, err
	}
	return e.describe(j), nil
}

// Attempts implements job.Service.
func (e *Engine) Attempts(ctx context.Context, id int64) ([]job.Attempt, error) {
	if _, err := e.o.Store.Job(ctx, id); err != nil {
		return nil, err
	}
	return e.o.Store.Attempts(ctx, id)
}

// ListJobs implements job.Service.
func (e *Engine) ListJobs(ctx context.Context, f job.Filter) (job.Page, error) {
	if err := f.Check(); err != nil {
		return job.Page{}, err
	}
	page, err := e.o.Store.ListJobs(ctx, f)
	if err != nil {
		return page, err
	}
	var counts map[string]map[job.State]int64
	for _, j := range page.Jobs {
		if j.State.Waiting() {
			if counts == nil {
				counts = e.o.Store.Counts().ByQueue
			}
			j.WaitReason = e.waitReason(j, counts)
		}
	}
	return page, nil
}

// describe adds to a job's record what is not on record: why it waits.
func (e *Engine) describe(j *job.Job) *job.Job {
	if !j.State.Waiting() {
		return j
	}
	d := *j
	d.WaitReason = e.waitReason(j, e.o.Store.Counts().ByQueue)
	return &d
}

func (e *Engine) waitReason(j *job.Job, counts map[string]map[job.State]int64) string {
	q := (*e.core.queues.Load())[j.Queue]
	problem := e.core.runnerProblem.Load()
	live, total := liveCount(counts[j.Queue]), 0
	for _, states := range counts {
		total += liveCount(states)
	}
	most := e.o.settings().MaxConcurrent
	switch {
	case j.State == job.Held:
		return fmt.Sprintf("held: queuemgr job start %d", j.ID)
	case q.Paused:
		return fmt.Sprintf("queue %s is paused", j.Queue)
	case problem != nil:
		return *problem
	case needsReports(j) && e.core.runnerOld.Load() != nil:
		return *e.core.runnerOld.Load()
	case q.Concurrency > 0 && live >= q.Concurrency:
		return fmt.Sprintf("queue %s has %d of %d slots taken", j.Queue, live, q.Concurrency)
	case most > 0 && total >= most:
		return fmt.Sprintf("%d of %d slots are taken (max_concurrent_jobs)", total, most)
	default:
		return "next in line"
	}
}

func liveCount(states map[job.State]int64) int {
	return int(states[job.Starting] + states[job.Running] + states[job.Paused] + states[job.Stopping])
}

// WaitJob implements job.Service.
func (e *Engine) WaitJob(ctx context.Context, id int64) (*job.Job, error) {
	changed, stop := e.o.Hub.watch(id)
	defer stop()
	last := false // the engine has ended: nothing changes any more
	for {
		j, err := e.Job(context.WithoutCancel(ctx), id)
		switch {
		case err == nil && j.State.Ended():
			return j, nil
		case last:
			return j, errStopping()
		case err != nil:
			return j, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return j, ctx.Err()
		case <-e.done:
			last = true
		}
	}
}

// findLog returns the attempt and the file of a log. next says that one which waits has the log of
// its next attempt.
func (e *Engine) findLog(ctx context.Context, id int64, attempt int, stream string, next bool) (int, string, error) {
	j, err := e.o.Store.Job(ctx, id)
	if err != nil {
		return 0, "", err
	}
	if stream, err = logStream(j, stream); err != nil {
		return 0, "", err
	}
	newest := max(j.Attempt, 1)
	if next && j.State.Waiting() {
		newest = j.Attempt + 1
	}
	n := or(attempt, newest)
	if n < 0 || n > newest {
		return 0, "", &job.Error{Code: job.NotFound, Field: "attempt", JobID: id, Message: fmt.Sprintf("job %d has no attempt %d", id, attempt),
			Hint: "its attempts are 1 to " + strconv.Itoa(newest)}
	}
	return n, joblog.Path(e.o.LogDir, id, n, stream), nil
}

// SearchLog implements job.Service.
func (e *Engine) SearchLog(ctx context.Context, id int64, s job.LogSearch) (job.LogHits, error) {
	found := job.LogHits{Hits: []job.LogHit{}}
	if err := s.Check(); err != nil {
		return found, err
	}
	_, path, err := e.findLog(ctx, id, s.Attempt, s.Stream, false)
	if err != nil {
		return found, err
	}
	o := joblog.SearchOptions{Text: s.Text, Errors: s.Errors, IgnoreCase: s.IgnoreCase, From: -1, Backwards: s.Backwards, Limit: or(s.Limit, job.DefaultLogHits)}
	if s.From != nil {
		o.From = *s.From
	}
	hits, next, err := joblog.Search(ctx, path, o)
	for _, h := range hits {
		found.Hits = append(found.Hits, job.LogHit(h))
	}
	if next >= 0 {
		found.Next = &next
	}
	return found, err
}

// Logs implements job.Service.
func (e *Engine) Logs(ctx context.Context, id int64, o job.LogOptions) (io.ReadCloser, error) {
	attempt, path, err := e.findLog(ctx, id, o.Attempt, o.Stream, o.Follow)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Offset < 0 || o.Tail < 0 || o.Limit < 0:
		return nil, &job.Error{Code: job.Invalid, Field: "offset", Message: "offset, tail and limit are not below zero"}
	case o.Limit > 0 && o.Follow:
		return nil, &job.Error{Code: job.Invalid, Field: "limit", Message: "a log that is followed has no limit", Hint: "leave one of limit and follow out"}
	}
	opts := joblog.Options{Offset: o.Offset, Tail: o.Tail, Limit: o.Limit, Follow: o.Follow}
	if !o.Follow {
		return joblog.Open(ctx, path, opts)
	}
	ctx, cancel := context.WithCancel(ctx)
	opts.Done = e.attemptDone(ctx, cancel, id, attempt)
	log, err := joblog.Open(ctx, path, opts)
	if err != nil {
		cancel()
		return nil, err
	}
	return following{log, cancel}, nil
}

// following is a log that is followed; closing it ends the watch on the job.
type following struct {
	joblog.Reader
	cancel context.CancelFunc
}

func (f following) Close() error {
	f.cancel()
	return f.Reader.Close()
}

func logStream(j *job.Job, stream string) (string, error) {
	switch {
	case stream == "" || stream == "stdout":
		return "stdout", nil
	case stream == "stderr" && j.Split:
		return stream, nil
	case stream == "stderr":
		return "", &job.Error{Code: job.NotFound, Field: "stream", JobID: j.ID, Message: fmt.Sprintf("job %d has no log of its own for stderr", j.ID),
			Hint: "both streams are in one log; add with --split for two"}
	default:
		return "", &job.Error{Code: job.Invalid, Field: "stream", Message: fmt.Sprintf("unknown stream %q", stream), Hint: "stdout or stderr"}
	}
}

// attemptDone returns a channel that is closed when the attempt of a job has ended. Where that can't
// be found out any more, because the engine ends, it calls giveUp.
func (e *Engine) attemptDone(ctx context.Context, giveUp context.CancelFunc, id int64, attempt int) <-chan struct{} {
	done := make(chan struct{})
	changed, stop := e.o.Hub.watch(id)
	e.wg.Go(func() {
		defer stop()
		last := false // the engine has ended: nothing changes any more
		for {
			j, err := e.o.Store.Job(ctx, id)
			if err != nil && job.CodeOf(err) != job.NotFound {
				giveUp()
				return
			}
			if err != nil || j.Attempt > attempt || j.State.Ended() || j.Attempt == attempt && j.State.Waiting() {
				close(done)
				return
			}
			if last {
				giveUp()
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			case <-e.done:
				last = true
			}
		}
	})
	return done
}
