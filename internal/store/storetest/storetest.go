// Package storetest is the conformance suite of store.Store: what every implementation of the
// registry has to do, one file an area. A change of the store's behaviour begins here.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// Run holds a store to the suite. open returns an empty one, which is closed by the test.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	areas := []struct {
		name string
		run  func(*testing.T, func(*testing.T) store.Store)
	}{
		{"Add", testAdd}, {"AddLimits", testAddLimits}, {"Commit", testCommit}, {"Candidates", testCandidates},
		{"List", testList}, {"Outcomes", testOutcomes}, {"Queues", testQueues}, {"Counts", testCounts}, {"Changes", testChanges},
		{"Retention", testRetention}, {"Import", testImport}, {"Node", testNode}, {"Tokens", testTokens}, {"Sessions", testSessions}, {"Audit", testAudit}, {"Stats", testStats}, {"Hooks", testHooks},
		{"Concurrency", testConcurrency}, {"Model", testModel},
	}
	for _, a := range areas {
		t.Run(a.name, func(t *testing.T) { a.run(t, open) })
	}
}

// Start is the time of the suite's first event; later ones are minutes after it.
var start = time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC)

func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

// newJob is a plain queued job.
func newJob(set ...func(*job.Job)) *job.Job {
	j := &job.Job{Queue: job.DefaultQueue, Type: job.TypeCommand, State: job.Queued, Command: []string{"tar", "-cf", "x.tar"},
		Owner: "ann", UID: 1001, GID: 1002, MaxAttempts: 1, CreatedAt: start, QueuedAt: start}
	for _, f := range set {
		f(j)
	}
	return j
}

func inState(s job.State) func(*job.Job)    { return func(j *job.Job) { j.State = s } }
func inQueue(q string) func(*job.Job)       { return func(j *job.Job) { j.Queue = q } }
func withKey(k string) func(*job.Job)       { return func(j *job.Job) { j.Key = k } }
func withPriority(p int) func(*job.Job)     { return func(j *job.Job) { j.Priority = p } }
func withHead(h int64) func(*job.Job)       { return func(j *job.Job) { j.Head = h } }
func ofType(name string) func(*job.Job)     { return func(j *job.Job) { j.Type = name } }
func named(name string) func(*job.Job)      { return func(j *job.Job) { j.Name = name } }
func tagged(tags ...string) func(*job.Job)  { return func(j *job.Job) { j.Tags = tags } }
func ownedBy(name string) func(*job.Job)    { return func(j *job.Job) { j.Owner = name } }
func running(args ...string) func(*job.Job) { return func(j *job.Job) { j.Command = args } }

// add adds jobs without an environment and returns them.
func add(t *testing.T, s store.Store, jobs ...*job.Job) []*job.Job {
	t.Helper()
	p := store.AddJobs{At: start}
	for _, j := range jobs {
		p.Jobs = append(p.Jobs, store.NewJob{Job: j})
	}
	if _, err := s.AddJobs(t.Context(), p); err != nil {
		t.Fatalf("AddJobs: %v", err)
	}
	return jobs
}

// move commits the move of jobs to a state and returns them as they are on record then.
func move(t *testing.T, s store.Store, at time.Time, to job.State, jobs ...*job.Job) []*job.Job {
	t.Helper()
	c := store.Commit{At: at}
	var moved []*job.Job
	for _, j := range jobs {
		next := *j
		next.State = to
		if to.Ended() {
			next.FinishedAt = at
		}
		moved = append(moved, &next)
		c.Updates = append(c.Updates, store.Update{Job: &next, From: j.State})
	}
	done, err := s.Commit(t.Context(), c)
	if err != nil {
		t.Fatalf("Commit to %s: %v", to, err)
	}
	if len(done.Conflicts) > 0 {
		t.Fatalf("Commit to %s: conflicts %v", to, done.Conflicts)
	}
	return moved
}

// finish takes queued jobs through starting to an ended state.
func finish(t *testing.T, s store.Store, at time.Time, to job.State, jobs ...*job.Job) []*job.Job {
	t.Helper()
	return move(t, s, at, to, move(t, s, at, job.Starting, jobs...)...)
}

func get(t *testing.T, s store.Store, id int64) *job.Job {
	t.Helper()
	j, err := s.Job(t.Context(), id)
	if err != nil {
		t.Fatalf("Job(%d): %v", id, err)
	}
	return j
}

func ids(jobs []*job.Job) []int64 {
	out := make([]int64, 0, len(jobs))
	for _, j := range jobs {
		out = append(out, j.ID)
	}
	return out
}

// diff compares what is on record; nil and empty lists are the same.
func diff(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, d)
	}
}

// refused asserts that err is a *job.Error of the code and returns it.
func refused(t *testing.T, err error, code job.Code) *job.Error {
	t.Helper()
	var e *job.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want a *job.Error with the code %s", err, code)
	}
	if e.Code != code {
		t.Fatalf("got the code %s (%v), want %s", e.Code, err, code)
	}
	if e.Message == "" {
		t.Fatalf("an error of the code %s says nothing", code)
	}
	return e
}

// changes returns all changes after a number.
func changes(t *testing.T, s store.Store, after uint64) []job.Change {
	t.Helper()
	var all []job.Change
	for {
		some, err := s.Changes(t.Context(), after, 7)
		if err != nil {
			t.Fatalf("Changes(%d): %v", after, err)
		}
		if len(some) == 0 {
			return all
		}
		all, after = append(all, some...), some[len(some)-1].Seq
	}
}

// checker is a store that can look through itself.
type checker interface {
	Check(ctx context.Context) ([]string, error)
}

// sound asserts that a store that can check itself finds nothing.
func sound(t *testing.T, s store.Store) {
	t.Helper()
	c, ok := s.(checker)
	if !ok {
		return
	}
	problems, err := c.Check(t.Context())
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	if len(problems) > 0 {
		t.Fatalf("Check found %s", fmt.Sprint(slices.Clip(problems)))
	}
}
