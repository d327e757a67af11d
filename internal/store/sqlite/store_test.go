package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddJobs(t.Context(), benchAdd(3)); err != nil {
		t.Fatal(err)
	}
	last, err := s.Job(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	last.State = job.Stopped
	if _, err := s.Commit(t.Context(), store.Commit{At: time.Now(), Cursor: &store.Cursor{Journal: "j", Seq: 4}, Updates: []store.Update{{Job: last, From: job.Queued}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Purge(t.Context(), store.Purge{States: []job.State{job.Stopped}, Limit: 9, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PruneChanges(t.Context(), s.Seq(), 100); err != nil {
		t.Fatal(err)
	}
	epoch, err := s.NextEpoch(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	id, seq := s.RegistryID(), s.Seq()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path + "-wal", path + "-shm", path + ".new"} {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s is left behind", name)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}

	s = open(t, sqlite.Options{Path: path})
	if s.RegistryID() != id || s.Seq() != seq || s.NextID() != 4 {
		t.Errorf("reopened: id %s, seq %d, next %d; want %s, %d, 4", s.RegistryID(), s.Seq(), s.NextID(), id, seq)
	}
	if c, err := s.Cursor(t.Context()); err != nil || c.Seq != 4 {
		t.Errorf("the cursor is %v, %v", c, err)
	}
	if next, err := s.NextEpoch(t.Context(), 0); err != nil || next != epoch+1 {
		t.Errorf("the next epoch is %d, %v; want %d", next, err, epoch+1)
	}
	if n := s.Counts().ByQueue[job.DefaultQueue][job.Queued]; n != 2 {
		t.Errorf("%d jobs are counted, want 2", n)
	}
	_, err = s.Changes(t.Context(), 0, 10)
	if job.CodeOf(err) != job.Exhausted {
		t.Errorf("pruned changes: %v", err)
	}
	p := benchAdd(1)
	if _, err := s.AddJobs(t.Context(), p); err != nil || p.Jobs[0].Job.ID != 4 {
		t.Errorf("the next job has the number %d, %v; want 4", p.Jobs[0].Job.ID, err)
	}
}

func TestReadOnly(t *testing.T) {
	path := filled(t)
	use := func(what string) {
		t.Helper()
		r, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, ReadOnly: true})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		page, err := r.ListJobs(t.Context(), job.Filter{})
		if err != nil || len(page.Jobs) != job.DefaultLimit {
			t.Errorf("%s: %d jobs, %v", what, len(page.Jobs), err)
		}
		if changes, err := r.Changes(t.Context(), 0, 10); err != nil || len(changes) != 10 {
			t.Errorf("%s: %d changes, %v", what, len(changes), err)
		}
		if problems, err := r.Check(t.Context()); err != nil || len(problems) > 0 {
			t.Errorf("%s: Check: %v %v", what, problems, err)
		}
		if _, err := r.AddJobs(t.Context(), benchAdd(1)); job.CodeOf(err) != job.Internal {
			t.Errorf("%s: AddJobs: %v", what, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	use("without a daemon")
	s := open(t, sqlite.Options{Path: path})
	if _, err := s.AddJobs(t.Context(), benchAdd(5)); err != nil {
		t.Fatal(err)
	}
	use("beside a daemon")
	if _, err := s.AddJobs(t.Context(), benchAdd(5)); err != nil {
		t.Errorf("after a reader has closed: %v", err)
	}
}

func TestOnCommitTellsInOrder(t *testing.T) {
	var mu sync.Mutex
	var told []uint64
	s := open(t, sqlite.Options{Path: filepath.Join(t.TempDir(), "registry.db"), OnCommit: func(changes []job.Change) {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range changes {
			told = append(told, c.Seq)
		}
	}})
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 10 {
				p := benchAdd(2)
				if _, err := s.AddJobs(t.Context(), p); err != nil {
					t.Error(err)
				}
				mu.Lock()
				n := len(told)
				mu.Unlock()
				if n < 2 {
					t.Error("told after the reply")
				}
			}
		}()
	}
	wg.Wait()
	for i, seq := range told {
		if seq != told[0]+uint64(i) {
			t.Fatalf("told %d after %d", seq, told[i-1])
		}
	}
	if told[len(told)-1] != s.Seq() {
		t.Errorf("told up to %d, the last change is %d", told[len(told)-1], s.Seq())
	}
}

// TestWithdrawn holds the writer in OnCommit, so that the next write waits when its context ends.
func TestWithdrawn(t *testing.T) {
	entered, leave := make(chan struct{}, 16), make(chan struct{})
	s := open(t, sqlite.Options{Path: filepath.Join(t.TempDir(), "registry.db"), OnCommit: func(changes []job.Change) {
		if changes[0].JobID != 0 {
			entered <- struct{}{}
			<-leave
		}
	}})
	first := make(chan error, 1)
	go func() {
		_, err := s.AddJobs(t.Context(), benchAdd(1))
		first <- err
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() {
		_, err := s.AddJobs(ctx, benchAdd(1))
		second <- err
	}()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("the write that was withdrawn: %v", err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Errorf("the write that was carried out: %v", err)
	}
	p := benchAdd(1)
	if _, err := s.AddJobs(t.Context(), p); err != nil || p.Jobs[0].Job.ID != 2 {
		t.Errorf("the next job has the number %d, %v; want 2", p.Jobs[0].Job.ID, err)
	}
}

func TestClosed(t *testing.T) {
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "registry.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddJobs(t.Context(), benchAdd(1)); job.CodeOf(err) != job.Unavailable {
		t.Errorf("AddJobs: %v", err)
	}
}

// TestManyJobsNameTheFirstThatFails: jobs that are encoded together on all processors are added all or
// none, and the error is that of the first one.
func TestManyJobsNameTheFirstThatFails(t *testing.T) {
	s := open(t, sqlite.Options{Path: filepath.Join(t.TempDir(), "registry.db")})
	p := benchAdd(3000)
	p.Jobs[2900].Job.Params = []byte("{")
	p.Jobs[1700].Job.Params = []byte("{")
	_, err := s.AddJobs(t.Context(), p)
	var e *job.Error
	if !errors.As(err, &e) || e.Line != 1701 {
		t.Errorf("got %v, want an error of line 1701", err)
	}
	if n := s.NextID(); n != 1 {
		t.Errorf("the next number is %d: something was added", n)
	}
	p.Jobs[2900].Job.Params, p.Jobs[1700].Job.Params = nil, nil
	if _, err := s.AddJobs(t.Context(), p); err != nil || p.Jobs[2999].Job.ID != 3000 {
		t.Errorf("job 3000 has number %d, error %v", p.Jobs[2999].Job.ID, err)
	}
}
