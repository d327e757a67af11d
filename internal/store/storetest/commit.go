package storetest

import (
	"context"
	"testing"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

func testCommit(t *testing.T, open func(*testing.T) store.Store) {
	t.Run("replaces the record and raises its revision", func(t *testing.T) {
		s := open(t)
		j := add(t, s, newJob(withKey("k")))[0]
		next := *j
		next.State, next.Attempt, next.RunID, next.Fence, next.Key, next.Name, next.Priority = job.Starting, 1, "run-1", 9, "", "new", 5
		commit(t, s, store.Commit{At: minute(1), Updates: []store.Update{{Job: &next, From: job.Queued}}})
		if next.Rev != 2 {
			t.Errorf("Rev is %d, want 2", next.Rev)
		}
		diff(t, "Job", &next, get(t, s, j.ID))
		_, err := s.JobByKey(t.Context(), "k")
		refused(t, err, job.NotFound)
		sound(t, s)
	})

	t.Run("a deleted job keeps its key on record and lets it go", func(t *testing.T) {
		s := open(t)
		first := add(t, s, newJob(withKey("k")))[0]
		deleted := move(t, s, minute(1), job.Deleted, first)[0]
		if deleted.Key != "k" {
			t.Errorf("the record has key %q", deleted.Key)
		}
		_, err := s.JobByKey(t.Context(), "k")
		refused(t, err, job.NotFound)
		second := add(t, s, newJob(withKey("k")))[0]
		found, err := s.JobByKey(t.Context(), "k")
		if err != nil || found.ID != second.ID {
			t.Errorf("JobByKey: %v, %v; want job %d", found, err, second.ID)
		}
		sound(t, s)
	})

	t.Run("a stale revision is a conflict of that update alone", func(t *testing.T) {
		s := open(t)
		jobs := add(t, s, newJob(), newJob())
		move(t, s, minute(1), job.Starting, jobs[0])
		stale, fresh := *jobs[0], *jobs[1]
		stale.State, fresh.State = job.Held, job.Held
		got := commit(t, s, store.Commit{At: minute(2), Updates: []store.Update{{Job: &stale, From: job.Queued}, {Job: &fresh, From: job.Queued}}})
		diff(t, "conflicts", []int64{1}, got.Conflicts)
		if stale.Rev != 1 || fresh.Rev != 2 {
			t.Errorf("Rev is %d and %d, want 1 and 2", stale.Rev, fresh.Rev)
		}
		if got := get(t, s, 1).State; got != job.Starting {
			t.Errorf("job 1 is %s", got)
		}
		missing := newJob()
		missing.ID, missing.Rev = 99, 1
		got = commit(t, s, store.Commit{At: minute(3), Updates: []store.Update{{Job: missing, From: job.Queued}}})
		diff(t, "conflicts", []int64{99}, got.Conflicts)
		sound(t, s)
	})

	t.Run("two updates of a job in one commit", func(t *testing.T) {
		s := open(t)
		j := add(t, s, newJob())[0]
		one, two := *j, *j
		one.State, two.State = job.Starting, job.Held
		got := commit(t, s, store.Commit{At: minute(1), Updates: []store.Update{{Job: &one, From: job.Queued}, {Job: &two, From: job.Queued}}})
		diff(t, "conflicts", []int64{1}, got.Conflicts)
		if got := get(t, s, 1).State; got != job.Starting {
			t.Errorf("job 1 is %s", got)
		}
	})

	t.Run("an illegal move refuses the whole call", func(t *testing.T) {
		s := open(t)
		jobs := add(t, s, newJob(), newJob())
		fine, bad := *jobs[0], *jobs[1]
		fine.State, bad.State = job.Starting, job.Completed
		_, err := s.Commit(t.Context(), store.Commit{At: minute(1), Cursor: &store.Cursor{Journal: "j", Seq: 1},
			Updates: []store.Update{{Job: &fine, From: job.Queued}, {Job: &bad, From: job.Queued}}})
		refused(t, err, job.Internal)
		wrongFrom := *jobs[1]
		wrongFrom.State = job.Completed
		_, err = s.Commit(t.Context(), store.Commit{At: minute(1), Updates: []store.Update{{Job: &fine, From: job.Queued}, {Job: &wrongFrom, From: job.Running}}})
		refused(t, err, job.Internal)
		for _, j := range jobs {
			diff(t, "Job", j, get(t, s, j.ID))
		}
		if c, err := s.Cursor(t.Context()); err != nil || c != (store.Cursor{}) {
			t.Errorf("the cursor is %v, %v", c, err)
		}
		sound(t, s)
	})

	t.Run("every move of the table and no other", func(t *testing.T) {
		s := open(t)
		for _, from := range job.States {
			for _, to := range job.States {
				j := add(t, s, newJob(inState(from)))[0]
				next := *j
				next.State = to
				_, err := s.Commit(t.Context(), store.Commit{At: minute(1), Updates: []store.Update{{Job: &next, From: from}}})
				if legal := from == to || from.CanMove(to); legal != (err == nil) {
					t.Errorf("%s to %s: legal is %v, error is %v", from, to, legal, err)
				}
			}
		}
		sound(t, s)
	})

	t.Run("to another queue", func(t *testing.T) {
		s := open(t)
		if err := s.AddQueue(t.Context(), job.Queue{Name: "night"}, start); err != nil {
			t.Fatal(err)
		}
		j := add(t, s, newJob())[0]
		next := *j
		next.Queue = "night"
		commit(t, s, store.Commit{At: minute(1), Updates: []store.Update{{Job: &next, From: job.Queued}}})
		diff(t, "ByQueue", map[string]map[job.State]int64{"night": {job.Queued: 1}}, s.Counts().ByQueue)
		sound(t, s)
	})

	t.Run("into a queue that is gone", func(t *testing.T) {
		s := open(t)
		if err := s.AddQueue(t.Context(), job.Queue{Name: "night"}, start); err != nil {
			t.Fatal(err)
		}
		j := finish(t, s, minute(1), job.Completed, add(t, s, newJob(inQueue("night")))...)[0]
		if err := s.DeleteQueue(t.Context(), "night", minute(2)); err != nil {
			t.Fatal(err)
		}
		again := *j
		again.State = job.Queued
		got := commit(t, s, store.Commit{At: minute(3), Updates: []store.Update{{Job: &again, From: job.Completed}}})
		diff(t, "conflicts", []int64{1}, got.Conflicts)
		move(t, s, minute(4), job.Deleted, j)
		sound(t, s)
	})

	t.Run("archives attempts", func(t *testing.T) {
		s := open(t)
		j := add(t, s, newJob())[0]
		code := 2
		want := []job.Attempt{{JobID: 1, Attempt: 1, RunID: "a", State: job.Failed, Reason: job.ReasonExit, ExitCode: &code, StartedAt: minute(1), FinishedAt: minute(2)},
			{JobID: 1, Attempt: 2, RunID: "b", State: job.Failed, Reason: job.ReasonSignal, Signal: 9, Usage: &job.Usage{MaxRSS: 4096}}}
		for i := range want {
			failed := finish(t, s, minute(i), job.Failed, j)[0]
			next := *failed
			next.State = job.Queued
			commit(t, s, store.Commit{At: minute(i), Updates: []store.Update{{Job: &next, From: job.Failed, Archive: &want[i]}}})
			j = &next
		}
		got, err := s.Attempts(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "Attempts", want, got)
	})

	t.Run("the cursor moves with the updates", func(t *testing.T) {
		s := open(t)
		j := add(t, s, newJob())[0]
		next := *j
		next.State = job.Starting
		want := store.Cursor{Journal: "j1", BootID: "b1", Seq: 42}
		commit(t, s, store.Commit{At: minute(1), Cursor: &want, Vital: true, Updates: []store.Update{{Job: &next, From: job.Queued}}})
		want.Seq = 43
		commit(t, s, store.Commit{At: minute(1), Cursor: &want, Vital: true})
		got, err := s.Cursor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "Cursor", want, got)
	})

	t.Run("nothing begins under a context that has ended", func(t *testing.T) {
		s := open(t)
		j := add(t, s, newJob())[0]
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		next := *j
		next.State = job.Starting
		if _, err := s.Commit(ctx, store.Commit{At: minute(1), Updates: []store.Update{{Job: &next, From: job.Queued}}}); err == nil {
			t.Error("no error")
		}
		diff(t, "Job", j, get(t, s, j.ID))
	})
}

func commit(t *testing.T, s store.Store, c store.Commit) store.Committed {
	t.Helper()
	done, err := s.Commit(t.Context(), c)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return done
}
