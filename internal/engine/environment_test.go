package engine_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"github.com/queuemgr/queuemgr/internal/engine"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// unreadable is a registry whose environments cannot be read at first.
type unreadable struct {
	store.Store
	fail  atomic.Int32  // how many reads fail yet
	asked chan struct{} // gets a token for each read that failed
}

func (s *unreadable) Env(ctx context.Context, id int64) ([]string, error) {
	if s.fail.Add(-1) >= 0 {
		s.asked <- struct{}{}
		return nil, errors.New("the disk gives an error")
	}
	return s.Store.Env(ctx, id)
}

// TestUnreadableEnvironment wants a job whose environment cannot be read to wait, with no attempt
// spent, and to run with its own environment as soon as that can be read.
func TestUnreadableEnvironment(t *testing.T) {
	s := &unreadable{asked: make(chan struct{})} // unbuffered: the core stands in the failing read
	s.fail.Store(1)
	f := enginetest.Start(t, func(o *engine.Options) { s.Store, o.Store = o.Store, s })
	j, err := f.AddJob(asRoot(), job.Spec{Shell: "echo $OWN", Env: map[string]string{"OWN": "mine", "PATH": "/usr/bin:/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	if now, err := f.Job(asRoot(), j.ID); err != nil || now.State != job.Queued || now.Attempt != 0 {
		t.Errorf("before its environment is read: %+v, %v", now, err)
	}
	<-s.asked
	end, err := f.WaitJob(asRoot(), j.ID)
	if err != nil || end.State != job.Completed || end.Attempt != 1 {
		t.Fatalf("ended as %+v, %v; want its first attempt completed", end, err)
	}
	log, err := f.Logs(asRoot(), j.ID, job.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if text, err := io.ReadAll(log); err != nil || string(text) != "mine\n" {
		t.Errorf("it wrote %q, %v; want what its own environment says", text, err)
	}
	if left := s.fail.Load(); left >= 0 {
		t.Error("the environment was not read again")
	}
}
