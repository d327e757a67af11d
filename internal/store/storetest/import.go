package storetest

import (
	"testing"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

func testImport(t *testing.T, open func(*testing.T) store.Store) {
	numbered := func(id int64, set ...func(*job.Job)) *job.Job {
		j := newJob(set...)
		j.ID = id
		return j
	}

	t.Run("records as they are", func(t *testing.T) {
		s := open(t)
		done := numbered(7, inState(job.Completed), withKey("k"))
		done.FinishedAt, done.Fence, done.RunID = minute(3), 5, "r"
		live := numbered(40, inState(job.Running))
		live.RunID, live.Fence, live.Attempt = "r2", 3, 1
		unnumbered := numbered(0, inState(job.Held))
		if err := s.ImportJobs(t.Context(), []*job.Job{done, live, unnumbered}, minute(10)); err != nil {
			t.Fatal(err)
		}
		if unnumbered.ID != 41 {
			t.Errorf("a job without a number got %d, want 41", unnumbered.ID)
		}
		for _, j := range []*job.Job{done, live, unnumbered} {
			diff(t, "Job", j, get(t, s, j.ID))
		}
		if j := add(t, s, newJob())[0]; j.ID != 42 {
			t.Errorf("the next job has the number %d, want 42", j.ID)
		}
		got := purgeSome(t, s, store.Purge{States: ended, EndedBefore: minute(4), Limit: 9})
		diff(t, "purged by the time it ended", []int64{7}, purgedIDs(got))
		sound(t, s)
	})

	t.Run("replaces a record of the same number", func(t *testing.T) {
		s := open(t)
		old := newJob(withKey("k"))
		if _, err := s.AddJobs(t.Context(), store.AddJobs{At: start, Jobs: []store.NewJob{{Job: old, Env: []string{"A=1"}}}}); err != nil {
			t.Fatal(err)
		}
		add(t, s, newJob(withKey("k2")))
		// The keys change places: a key is free when its holder is replaced too.
		if err := s.ImportJobs(t.Context(), []*job.Job{numbered(1, withKey("k2"), inState(job.Failed)), numbered(2, withKey("k"))}, minute(1)); err != nil {
			t.Fatal(err)
		}
		if j := get(t, s, 1); j.State != job.Failed || j.Key != "k2" || j.EnvID != 0 || j.Rev <= old.Rev {
			t.Errorf("the record is %+v", j)
		}
		_, err := s.Env(t.Context(), old.EnvID)
		refused(t, err, job.NotFound)
		sound(t, s)
	})

	t.Run("all or nothing", func(t *testing.T) {
		s := open(t)
		add(t, s, newJob(withKey("taken")))
		seq := s.Seq()
		refused(t, s.ImportJobs(t.Context(), []*job.Job{numbered(5), numbered(6, withKey("taken"))}, start), job.Conflict)
		refused(t, s.ImportJobs(t.Context(), []*job.Job{numbered(5), numbered(5)}, start), job.Conflict)
		refused(t, s.ImportJobs(t.Context(), []*job.Job{numbered(5), numbered(6, inQueue("nowhere"))}, start), job.NotFound)
		refused(t, s.ImportJobs(t.Context(), []*job.Job{numbered(-5)}, start), job.Invalid)
		if s.Seq() != seq {
			t.Error("a refused import has left changes")
		}
		if err := s.ImportJobs(t.Context(), []*job.Job{numbered(9, inQueue("gone"), inState(job.Completed))}, start); err != nil {
			t.Errorf("an ended job of a queue that is gone: %v", err)
		}
		sound(t, s)
	})

	t.Run("numbers that are skipped", func(t *testing.T) {
		s := open(t)
		for _, next := range []int64{0, 50, 20} {
			if err := s.SkipIDs(t.Context(), next); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.NextID(); got != 50 {
			t.Errorf("NextID is %d, want 50", got)
		}
		if j := add(t, s, newJob())[0]; j.ID != 50 || s.NextID() != 51 {
			t.Errorf("the next job has the number %d, and %d comes next", j.ID, s.NextID())
		}
	})
}
