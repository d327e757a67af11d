package storetest

import (
	"testing"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

func testCandidates(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	if err := s.AddQueue(t.Context(), job.Queue{Name: "other"}, start); err != nil {
		t.Fatal(err)
	}
	jobs := add(t, s, newJob(), newJob(withPriority(5)), newJob(withPriority(5)), newJob(withPriority(-1)), newJob(withHead(1)),
		newJob(withHead(2), withPriority(-9)), newJob(inState(job.Held), withPriority(99)), newJob(inQueue("other"), withPriority(99)))
	check := func(queue string, n int, want ...int64) {
		t.Helper()
		got, err := s.Candidates(t.Context(), queue, n)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "order", want, ids(got))
		for _, j := range got {
			diff(t, "record", get(t, s, j.ID), j)
		}
	}
	check(job.DefaultQueue, 100, 6, 5, 2, 3, 1, 4)
	check(job.DefaultQueue, 3, 6, 5, 2)
	check("other", 10, 8)
	check("nowhere", 10)
	live := move(t, s, minute(1), job.Starting, jobs[5], jobs[1])
	check(job.DefaultQueue, 2, 5, 3)
	live = append(live, move(t, s, minute(2), job.Running, live[0])...)
	move(t, s, minute(2), job.Stopping, live[2])
	move(t, s, minute(3), job.Queued, live[1])
	check(job.DefaultQueue, 3, 5, 2, 3)
	got, err := s.LiveJobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "LiveJobs", []*job.Job{get(t, s, 6)}, got)
	sound(t, s)
}
