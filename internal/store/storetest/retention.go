package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

var (
	ended    = []job.State{job.Completed, job.Failed, job.Stopped, job.Skipped, job.Deleted}
	purgedAt = minute(1000)
)

// purge removes up to n ended jobs.
func purge(t *testing.T, s store.Store, n int) []store.Purged {
	t.Helper()
	return purgeSome(t, s, store.Purge{States: ended, Limit: n})
}

func purgeSome(t *testing.T, s store.Store, p store.Purge) []store.Purged {
	t.Helper()
	p.At = purgedAt
	purged, err := s.Purge(t.Context(), p)
	if err != nil {
		t.Fatalf("Purge: %v", err)
	}
	return purged
}

func purgedIDs(purged []store.Purged) (out []int64) {
	for _, p := range purged {
		out = append(out, p.ID)
	}
	return out
}

func testRetention(t *testing.T, open func(*testing.T) store.Store) {
	// fill makes jobs 1 to 6 of which 3 ended first, then 1, 2, and then 5 was deleted; 4 waits
	// and 6 lives.
	fill := func(t *testing.T, s store.Store) {
		t.Helper()
		jobs := add(t, s, newJob(), newJob(), newJob(), newJob(), newJob(), newJob())
		finish(t, s, minute(1), job.Completed, jobs[2])
		finish(t, s, minute(2), job.Failed, jobs[0])
		finish(t, s, minute(3), job.Completed, jobs[1])
		move(t, s, minute(4), job.Deleted, jobs[4])
		move(t, s, minute(4), job.Starting, jobs[5])
	}
	cases := []struct {
		name string
		p    store.Purge
		want []int64
	}{
		{"those that ended first", store.Purge{States: ended, Limit: 2}, []int64{3, 1}},
		{"one state", store.Purge{States: []job.State{job.Completed}, Limit: 9}, []int64{3, 2}},
		{"of an age", store.Purge{States: ended, EndedBefore: minute(3), Limit: 9}, []int64{3, 1}},
		{"of an age, by steps", store.Purge{States: ended, EndedBefore: minute(3), Limit: 1}, []int64{3}},
		{"all but some", store.Purge{States: ended, Keep: 1, Limit: 9}, []int64{3, 1, 2}},
		{"all but more than there are", store.Purge{States: ended, Keep: 9, Limit: 9}, nil},
		{"none of no state", store.Purge{Limit: 9}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			fill(t, s)
			diff(t, "purged", c.want, purgedIDs(purgeSome(t, s, c.p)))
			for _, id := range c.want {
				_, err := s.Job(t.Context(), id)
				refused(t, err, job.NotFound)
			}
			left := slices.DeleteFunc([]int64{2, 3, 4, 5}, func(id int64) bool { return slices.Contains(c.want, id) })
			got, err := s.OnRecord(t.Context(), 2, 5)
			if err != nil {
				t.Fatalf("OnRecord: %v", err)
			}
			diff(t, "on record", left, got)
			sound(t, s)
		})
	}

	t.Run("waiting and live jobs are never taken", func(t *testing.T) {
		s := open(t)
		_, err := s.Purge(t.Context(), store.Purge{States: []job.State{job.Queued}, Limit: 1, At: purgedAt})
		refused(t, err, job.Internal)
	})

	t.Run("age counts from the last end", func(t *testing.T) {
		s := open(t)
		j := finish(t, s, minute(1), job.Failed, add(t, s, newJob())...)[0]
		j = move(t, s, minute(2), job.Queued, j)[0]
		diff(t, "a job that waits again", []int64(nil), purgedIDs(purge(t, s, 9)))
		j = finish(t, s, minute(5), job.Failed, j)[0]
		note := *j
		note.StatusText = "seen"
		commit(t, s, store.Commit{At: minute(8), Updates: []store.Update{{Job: &note, From: job.Failed}}})
		diff(t, "before", []int64(nil), purgedIDs(purgeSome(t, s, store.Purge{States: ended, EndedBefore: minute(5), Limit: 9})))
		move(t, s, minute(9), job.Deleted, get(t, s, 1))
		diff(t, "before it was deleted", []int64(nil), purgedIDs(purgeSome(t, s, store.Purge{States: ended, EndedBefore: minute(9), Limit: 9})))
		diff(t, "after", []int64{1}, purgedIDs(purgeSome(t, s, store.Purge{States: ended, EndedBefore: minute(9).Add(time.Microsecond), Limit: 9})))
	})

	t.Run("attempts go, numbers and keys are treated right", func(t *testing.T) {
		s := open(t)
		j := add(t, s, newJob(withKey("k")))[0]
		failed := finish(t, s, minute(1), job.Failed, j)[0]
		next := *failed
		next.State, next.Attempt = job.Queued, 2
		commit(t, s, store.Commit{At: minute(2), Updates: []store.Update{{Job: &next, From: job.Failed, Archive: &job.Attempt{JobID: 1, Attempt: 1}}}})
		move(t, s, minute(3), job.Stopped, &next)
		diff(t, "purged", []store.Purged{{ID: 1, Attempts: 2}}, purge(t, s, 9))
		if a, err := s.Attempts(t.Context(), 1); err != nil || len(a) != 0 {
			t.Errorf("attempts of a purged job: %v, %v", a, err)
		}
		if again := add(t, s, newJob(withKey("k")))[0]; again.ID != 2 {
			t.Errorf("the number %d was used again", again.ID)
		}
		sound(t, s)
	})
}
