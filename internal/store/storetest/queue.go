package storetest

import (
	"testing"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

func testQueues(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	queues := func() []job.Queue {
		t.Helper()
		q, err := s.Queues(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	if q := queues(); len(q) != 1 || q[0].Name != job.DefaultQueue || q[0].Start != job.StartAuto || q[0].Paused {
		t.Fatalf("an empty registry has the queues %+v", q)
	}
	night := job.Queue{Name: "Night", Concurrency: 2, Start: job.StartManual, CreatedAt: start}
	if err := s.AddQueue(t.Context(), night, start); err != nil {
		t.Fatal(err)
	}
	refused(t, s.AddQueue(t.Context(), night, start), job.Conflict)
	diff(t, "Queues", night, queues()[0])
	night.Paused, night.Concurrency = true, 0
	counted := night
	counted.Jobs = map[job.State]int64{job.Queued: 7} // counts are never stored
	if err := s.SetQueue(t.Context(), counted, minute(1)); err != nil {
		t.Fatal(err)
	}
	diff(t, "Queues", night, queues()[0])
	refused(t, s.SetQueue(t.Context(), job.Queue{Name: "x"}, start), job.NotFound)
	refused(t, s.DeleteQueue(t.Context(), "x", start), job.NotFound)
	refused(t, s.DeleteQueue(t.Context(), job.DefaultQueue, start), job.WrongState)

	j := add(t, s, newJob(inQueue("Night")))[0]
	refused(t, s.DeleteQueue(t.Context(), "Night", start), job.WrongState)
	j = move(t, s, minute(2), job.Starting, j)[0]
	refused(t, s.DeleteQueue(t.Context(), "Night", start), job.WrongState)
	move(t, s, minute(3), job.Completed, j)
	if err := s.DeleteQueue(t.Context(), "Night", minute(4)); err != nil {
		t.Fatal(err)
	}
	if q := queues(); len(q) != 1 {
		t.Errorf("after the deletion there are %+v", q)
	}
	if got := get(t, s, j.ID).Queue; got != "Night" {
		t.Errorf("an ended job of a deleted queue has the queue %q", got)
	}
	sound(t, s)
}

func testCounts(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	diff(t, "empty", store.Counts{}, s.Counts())
	jobs := add(t, s, newJob(), newJob(), newJob(ofType("x"), inState(job.Held)))
	before := s.Counts()
	started := move(t, s, minute(1), job.Starting, jobs[0], jobs[1])
	move(t, s, minute(2), job.Completed, started[0])
	want := store.Counts{
		ByQueue: map[string]map[job.State]int64{"default": {job.Completed: 1, job.Starting: 1, job.Held: 1}},
		ByType:  map[string]map[job.State]int64{"command": {job.Completed: 1, job.Starting: 1}, "x": {job.Held: 1}},
	}
	diff(t, "Counts", want, s.Counts())
	diff(t, "an earlier snapshot", map[string]map[job.State]int64{"default": {job.Queued: 2, job.Held: 1}}, before.ByQueue)
	s.Counts().ByQueue["default"][job.Held] = 99
	diff(t, "after a caller wrote into a snapshot", want, s.Counts())
	move(t, s, minute(3), job.Deleted, get(t, s, 1))
	purge(t, s, 10)
	diff(t, "ByQueue after a purge", map[string]map[job.State]int64{"default": {job.Starting: 1, job.Held: 1}}, s.Counts().ByQueue)
	sound(t, s)
}
