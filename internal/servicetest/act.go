package servicetest

import (
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

var actCases = []testCase{
	{"StopLive", actStopLive},
	{"StopForced", actStopForced},
	{"Waiting", actWaiting},
	{"StartAgain", actStartAgain},
	{"DeleteLive", actDeleteLive},
	{"WrongState", actWrongState},
	{"Missing", actMissing},
	{"Selection", actSelection},
	{"Range", actRange},
	{"DryRun", actDryRun},
	{"Refused", actRefused},
}

func actStopLive(s *suite) {
	j := s.shell("trap 'echo stopped; exit 0' TERM; echo ready; sleep 1000 & wait")
	s.readUntil(j.ID, "ready\n")
	s.act(job.ActStop, j.ID)
	got := s.wait(j.ID)
	// It ended by itself with 0 after the signal: stopped all the same, never completed.
	if got.State != job.Stopped || got.Reason != job.ReasonUser {
		s.Errorf("%s(%s)", got.State, got.Reason)
	}
	s.same("output", s.log(j.ID, job.LogOptions{}), "ready\nstopped\n")
}

// readUntil follows a job's log until it holds text from its beginning.
func (s *suite) readUntil(id int64, text string) {
	s.Helper()
	r, err := s.Logs(s.ctx, id, job.LogOptions{Follow: true})
	s.ok(err)
	defer r.Close()
	s.reads(r, text)
}

func actStopForced(s *suite) {
	g := s.gate()
	script := "trap '' TERM; echo ready; " + g.wait()
	grace := job.Duration(10 * time.Millisecond)
	for _, r := range []job.ActRequest{{Action: job.ActStop, Force: true}, {Action: job.ActStop, Grace: &grace}} {
		j := s.add(job.Spec{Shell: script, Grace: job.Duration(time.Hour)})
		s.readUntil(j.ID, "ready\n")
		r.Filter = byID(j.ID)
		result, err := s.Act(s.ctx, r)
		s.ok(err)
		s.same("done", result.Done, []int64{j.ID})
		if got := s.wait(j.ID); got.State != job.Stopped || got.Signal != 9 {
			s.Errorf("%s, signal %d", got.State, got.Signal)
		}
	}
}

func actWaiting(s *suite) {
	one, two, three := s.held(job.Spec{}), s.held(job.Spec{}), s.held(job.Spec{})
	s.act(job.ActStop, one.ID)
	if j := s.job(one.ID); j.State != job.Stopped || j.Reason != job.ReasonUser || j.Attempt != 0 {
		s.Errorf("stopped while it waited: %+v", j)
	}
	s.act(job.ActDelete, two.ID)
	if j := s.job(two.ID); j.State != job.Deleted {
		s.Errorf("deleted while it waited: %+v", j)
	}
	s.act(job.ActStart, three.ID)
	if j := s.wait(three.ID); j.State != job.Completed {
		s.Errorf("started: %+v", j)
	}
	paused := true
	_, err := s.AddQueue(s.ctx, "p", job.QueueUpdate{Paused: &paused})
	s.ok(err)
	four := s.add(job.Spec{Command: []string{"true"}, Queue: "p"})
	s.act(job.ActHold, four.ID)
	if j := s.job(four.ID); j.State != job.Held {
		s.Errorf("held: %+v", j)
	}
}

func actStartAgain(s *suite) {
	j := s.shell("echo $QUEUEMGR_ATTEMPT; exit $QUEUEMGR_ATTEMPT")
	first := s.wait(j.ID)
	none, err := s.Attempts(s.ctx, j.ID)
	s.ok(err)
	if len(none) != 0 {
		s.Errorf("earlier attempts of the first: %+v", none)
	}
	s.act(job.ActStart, j.ID)
	second := s.wait(j.ID)
	if second.Attempt != 2 || second.ExitCode == nil || *second.ExitCode != 2 || second.RunID == first.RunID {
		s.Errorf("%+v", second)
	}
	attempts, err := s.Attempts(s.ctx, j.ID)
	s.ok(err)
	s.same("earlier attempts", attempts, []job.Attempt{{JobID: j.ID, Attempt: 1, RunID: first.RunID, State: job.Failed, Reason: job.ReasonExit,
		ExitCode: first.ExitCode, StartedAt: first.StartedAt, FinishedAt: first.FinishedAt, Usage: first.Usage}})
	s.same("log of the first", s.log(j.ID, job.LogOptions{Attempt: 1}), "1\n")
	s.same("log of the newest", s.log(j.ID, job.LogOptions{}), "2\n")
}

func actDeleteLive(s *suite) {
	g := s.gate()
	j := s.shell("echo kept; " + g.wait())
	s.readUntil(j.ID, "kept\n")
	s.act(job.ActDelete, j.ID)
	if got := s.wait(j.ID); got.State != job.Deleted {
		s.Errorf("state %s", got.State)
	}
	s.same("log of a deleted job", s.log(j.ID, job.LogOptions{}), "kept\n")
}

func actWrongState(s *suite) {
	g := s.gate()
	ended, live, deleted := s.shell("true").ID, s.shell(g.wait()).ID, s.held(job.Spec{}).ID
	s.wait(ended)
	s.until(live, job.Running)
	s.act(job.ActDelete, deleted)
	for _, c := range []struct {
		a  job.Action
		id int64
	}{
		{job.ActStop, ended}, {job.ActHold, ended}, {job.ActStart, live}, {job.ActHold, live},
		{job.ActStart, deleted}, {job.ActStop, deleted}, {job.ActHold, deleted}, {job.ActDelete, deleted},
	} {
		result, err := s.Act(s.ctx, job.ActRequest{Action: c.a, Filter: byID(c.id)})
		s.ok(err)
		if len(result.Failed) != 1 || len(result.Done) != 0 || result.Failed[0].JobID != c.id {
			s.Errorf("%s job %d: %+v", c.a, c.id, result)
			continue
		}
		s.refused(result.Failed[0].Error, job.WrongState, "")
	}
	g.open()
	s.wait(live)
}

func actMissing(s *suite) {
	there := s.held(job.Spec{}).ID
	f := byID(there, 4711)
	f.Keys = []string{"nosuch"}
	result, err := s.Act(s.ctx, job.ActRequest{Action: job.ActStop, Filter: f})
	s.ok(err)
	s.same("done", result.Done, []int64{there})
	if len(result.Failed) != 2 {
		s.Fatalf("%+v", result)
	}
	for _, failure := range result.Failed {
		s.refused(failure.Error, job.NotFound, "")
	}
	if i := slices.IndexFunc(result.Failed, func(f job.ActFailure) bool { return f.JobID == 4711 }); i < 0 {
		s.Errorf("job 4711 is not named: %+v", result)
	}
}

func actSelection(s *suite) {
	held := func(n int) (list []int64) {
		for range n {
			list = append(list, s.held(job.Spec{Tags: []string{"sel"}}).ID)
		}
		return list
	}
	done := s.shell("true").ID
	s.wait(done)
	five := held(5)
	key := s.held(job.Spec{Key: "mine"}).ID
	for _, c := range []struct {
		name    string
		f       job.Filter
		want    []int64
		skipped int
	}{
		{"range", job.Filter{IDs: []job.Range{{From: five[0], To: five[1]}}}, five[:2], 0},
		{"key", job.Filter{Keys: []string{"mine"}}, []int64{key}, 0},
		{"last with a tag", job.Filter{Last: true, Tags: []string{"sel"}}, five[4:], 0},
		{"tag and state", job.Filter{Tags: []string{"sel"}, States: []job.State{job.Held}}, five[2:4], 0},
		{"all", job.Filter{}, []int64{}, 7}, // by now every one is stopped or ended
	} {
		result, err := s.Act(s.ctx, job.ActRequest{Action: job.ActStop, Filter: c.f})
		s.ok(err)
		slices.Sort(result.Done)
		s.same(c.name, result.Done, c.want)
		if result.Skipped != c.skipped || len(result.Failed) > 0 {
			s.Errorf("%s: %+v, want %d skipped", c.name, result, c.skipped)
		}
	}
	many := held(3)
	result, err := s.Act(s.ctx, job.ActRequest{Action: job.ActDelete, Filter: job.Filter{}})
	s.ok(err)
	if len(result.Done) != 10 || !slices.Contains(result.Done, many[2]) {
		s.Errorf("delete all: %+v", result)
	}
	s.same("jobs left", s.list(job.Filter{}), []int64{})
}

// actRange wants jobs of a range that are in no state for the action passed over, and failed those
// that are also named by themselves.
func actRange(s *suite) {
	ended := func(key string) int64 {
		j := s.add(job.Spec{Shell: "true", Key: key})
		s.wait(j.ID)
		return j.ID
	}
	first, one, keyed, two, newest := ended(""), s.held(job.Spec{}).ID, ended("mine"), s.held(job.Spec{}).ID, ended("")
	all := job.Range{From: first, To: newest}
	for _, c := range []struct {
		name    string
		f       job.Filter
		done    []int64
		failed  []int64
		skipped int
	}{
		{"range", job.Filter{IDs: []job.Range{all}}, []int64{one, two}, []int64{}, 3},
		{"and a number", job.Filter{IDs: []job.Range{all, {From: first, To: first}}}, []int64{}, []int64{first}, 4},
		{"and a key", job.Filter{IDs: []job.Range{all}, Keys: []string{"mine"}}, []int64{}, []int64{keyed}, 4},
		{"and last", job.Filter{IDs: []job.Range{all}, Last: true}, []int64{}, []int64{newest}, 4},
		{"last alone", job.Filter{Last: true}, []int64{}, []int64{newest}, 0},
		{"range of none", job.Filter{IDs: []job.Range{{From: newest + 1, To: newest + 9}}}, []int64{}, []int64{}, 0},
	} {
		result, err := s.Act(s.ctx, job.ActRequest{Action: job.ActStop, Filter: c.f})
		s.ok(err)
		failed := []int64{}
		for _, failure := range result.Failed {
			failed = append(failed, failure.JobID)
			s.refused(failure.Error, job.WrongState, "")
		}
		s.same(c.name+": done", result.Done, c.done)
		s.same(c.name+": failed", failed, c.failed)
		s.same(c.name+": passed over", result.Skipped, c.skipped)
	}
}

func actDryRun(s *suite) {
	ended, waiting := s.shell("true").ID, s.held(job.Spec{}).ID
	s.wait(ended)
	result, err := s.Act(s.ctx, job.ActRequest{Action: job.ActStop, DryRun: true})
	s.ok(err)
	s.same("would be done", result.Done, []int64{waiting})
	if result.Skipped != 1 {
		s.Errorf("%+v", result)
	}
	if j := s.job(waiting); j.State != job.Held {
		s.Errorf("a dry run left the job %s", j.State)
	}
}

func actRefused(s *suite) {
	_, err := s.Act(s.ctx, job.ActRequest{Action: "explode"})
	s.refused(err, job.Invalid, "action")
}
