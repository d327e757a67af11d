package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/engine"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/job"
)

// TestReload checks that settings that are read again hold for what waits already, and that those
// that can't be read change nothing.
func TestReload(t *testing.T) {
	next := engine.Settings{MaxConcurrent: 1, ShutdownTimeout: 5 * time.Second, CleanupInterval: time.Hour}
	var failure error
	f := enginetest.Start(t, func(o *engine.Options) {
		o.Settings = next
		o.ReadSettings = func() (engine.Settings, job.Reloaded, error) { return next, job.Reloaded{}, failure }
	})
	ctx := job.WithCaller(t.Context(), job.Caller{UID: 1000, Name: "ann"})
	sleep := job.Spec{Command: []string{"/bin/sleep", "100"}}
	var ids []int64
	for range 2 {
		j, err := f.AddJob(ctx, sleep)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, j.ID)
	}
	running := func(id int64) {
		t.Helper()
		within, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		for _, err := range f.Events(within, job.EventOptions{After: new(uint64), JobIDs: []int64{id}}) {
			if err != nil {
				t.Fatalf("job %d does not run: %v", id, err)
			}
			if j, err := f.Job(within, id); err != nil || j.State == job.Running {
				return
			}
		}
		t.Fatalf("job %d does not run", id)
	}
	running(ids[0])
	if j, err := f.Job(ctx, ids[1]); err != nil || j.State != job.Queued {
		t.Fatalf("the second job is %+v, %v", j, err)
	}

	failure = &job.Error{Code: job.Invalid, Message: "a mistake"}
	next.MaxConcurrent = 2
	if _, err := f.Reload(ctx); !errors.Is(err, failure) {
		t.Errorf("settings that are not right: %v", err)
	}
	if j, err := f.Job(ctx, ids[1]); err != nil || j.State != job.Queued {
		t.Fatalf("after settings that are not right the second job is %+v, %v", j, err)
	}
	failure = nil
	if _, err := f.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	running(ids[1])
	if _, err := f.Act(ctx, job.ActRequest{Action: job.ActStop, Force: true}); err != nil {
		t.Fatal(err)
	}
}
