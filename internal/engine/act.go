package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/job"
)

// Act implements job.Service. Jobs are taken a page at a time, each page in one commit.
func (e *Engine) Act(ctx context.Context, r job.ActRequest) (job.ActResult, error) {
	if err := r.Action.Check(); err != nil {
		return job.ActResult{}, err
	}
	if err := r.Filter.Check(); err != nil {
		return job.ActResult{}, err
	}
	result := job.ActResult{Done: []int64{}}
	if err := e.findMissing(ctx, r.Filter, &result); err != nil {
		return result, err
	}
	if err := e.resolveLast(ctx, &r.Filter); err != nil {
		return result, err
	}
	f := r.Filter
	f.Sort, f.Oldest, f.Limit, f.Cursor = "", true, job.MaxLimit, ""
	if r.Action == job.ActStart && !f.Explicit() && len(f.States) == 0 {
		// What has ended runs again only when it is named, or its state is: never by `start all`.
		f.States = []job.State{job.Held, job.Scheduled, job.Blocked, job.Queued}
	}
	head := e.core.nextHead(e.o.Now())
	for {
		page, err := e.o.Store.ListJobs(ctx, f)
		if err != nil {
			return result, err
		}
		if err := e.actOn(ctx, r, page.Jobs, head, &result); err != nil {
			return result, err
		}
		if page.NextCursor == "" {
			result.Count = len(result.Done)
			return result, nil
		}
		f.Cursor = page.NextCursor
	}
}

// findMissing records the jobs that f names one by one and that are not there.
func (e *Engine) findMissing(ctx context.Context, f job.Filter, result *job.ActResult) error {
	missing := func(id int64, err error) error {
		if job.CodeOf(err) != job.NotFound {
			return err
		}
		result.Failed = append(result.Failed, job.ActFailure{JobID: id, Error: asError(err)})
		return nil
	}
	for _, r := range f.IDs {
		if r.From != r.To {
			continue
		}
		if _, err := e.o.Store.Job(ctx, r.From); err != nil {
			if err = missing(r.From, err); err != nil {
				return err
			}
		}
	}
	for _, key := range f.Keys {
		if _, err := e.o.Store.JobByKey(ctx, key); err != nil {
			if err = missing(0, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// resolveLast replaces last, given beside numbers or keys, by the number of the job that it is now:
// one that is named, whatever is added meanwhile.
func (e *Engine) resolveLast(ctx context.Context, f *job.Filter) error {
	if !f.Last || len(f.IDs)+len(f.Keys) == 0 {
		return nil
	}
	newest := *f
	newest.IDs, newest.Keys, newest.Limit, newest.Cursor = nil, nil, 1, ""
	page, err := e.o.Store.ListJobs(ctx, newest)
	if err != nil {
		return err
	}
	f.Last, f.IDs = false, slices.Clone(f.IDs)
	for _, j := range page.Jobs {
		f.IDs = append(f.IDs, job.Range{From: j.ID, To: j.ID})
	}
	return nil
}

// staleRounds bounds how often jobs that changed between reading and acting are read again.
const staleRounds = 10

func (e *Engine) actOn(ctx context.Context, r job.ActRequest, jobs []*job.Job, head int64, result *job.ActResult) error {
	for range staleRounds {
		a := acting{r: r, jobs: jobs, head: head}
		if err := e.do(ctx, a.run); err != nil {
			return err
		}
		result.Done = append(result.Done, a.done...)
		result.Failed = append(result.Failed, a.failed...)
		result.Skipped += a.skipped
		if len(a.stale) == 0 {
			return nil
		}
		f := job.Filter{Limit: job.MaxLimit}
		for _, id := range a.stale {
			f.IDs = append(f.IDs, job.Range{From: id, To: id})
		}
		page, err := e.o.Store.ListJobs(ctx, f)
		if err != nil {
			return err
		}
		result.Failed = append(result.Failed, gone(&r.Filter, jobs, a.stale, page.Jobs)...)
		jobs = page.Jobs
	}
	return &job.Error{Code: job.Conflict, Message: "the jobs kept changing while they were acted on", Hint: "try again"}
}

// gone returns a failure for each of the jobs before that f names, that is stale and not among those
// now: retention took it meanwhile.
func gone(f *job.Filter, before []*job.Job, stale []int64, now []*job.Job) []job.ActFailure {
	var failed []job.ActFailure
	for _, b := range before {
		if slices.Contains(stale, b.ID) && f.Names(b) && !slices.ContainsFunc(now, func(j *job.Job) bool { return j.ID == b.ID }) {
			failed = append(failed, job.ActFailure{JobID: b.ID, Error: &job.Error{Code: job.NotFound, JobID: b.ID,
				Message: fmt.Sprintf("job %d is not on record any more", b.ID), Hint: "retention has removed it"}})
		}
	}
	return failed
}

// acting is an action on a page of jobs, run by the core.
type acting struct {
	r    job.ActRequest
	jobs []*job.Job
	head int64 // the same for all jobs of one request: among themselves they keep their order

	done    []int64
	failed  []job.ActFailure
	skipped int
	stale   []int64 // changed since they were read
}

func (a *acting) run(c *core, t *tx) error {
	if c.shutdown != nil && a.r.Action == job.ActStart {
		return errStopping()
	}
	var edited []int64
	for _, j := range a.jobs {
		if now := c.current(t, j.ID); now != nil {
			j = now
		} else if j.State.Live() {
			a.stale = append(a.stale, j.ID)
			continue
		}
		if err := a.may(j); err != nil {
			a.refused(j, err)
			continue
		}
		if err := checkAct(a.r, j, *c.queues.Load()); err != nil {
			a.refused(j, err)
			continue
		}
		if a.r.Action == job.ActStart {
			if err := c.checkSecrets(t.ctx, j); err != nil {
				a.refused(j, err)
				continue
			}
		}
		if a.r.DryRun {
			a.done = append(a.done, j.ID)
			continue
		}
		c.act(t, a.r, j, a.head)
		edited = append(edited, j.ID)
	}
	t.after = append(t.after, func() {
		for _, id := range edited {
			if t.edits[id] == nil {
				a.stale = append(a.stale, id)
			} else {
				a.done = append(a.done, id)
			}
		}
	})
	return nil
}

// may asks whether the caller may touch j.
func (a *acting) may(j *job.Job) *job.Error {
	if a.r.May == nil {
		return nil
	}
	if err := a.r.May(j); err != nil {
		return asError(err)
	}
	return nil
}

// refused takes down that j does not allow the action. Of a range, which means those of it that do,
// only what is no matter of the state or of the caller is told; of conditions nothing is.
func (a *acting) refused(j *job.Job, err *job.Error) {
	f := &a.r.Filter
	if f.Names(j) || f.Explicit() && err.Code != job.WrongState && err.Code != job.Forbidden {
		a.failed = append(a.failed, job.ActFailure{JobID: j.ID, Error: err})
	} else {
		a.skipped++
	}
}

// checkAct refuses an action that j does not allow.
func checkAct(r job.ActRequest, j *job.Job, queues map[string]job.Queue) *job.Error {
	refuse := func(hint string) *job.Error {
		return &job.Error{Code: job.WrongState, JobID: j.ID, Message: fmt.Sprintf("job %d is %s", j.ID, j.State), Hint: hint}
	}
	switch {
	case j.State == job.Deleted:
		return refuse("a deleted job is only a record")
	case r.Action == job.ActStart && j.State.Live():
		return refuse("only a waiting or ended job can be started")
	case r.Action == job.ActStop && j.State.Ended():
		return refuse("there is nothing left to stop")
	case r.Action == job.ActHold && !j.State.Waiting():
		return refuse("only a waiting job can be held")
	case r.Action != job.ActStart:
		return nil
	case len(j.Command) == 0:
		return &job.Error{Code: job.WrongState, JobID: j.ID, Message: fmt.Sprintf("job %d has no command to run", j.ID),
			Hint: "it was imported from a record that holds none; add it anew"}
	}
	if _, ok := queues[j.Queue]; !ok {
		err := noQueue(j.Queue, queues)
		err.JobID = j.ID
		return err
	}
	return nil
}

// nextHead returns a job.Head above every one before.
func (c *core) nextHead(now time.Time) int64 {
	for {
		last := c.lastHead.Load()
		if next := max(last+1, now.UnixMicro()); c.lastHead.CompareAndSwap(last, next) {
			return next
		}
	}
}

// act does a checked action.
func (c *core) act(t *tx, r job.ActRequest, j *job.Job, head int64) {
	if j.State.Live() {
		want := job.WantStop
		if r.Action == job.ActDelete {
			want = job.WantDelete
		}
		var grace *time.Duration
		if r.Grace != nil {
			g := time.Duration(*r.Grace)
			grace = &g
		}
		c.askToEnd(t, j, want, grace, r.Force)
		return
	}
	e := t.edit(j)
	switch r.Action {
	case job.ActStart:
		if j.State.Ended() {
			requeue(e, t.at)
		}
		e.to.State = job.Queued
		if e.to.QueuedAt.IsZero() {
			e.to.QueuedAt = t.at
		}
		if j.State.Waiting() {
			e.to.Head = head
		}
	case job.ActHold:
		e.to.State = job.Held
	case job.ActStop:
		e.to.State, e.to.Reason = job.Stopped, job.ReasonUser
		e.to.FinishedAt = t.at
	case job.ActDelete:
		e.to.State = job.Deleted
	}
}

// strength orders what can be wanted: a stronger end replaces a weaker one.
var strength = map[job.Want]int{"": 0, job.WantShutdown: 1, job.WantStop: 2, job.WantDelete: 3}

// askToEnd records what is wanted of a live job and has the runner told after the commit. Asking
// again shortens the grace or forces, never the other way round.
func (c *core) askToEnd(t *tx, j *job.Job, want job.Want, grace *time.Duration, force bool) {
	if j = c.current(t, j.ID); j == nil || !j.State.Live() {
		return // it has ended in this very step
	}
	t.vital = true // ending the job that fills the disk is how room comes back
	e := t.edit(j)
	n := e.to
	if strength[want] > strength[n.Want] {
		n.Want = want
	}
	n.WantForce = n.WantForce || force
	if grace != nil && (n.WantGrace == nil || job.Duration(*grace) < *n.WantGrace) {
		g := job.Duration(*grace)
		n.WantGrace = &g
	}
	n.State = job.Stopping
	stop := stopOf(n)
	e.stop = &stop
}

// stopOf is the request that ends j's run as it was asked for.
func stopOf(j *job.Job) wire.Stop {
	s := wire.Stop{RunID: j.RunID, Why: string(j.Want), Force: j.WantForce}
	if j.WantGrace != nil {
		ms := time.Duration(*j.WantGrace).Milliseconds()
		s.GraceMS = &ms
	}
	return s
}

// asError makes a *job.Error of any error.
func asError(err error) *job.Error {
	if e, ok := errorAs(err); ok {
		return e
	}
	return &job.Error{Code: job.Internal, Message: err.Error(), Err: err}
}
