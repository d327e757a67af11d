package servicetest

import (
	"context"
	"iter"

	"github.com/queuemgr/queuemgr/job"
)

var eventCases = []testCase{
	{"OnlyNew", eventsOnlyNew},
	{"AllInOrder", eventsAllInOrder},
	{"Resume", eventsResume},
	{"OfJobs", eventsOfJobs},
	{"OfQueue", eventsOfQueue},
	{"End", eventsEnd},
	{"ManyReaders", eventsManyReaders},
}

// take returns the next n changes.
func (s *suite) take(events iter.Seq2[job.Change, error], n int) (list []job.Change) {
	s.Helper()
	for c, err := range events {
		s.ok(err)
		if list = append(list, c); len(list) == n {
			return list
		}
	}
	s.Fatalf("%d changes, want %d: %v", len(list), n, s.ctx.Err())
	return nil
}

func eventsOnlyNew(s *suite) {
	s.held(job.Spec{})
	events := s.Events(s.ctx, job.EventOptions{})
	j := s.held(job.Spec{Name: "new"}) // before the first is asked for
	c := s.take(events, 1)[0]
	if c.Kind != job.JobAdded || c.JobID != j.ID || c.State != job.Held || c.Queue != job.DefaultQueue || c.Seq == 0 || c.At.IsZero() {
		s.Errorf("%+v", c)
	}
	inside, err := c.Job()
	s.ok(err)
	if inside.ID != j.ID || inside.Name != "new" || inside.Command[0] != "true" {
		s.Errorf("the job in the change: %+v", inside)
	}
}

func eventsAllInOrder(s *suite) {
	j := s.shell("exit 3")
	s.wait(j.ID)
	s.act(job.ActDelete, j.ID)
	var states []job.State
	last := uint64(0)
	for c, err := range s.Events(s.ctx, job.EventOptions{After: new(uint64)}) {
		s.ok(err)
		if c.Seq != last+1 {
			s.Errorf("change %d follows %d", c.Seq, last)
		}
		last = c.Seq
		if c.JobID == j.ID && (len(states) == 0 || states[len(states)-1] != c.State) {
			states = append(states, c.State)
		}
		if c.State == job.Deleted {
			break
		}
	}
	for i := 1; i < len(states); i++ {
		if !states[i-1].CanMove(states[i]) {
			s.Errorf("from %s to %s", states[i-1], states[i])
		}
	}
	if len(states) < 4 || states[0] != job.Queued || states[len(states)-2] != job.Failed {
		s.Errorf("states %v", states)
	}
	status, err := s.Status(s.ctx)
	s.ok(err)
	if status.Seq != last {
		s.Errorf("the status names change %d, the last was %d", status.Seq, last)
	}
}

func eventsResume(s *suite) {
	for range 10 {
		s.held(job.Spec{})
	}
	status, err := s.Status(s.ctx)
	s.ok(err)
	after := status.Seq - 7
	for i, c := range s.take(s.Events(s.ctx, job.EventOptions{After: &after}), 7) {
		if c.Seq != after+1+uint64(i) {
			s.Errorf("change %d at place %d behind %d", c.Seq, i, after)
		}
	}
	events := s.Events(s.ctx, job.EventOptions{After: &status.Seq})
	j := s.held(job.Spec{})
	if c := s.take(events, 1)[0]; c.JobID != j.ID {
		s.Errorf("behind the last change: %+v", c)
	}
}

func eventsOfJobs(s *suite) {
	a, b, c := s.held(job.Spec{}).ID, s.held(job.Spec{}).ID, s.held(job.Spec{}).ID
	s.act(job.ActStop, a, b, c)
	var got []int64
	for _, change := range s.take(s.Events(s.ctx, job.EventOptions{After: new(uint64), JobIDs: []int64{a, c}}), 4) {
		got = append(got, change.JobID)
	}
	s.same("jobs of the changes", got, []int64{a, c, a, c})
}

func eventsOfQueue(s *suite) {
	events := s.Events(s.ctx, job.EventOptions{Queue: "q"})
	_, err := s.AddQueue(s.ctx, "other", job.QueueUpdate{})
	s.ok(err)
	_, err = s.AddQueue(s.ctx, "q", job.QueueUpdate{})
	s.ok(err)
	s.held(job.Spec{})
	j := s.held(job.Spec{Queue: "q"})
	s.act(job.ActDelete, j.ID)
	paused := true
	_, err = s.SetQueue(s.ctx, "q", job.QueueUpdate{Paused: &paused})
	s.ok(err)
	s.ok(s.DeleteQueue(s.ctx, "q"))
	list := s.take(events, 5)
	var kinds []job.ChangeKind
	for _, c := range list {
		kinds = append(kinds, c.Kind)
		if c.Queue != "q" {
			s.Errorf("a change of queue %q", c.Queue)
		}
	}
	s.same("changes", kinds, []job.ChangeKind{job.QueueSet, job.JobAdded, job.JobChanged, job.QueueSet, job.QueueDeleted})
	q, err := list[3].QueueConfig()
	s.ok(err)
	if q == nil || q.Name != "q" || !q.Paused {
		s.Errorf("the queue in the change: %+v", q)
	}
}

func eventsEnd(s *suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	events := s.Events(ctx, job.EventOptions{})
	s.held(job.Spec{})
	n := 0
	for _, err := range events {
		s.ok(err)
		n++
		cancel()
	}
	if n != 1 {
		s.Errorf("%d changes until the context ended", n)
	}
}

func eventsManyReaders(s *suite) {
	const readers, jobs = 20, 50
	done := make(chan int)
	for range readers {
		events := s.Events(s.ctx, job.EventOptions{})
		go func() {
			n := 0
			for _, err := range events {
				if err != nil {
					break
				}
				if n++; n == jobs {
					break
				}
			}
			done <- n
		}()
	}
	_, err := s.AddJobs(s.ctx, job.Batch{Defaults: job.Spec{Shell: "true", Hold: true}, Jobs: make([]job.Spec, jobs)})
	s.ok(err)
	for range readers {
		if n := <-done; n != jobs {
			s.Errorf("a reader saw %d changes of %d", n, jobs)
		}
	}
}
