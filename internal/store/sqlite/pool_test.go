package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// However many lists are being made, what the engine reads does not wait for them.
func TestListsHoldUpNoOtherReads(t *testing.T) {
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "registry.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	j := &job.Job{Queue: job.DefaultQueue, Type: job.TypeCommand, State: job.Queued, Command: []string{"true"}, MaxAttempts: 1}
	if _, err := s.AddJobs(t.Context(), store.AddJobs{Jobs: []store.NewJob{{Job: j, Env: []string{"A=1"}}}, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for range readers {
		c, err := s.lists.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if got, err := s.Candidates(ctx, job.DefaultQueue, 1); err != nil || len(got) != 1 {
		t.Errorf("Candidates: %v %v", got, err)
	}
	if _, err := s.LiveJobs(ctx); err != nil {
		t.Errorf("LiveJobs: %v", err)
	}
	if _, err := s.Job(ctx, j.ID); err != nil {
		t.Errorf("Job: %v", err)
	}
	if _, err := s.Env(ctx, j.EnvID); err != nil {
		t.Errorf("Env: %v", err)
	}
}
