package engine_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

func asRoot() context.Context {
	return job.WithCaller(context.Background(), job.Caller{Name: "root"})
}

// act does an action to one job and returns what was refused of it, nil for nothing.
func act(t *testing.T, f *enginetest.Fixture, a job.Action, id int64) *job.Error {
	t.Helper()
	r, err := f.Act(asRoot(), job.ActRequest{Action: a, Filter: job.Filter{IDs: []job.Range{{From: id, To: id}}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failed) > 0 {
		return r.Failed[0].Error
	}
	return nil
}

func TestStartOfAJobWhoseQueueIsGoneNamesTheQueue(t *testing.T) {
	f := enginetest.Start(t, nil)
	if _, err := f.AddQueue(asRoot(), "once", job.QueueUpdate{}); err != nil {
		t.Fatal(err)
	}
	j, err := f.AddJob(asRoot(), job.Spec{Command: []string{"true"}, Queue: "once"})
	if err != nil {
		t.Fatal(err)
	}
	if j, err = f.WaitJob(asRoot(), j.ID); err != nil || j.State != job.Completed {
		t.Fatal(j, err)
	}
	if err := f.DeleteQueue(asRoot(), "once"); err != nil {
		t.Fatal(err)
	}
	if e := act(t, f, job.ActStart, j.ID); e == nil || e.Code != job.NotFound || e.Field != "queue" {
		t.Errorf("got %v, want NotFound of the queue", e)
	}
}

func TestStartOfARecordWithoutCommandIsRefused(t *testing.T) {
	f := enginetest.Start(t, nil)
	legacy := &job.Job{ID: 7, Queue: job.DefaultQueue, Type: "legacy", State: job.Held, CreatedAt: time.Now().UTC()}
	if err := f.Store.ImportJobs(asRoot(), func(yield func(store.Imported, error) bool) { yield(store.Imported{Job: legacy}, nil) }, time.Now().UTC()); err != nil {
		t.Fatal(err)
	}
	if e := act(t, f, job.ActStart, 7); e == nil || e.Code != job.WrongState {
		t.Errorf("got %v, want WrongState", e)
	}
}

// untilRunning returns when it is on record that the job runs.
func untilRunning(t *testing.T, f *enginetest.Fixture, id int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(asRoot())
	defer cancel()
	for c, err := range f.Events(ctx, job.EventOptions{After: new(uint64)}) {
		if err != nil {
			t.Fatal(err)
		}
		if c.JobID == id && c.State == job.Running {
			return
		}
	}
}

// TestJobsOutliveTheEngine stops in the middle of a job and finds its true end afterwards.
func TestJobsOutliveTheEngine(t *testing.T) {
	f := enginetest.Start(t, nil)
	running, err := f.AddJob(asRoot(), job.Spec{Shell: "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done", Cwd: f.Dir, StopSignal: "USR1"})
	if err != nil {
		t.Fatal(err)
	}
	log, err := f.Logs(asRoot(), running.ID, job.LogOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Read(make([]byte, 6)); err != nil { // it has set its trap
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	untilRunning(t, f, running.ID) // what it wrote may be there before that is on record
	before, err := f.Job(asRoot(), running.ID)
	if err != nil {
		t.Fatal(err)
	}
	f.Restart()
	after, err := f.Job(asRoot(), running.ID)
	if err != nil {
		t.Fatal(err)
	}
	if after.State != job.Running || after.PID != before.PID || !after.StartedAt.Equal(before.StartedAt) {
		t.Errorf("after the restart %+v, before %+v", after, before)
	}
	if e := act(t, f, job.ActStop, running.ID); e != nil {
		t.Fatal(e)
	}
	end, err := f.WaitJob(asRoot(), running.ID)
	if err != nil {
		t.Fatal(err)
	}
	if end.State != job.Stopped || end.Reason != job.ReasonUser || end.ExitCode == nil || *end.ExitCode != 5 {
		t.Errorf("ended as %+v", end)
	}
}

// TestStartAfterAStopWhileWaiting starts a job again that has run, was to run again and was stopped
// before it did: its one earlier attempt is on record once.
func TestStartAfterAStopWhileWaiting(t *testing.T) {
	f := enginetest.Start(t, nil)
	j, err := f.AddJob(asRoot(), job.Spec{Command: []string{"false"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WaitJob(asRoot(), j.ID); err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	if _, err := f.SetQueue(asRoot(), job.DefaultQueue, job.QueueUpdate{Paused: &yes}); err != nil {
		t.Fatal(err)
	}
	for _, a := range []job.Action{job.ActStart, job.ActStop, job.ActStart, job.ActStop, job.ActStart} {
		if e := act(t, f, a, j.ID); e != nil {
			t.Fatalf("%s: %v", a, e)
		}
	}
	if _, err := f.SetQueue(asRoot(), job.DefaultQueue, job.QueueUpdate{Paused: &no}); err != nil {
		t.Fatal(err)
	}
	end, err := f.WaitJob(asRoot(), j.ID)
	if err != nil || end.Attempt != 2 || end.State != job.Failed {
		t.Errorf("ended as %+v, %v; want its second attempt failed", end, err)
	}
	attempts, err := f.Attempts(asRoot(), j.ID)
	if err != nil || len(attempts) != 1 || attempts[0].Attempt != 1 || attempts[0].State != job.Failed {
		t.Errorf("earlier attempts: %+v, %v; want the first, failed", attempts, err)
	}
}

// TestEnvironmentAfterAPurge gives a job another environment than the one that was purged before it.
func TestEnvironmentAfterAPurge(t *testing.T) {
	f := enginetest.Start(t, nil)
	for _, want := range []string{"first", "second"} {
		j, err := f.AddJob(asRoot(), job.Spec{Shell: `echo "$WHICH"`, Env: map[string]string{"WHICH": want}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WaitJob(asRoot(), j.ID); err != nil {
			t.Fatal(err)
		}
		log, err := f.Logs(asRoot(), j.ID, job.LogOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(log)
		if err = errors.Join(err, log.Close()); err != nil || string(got) != want+"\n" {
			t.Errorf("the job with WHICH=%s wrote %q, %v", want, got, err)
		}
		purged, err := f.Store.Purge(asRoot(), store.Purge{States: []job.State{job.Completed}, Limit: 1, At: time.Now()})
		if err != nil || len(purged) != 1 {
			t.Fatalf("purged %v, %v", purged, err)
		}
	}
}

// TestStartOfSeveralKeepsTheirOrderAndLeavesWhatHasEnded starts held jobs beside an ended one.
func TestStartOfSeveralKeepsTheirOrderAndLeavesWhatHasEnded(t *testing.T) {
	f := enginetest.Start(t, nil)
	one := 1
	if _, err := f.SetQueue(asRoot(), job.DefaultQueue, job.QueueUpdate{Concurrency: &one}); err != nil {
		t.Fatal(err)
	}
	ended, err := f.AddJob(asRoot(), job.Spec{Command: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WaitJob(asRoot(), ended.ID); err != nil {
		t.Fatal(err)
	}
	order := filepath.Join(f.Dir, "order")
	var last int64
	for range 4 {
		j, err := f.AddJob(asRoot(), job.Spec{Shell: "echo $QUEUEMGR_JOB_ID >>" + order, Hold: true})
		if err != nil {
			t.Fatal(err)
		}
		last = j.ID
	}
	r, err := f.Act(asRoot(), job.ActRequest{Action: job.ActStart})
	if err != nil || len(r.Done) != 4 {
		t.Fatalf("started %v, %v; want the four held ones", r.Done, err)
	}
	if _, err := f.WaitJob(asRoot(), last); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(order)
	if err != nil || string(got) != "2\n3\n4\n5\n" {
		t.Errorf("ran in the order %q, %v", got, err)
	}
	if j, err := f.Job(asRoot(), ended.ID); err != nil || j.Attempt != 1 {
		t.Errorf("the ended job: %+v, %v", j, err)
	}
}
