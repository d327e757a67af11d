package servicetest

import (
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

var queueCases = []testCase{
	{"Life", queueLife},
	{"Refused", queueRefused},
	{"Paused", queuePaused},
	{"Concurrency", queueConcurrency},
	{"Manual", queueManual},
	{"Priority", queuePriority},
}

func queueLife(s *suite) {
	all, err := s.Queues(s.ctx)
	s.ok(err)
	if len(all) != 1 || all[0].Name != job.DefaultQueue || all[0].Start != job.StartAuto || all[0].Paused || all[0].Concurrency != 0 {
		s.Errorf("queues of a fresh registry: %+v", all)
	}
	two, paused := 2, true
	q, err := s.AddQueue(s.ctx, "a.b-C_1", job.QueueUpdate{Concurrency: &two})
	s.ok(err)
	if q.Name != "a.b-C_1" || q.Concurrency != 2 || q.Paused || q.Start != job.StartAuto || q.CreatedAt.IsZero() {
		s.Errorf("added: %+v", q)
	}
	q, err = s.SetQueue(s.ctx, q.Name, job.QueueUpdate{Paused: &paused})
	s.ok(err)
	if !q.Paused || q.Concurrency != 2 {
		s.Errorf("set: %+v", q)
	}
	s.held(job.Spec{Queue: q.Name})
	done := s.held(job.Spec{Queue: q.Name}).ID
	s.act(job.ActStop, done)
	q, err = s.Queue(s.ctx, q.Name)
	s.ok(err)
	s.same("counts", q.Jobs, map[job.State]int64{job.Held: 1, job.Stopped: 1})
	s.refused(s.DeleteQueue(s.ctx, q.Name), job.WrongState, "")
	_, err = s.Act(s.ctx, job.ActRequest{Action: job.ActDelete, Filter: job.Filter{Queues: []string{q.Name}}})
	s.ok(err)
	s.ok(s.DeleteQueue(s.ctx, q.Name))
	_, err = s.Queue(s.ctx, q.Name)
	s.refused(err, job.NotFound, "")
}

func queueRefused(s *suite) {
	none, many := -1, 1<<30
	mode := job.StartMode("maybe")
	_, err := s.AddQueue(s.ctx, "video", job.QueueUpdate{})
	s.ok(err)
	_, err = s.AddQueue(s.ctx, "video", job.QueueUpdate{})
	s.refused(err, job.Conflict, "")
	for _, name := range []string{"", "a b", "a/b", ".hidden", "-x", strings.Repeat("x", 65), "ü"} {
		_, err = s.AddQueue(s.ctx, name, job.QueueUpdate{})
		s.refused(err, job.Invalid, "")
	}
	_, err = s.AddQueue(s.ctx, "q", job.QueueUpdate{Concurrency: &none})
	s.refused(err, job.Invalid, "concurrency")
	_, err = s.SetQueue(s.ctx, "video", job.QueueUpdate{Concurrency: &many})
	s.refused(err, job.Invalid, "concurrency")
	_, err = s.SetQueue(s.ctx, "video", job.QueueUpdate{Start: &mode})
	s.refused(err, job.Invalid, "start")
	_, err = s.Queue(s.ctx, "vidoe")
	if e := s.refused(err, job.NotFound, ""); !strings.Contains(e.Hint, "video") {
		s.Errorf("the nearest name is not shown: %v", e)
	}
	_, err = s.SetQueue(s.ctx, "nosuch", job.QueueUpdate{})
	s.refused(err, job.NotFound, "")
	for _, name := range []string{"nosuch", "", "..", "a/b"} {
		s.refused(s.DeleteQueue(s.ctx, name), job.NotFound, "")
	}
	s.refused(s.DeleteQueue(s.ctx, job.DefaultQueue), job.WrongState, "")
	s.ok(s.DeleteQueue(s.ctx, "video"))
}

func queuePaused(s *suite) {
	yes, no := true, false
	_, err := s.SetQueue(s.ctx, job.DefaultQueue, job.QueueUpdate{Paused: &yes})
	s.ok(err)
	j := s.shell("true")
	if got := s.job(j.ID); got.State != job.Queued || !strings.Contains(got.WaitReason, "paused") {
		s.Errorf("%s, waits because %q", got.State, got.WaitReason)
	}
	_, err = s.SetQueue(s.ctx, job.DefaultQueue, job.QueueUpdate{Paused: &no})
	s.ok(err)
	if got := s.wait(j.ID); got.State != job.Completed {
		s.Errorf("after the pause: %s", got.State)
	}
}

func queueConcurrency(s *suite) {
	one := 1
	_, err := s.AddQueue(s.ctx, "line", job.QueueUpdate{Concurrency: &one})
	s.ok(err)
	g := s.gate()
	first := s.add(job.Spec{Shell: g.wait(), Queue: "line"}).ID
	second := s.add(job.Spec{Shell: "true", Queue: "line"}).ID
	s.until(first, job.Running)
	if j := s.job(second); j.State != job.Queued || j.WaitReason == "" {
		s.Errorf("behind a full line: %s, waits because %q", j.State, j.WaitReason)
	}
	g.open()
	a, b := s.wait(first), s.wait(second)
	if b.StartedAt.Before(a.FinishedAt) {
		s.Errorf("the second started at %s, the first ended at %s", b.StartedAt, a.FinishedAt)
	}
}

func queueManual(s *suite) {
	manual := job.StartManual
	_, err := s.AddQueue(s.ctx, "manual", job.QueueUpdate{Start: &manual})
	s.ok(err)
	j := s.add(job.Spec{Shell: "true", Queue: "manual"})
	if j.State != job.Held {
		s.Errorf("state %s", j.State)
	}
	s.act(job.ActStart, j.ID)
	if got := s.wait(j.ID); got.State != job.Completed {
		s.Errorf("started: %s", got.State)
	}
}

// queuePriority wants the higher one first, then the older, and `job start` before all.
func queuePriority(s *suite) {
	one, yes, no := 1, true, false
	_, err := s.AddQueue(s.ctx, "line", job.QueueUpdate{Concurrency: &one, Paused: &yes})
	s.ok(err)
	added := map[string]int64{}
	for _, p := range []struct {
		name     string
		priority int
	}{{"low", -5}, {"old", 0}, {"young", 0}, {"high", 9}, {"started", -9}} {
		added[p.name] = s.add(job.Spec{Shell: "true", Queue: "line", Priority: &p.priority}).ID
	}
	s.act(job.ActStart, added["started"])
	_, err = s.SetQueue(s.ctx, "line", job.QueueUpdate{Paused: &no})
	s.ok(err)
	order := []string{"started", "high", "old", "young", "low"}
	for i, name := range order {
		j := s.wait(added[name])
		if i > 0 {
			if before := s.job(added[order[i-1]]); j.StartedAt.Before(before.FinishedAt) {
				s.Errorf("%s started at %s, before %s ended at %s", name, j.StartedAt, order[i-1], before.FinishedAt)
			}
		}
	}
}
