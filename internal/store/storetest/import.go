package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
		if err := s.ImportJobs(t.Context(), each(done, live, unnumbered), minute(10)); err != nil {
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

	t.Run("archived attempts", func(t *testing.T) {
		s := open(t)
		j := numbered(3, inState(job.Queued))
		j.Attempt = 2
		code := 1
		attempts := []job.Attempt{
			{JobID: 3, Attempt: 1, RunID: "r1", State: job.Failed, Reason: job.ReasonExit, ExitCode: &code, StartedAt: minute(1), FinishedAt: minute(2)},
			{JobID: 3, Attempt: 2, RunID: "r2", State: job.Stopped, Reason: job.ReasonUser},
		}
		seq := s.Seq()
		err := s.ImportJobs(t.Context(), func(yield func(store.Imported, error) bool) { yield(store.Imported{Job: j, Attempts: attempts}, nil) }, start)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Attempts(t.Context(), 3)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "attempts", attempts, got)
		changes, err := s.Changes(t.Context(), seq, 1)
		if err != nil {
			t.Fatal(err)
		}
		told, err := store.AttemptsOf(changes[0].JSON)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "attempts that the change tells of", attempts, told)
		sound(t, s)
	})

	t.Run("more than are written at once", func(t *testing.T) {
		s := open(t)
		seq, many := s.Seq(), 20_000
		err := s.ImportJobs(t.Context(), func(yield func(store.Imported, error) bool) {
			for i := range many {
				if !yield(store.Imported{Job: numbered(int64(many-i), withKey(fmt.Sprint("k", i)))}, nil) {
					return
				}
			}
		}, start)
		if err != nil {
			t.Fatal(err)
		}
		if s.Seq() != seq+uint64(many) || s.NextID() != int64(many)+1 {
			t.Errorf("the last change is %d, the next number %d", s.Seq(), s.NextID())
		}
		all := changes(t, s, s.Seq()-5000)
		if len(all) != 5000 || all[0].Seq != s.Seq()-4999 || all[0].JobID != 5000 {
			t.Errorf("%d changes, the first of them %+v", len(all), all[0])
		}
		sound(t, s)
	})

	t.Run("all or nothing", func(t *testing.T) {
		s := open(t)
		add(t, s, newJob(withKey("taken")))
		seq := s.Seq()
		refused(t, s.ImportJobs(t.Context(), each(numbered(5), numbered(6, withKey("taken"))), start), job.Conflict)
		refused(t, s.ImportJobs(t.Context(), each(numbered(5), numbered(5)), start), job.Conflict)
		refused(t, s.ImportJobs(t.Context(), each(numbered(5), numbered(6, inQueue("nowhere"))), start), job.NotFound)
		refused(t, s.ImportJobs(t.Context(), each(numbered(-5)), start), job.Invalid)
		refused(t, s.ImportJobs(t.Context(), each(numbered(1)), start), job.Conflict)
		refused(t, s.ImportJobs(t.Context(), each(numbered(5, withKey("k")), numbered(6, withKey("k"))), start), job.Conflict)
		unread := &job.Error{Code: job.Invalid, Message: "it can't be read"}
		refused(t, s.ImportJobs(t.Context(), func(yield func(store.Imported, error) bool) {
			_ = yield(store.Imported{Job: numbered(5)}, nil) && yield(store.Imported{}, unread)
		}, start), job.Invalid)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := s.ImportJobs(ctx, func(yield func(store.Imported, error) bool) {
			cancel()
			yield(store.Imported{Job: numbered(5)}, nil)
		}, start)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled while it is written: %v", err)
		}
		if s.Seq() != seq {
			t.Error("a refused import has left changes")
		}
		if err := s.ImportJobs(t.Context(), each(numbered(9, inQueue("gone"), inState(job.Completed))), start); err != nil {
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

// each yields jobs one by one.
func each(jobs ...*job.Job) iter.Seq2[store.Imported, error] {
	return func(yield func(store.Imported, error) bool) {
		for _, j := range jobs {
			if !yield(store.Imported{Job: j}, nil) {
				return
			}
		}
	}
}
