package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// say has the runner report what the job's present run says of itself.
func (s *stage) say(id int64, r wire.Report) {
	s.t.Helper()
	time.Sleep(time.Second) // as long as a runner waits between two of the same run
	s.sayAs(s.conn, s.job(id), r)
	synctest.Wait()
}

func (s *stage) sayAs(from sender, j *job.Job, r wire.Report) {
	r.RunID, r.JobID, r.Fence = j.RunID, j.ID, j.Fence
	s.in.putReports(from, []wire.Report{r})
}

// changesOf returns the kinds of a job's changes.
func (s *stage) changesOf(id int64) (kinds []job.ChangeKind) {
	s.t.Helper()
	all, err := s.store.Changes(s.t.Context(), 0, 10_000)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range all {
		if c.JobID == id {
			kinds = append(kinds, c.Kind)
		}
	}
	return kinds
}

func (s *stage) running(spec job.Spec) *job.Job {
	s.t.Helper()
	j := s.addSpec(spec)
	s.tell(j.ID, wire.Event{Kind: wire.Started, PID: 7})
	s.wantState(j.ID, job.Running)
	return s.job(j.ID)
}

func at100(n int) *int { return &n }

var sleeps = job.Spec{Command: []string{"sleep", "1000"}}

// TestReports takes what a run says of itself into its job's record: the whole of it each time, one
// change where something has changed and none where nothing has.
func TestReports(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		j := s.running(sleeps)
		s.say(j.ID, wire.Report{Progress: at100(40), Status: "reading"})
		s.say(j.ID, wire.Report{Progress: at100(40), Status: "reading"})
		s.say(j.ID, wire.Report{Progress: at100(30), Status: "reading"}) // never less within an attempt
		if got := s.job(j.ID); *got.Progress != 40 || got.StatusText != "reading" || got.State != job.Running {
			t.Errorf("on record: %d %%, %q, %s", *got.Progress, got.StatusText, got.State)
		}
		if got, want := s.changesOf(j.ID), []job.ChangeKind{job.JobAdded, job.JobChanged, job.JobChanged, job.JobReported}; !slices.Equal(got, want) {
			t.Errorf("changes %v, want %v", got, want)
		}
		s.say(j.ID, wire.Report{Progress: at100(140), Status: "writing", Result: json.RawMessage("{ \"n\": 12345678901234567890, \"tag\": \"<b>\" }")})
		got := s.job(j.ID)
		if *got.Progress != 100 || got.StatusText != "writing" {
			t.Errorf("on record: %d %%, %q", *got.Progress, got.StatusText)
		}
		var result map[string]any
		if err := json.Unmarshal(got.Result, &result); err != nil || !strings.Contains(string(got.Result), "12345678901234567890") || result["tag"] != "<b>" {
			t.Errorf("the result on record is %s, %v", got.Result, err)
		}
		before := s.store.Seq()
		s.say(j.ID, wire.Report{Progress: at100(100), Status: "writing", Result: json.RawMessage("{ \"n\": 12345678901234567890, \"tag\": \"<b>\" }")})
		if now := s.store.Seq(); now != before {
			t.Errorf("the same once more made %d changes", now-before)
		}
	})
}

// TestReportsWaitTogether has a thousand reports of a run come while the core is busy: the newest
// alone is committed, in the commit of whatever comes with it.
func TestReportsWaitTogether(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		j := s.running(sleeps)
		s.store.refuseIf(nil)
		time.Sleep(time.Second)
		busy, free := make(chan struct{}), make(chan struct{})
		s.in.put(call{f: func(*core, *tx) error { close(busy); <-free; return nil }, reply: make(chan error, 1)})
		<-busy
		for n := range 1000 {
			s.sayAs(s.conn, j, wire.Report{Progress: at100(n / 10), Status: fmt.Sprint("step ", n)})
		}
		if n := len(s.in.said.reports); n != 1 {
			t.Errorf("%d reports wait, want one", n)
		}
		close(free)
		synctest.Wait()
		if tried, _ := s.store.counts(); tried != 1 {
			t.Errorf("%d commits, want one", tried)
		}
		if got := s.job(j.ID); *got.Progress != 99 || got.StatusText != "step 999" {
			t.Errorf("on record: %d %%, %q", *got.Progress, got.StatusText)
		}
	})
}

// TestReportsOfOthersAreDropped sends what is no present run's, or comes from a connection that was given
// up.
func TestReportsOfOthersAreDropped(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		j := s.running(sleeps)
		old, before := s.conn, s.store.Seq()
		for _, other := range []job.Job{{ID: j.ID, RunID: "another", Fence: j.Fence}, {ID: j.ID, RunID: j.RunID, Fence: j.Fence + 1}, {ID: j.ID + 1, RunID: j.RunID, Fence: j.Fence}} {
			s.sayAs(s.conn, &other, wire.Report{Status: "mine"})
			synctest.Wait()
		}
		s.connect(wire.Run{RunID: j.RunID, JobID: j.ID, Fence: j.Fence, State: wire.RunStarted, PID: 7})
		s.sayAs(old, j, wire.Report{Status: "late"})
		synctest.Wait()
		if got := s.job(j.ID); got.StatusText != "" || s.store.Seq() != before {
			t.Errorf("on record: %q, after %d changes", got.StatusText, s.store.Seq()-before)
		}
		code := 0
		s.tell(j.ID, wire.Event{Kind: wire.Exited, Cause: wire.CauseExit, ExitCode: &code})
		s.say(j.ID, wire.Report{Status: "after the end"})
		if got := s.job(j.ID); got.StatusText != "" || got.State != job.Completed {
			t.Errorf("after its end: %q, %s", got.StatusText, got.State)
		}
	})
}

// TestReportsAreNotVital refuses what need not be recorded, as a full disk does: the runner's connection
// stays, and the last report is recorded with the end all the same.
func TestReportsAreNotVital(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		j := s.running(sleeps)
		s.store.refuseIf(func(c *store.Commit) bool { return !c.Vital })
		s.say(j.ID, wire.Report{Progress: at100(7)})
		if got := s.job(j.ID); got.Progress != nil || s.conn.isClosed() {
			t.Errorf("progress %v, connection given up: %v", got.Progress, s.conn.isClosed())
		}
		code := 0
		s.tell(j.ID, wire.Event{Kind: wire.Exited, Cause: wire.CauseExit, ExitCode: &code, Report: &wire.Report{Progress: at100(80), Status: "last", Result: json.RawMessage(`[1]`)}})
		got := s.job(j.ID)
		if got.State != job.Completed || got.Progress == nil || *got.Progress != 80 || got.StatusText != "last" || string(got.Result) != "[1]" {
			t.Errorf("at its end: %+v", got)
		}
	})
}

// TestRefusedBecomesNotes keeps what was refused as notes, beside those of others, and the count of the
// rest in one.
func TestRefusedBecomesNotes(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		j := s.running(sleeps)
		s.say(j.ID, wire.Report{Refused: []string{"a result that is not JSON"}})
		if err := s.do(t.Context(), func(c *core, t *tx) error {
			n := t.edit(c.current(t, j.ID)).to
			n.Notes = append(slices.Clone(n.Notes), "somebody else's")
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		s.say(j.ID, wire.Report{Refused: []string{"a result that is not JSON", "a datagram from user 1002"}, RefusedMore: 2})
		s.say(j.ID, wire.Report{Refused: []string{"a result that is not JSON", "a datagram from user 1002"}, RefusedMore: 9})
		want := []string{"a result that is not JSON", "somebody else's", "a datagram from user 1002", "9 more of what it sent was refused"}
		if got := s.job(j.ID).Notes; !slices.Equal(got, want) {
			t.Errorf("notes %q, want %q", got, want)
		}
	})
}

// TestEndsWithReport holds what the last report changes of an end: the words of a failure, and never the
// outcome.
func TestEndsWithReport(t *testing.T) {
	const silent = job.Duration(30 * time.Second)
	report := &wire.Report{Progress: at100(100), Status: "done", Result: json.RawMessage(`{"status":"success"}`), Error: "disk is full", Retry: "60"}
	for _, c := range []struct {
		name   string
		ev     wire.Event
		code   int
		state  job.State
		reason job.Reason
		text   string
	}{
		{"fails by its code", wire.Event{Cause: wire.CauseExit}, 1, job.Failed, job.ReasonExit, "disk is full"},
		{"completes", wire.Event{Cause: wire.CauseExit}, 0, job.Completed, "", ""},
		{"completes with a code of success", wire.Event{Cause: wire.CauseExit}, 3, job.Completed, "", ""},
		{"killed", wire.Event{Cause: wire.CauseExit, Signal: 9}, -1, job.Failed, job.ReasonSignal, ""},
		{"stopped, and says success", wire.Event{Cause: wire.CauseStop, Why: "stop"}, 0, job.Stopped, job.ReasonUser, ""},
		{"stopped, with a code of success", wire.Event{Cause: wire.CauseStop, Why: "stop"}, 3, job.Stopped, job.ReasonUser, ""},
		{"silent", wire.Event{Cause: wire.CauseTimeout, Why: wire.WhyWatchdog}, 0, job.Failed, job.ReasonTimeout, "was silent for 30s (watchdog)"},
		{"too long", wire.Event{Cause: wire.CauseTimeout}, 0, job.Failed, job.ReasonTimeout, "stopped after its time limit of 1h0m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			onStage(t, 1, func(t *testing.T, s *stage) {
				j := s.running(job.Spec{Command: []string{"work"}, Watchdog: silent, Timeout: job.Duration(time.Hour), SuccessCodes: []int{3}})
				if start := s.conn.starts(); len(start) != 1 || start[0].WatchdogMS != time.Duration(silent).Milliseconds() || start[0].Dir != "" {
					t.Errorf("the runner was asked for %+v", start)
				}
				ev := c.ev
				ev.Kind, ev.Report = wire.Exited, report
				if c.code >= 0 {
					ev.ExitCode = &c.code
				}
				s.tell(j.ID, ev)
				got := s.job(j.ID)
				if got.State != c.state || got.Reason != c.reason || got.Error != c.text {
					t.Errorf("%s (%s), error %q; want %s (%s), %q", got.State, got.Reason, got.Error, c.state, c.reason, c.text)
				}
				if *got.Progress != 100 || got.StatusText != "done" || string(got.Result) != `{"status":"success"}` {
					t.Errorf("what it said last is not on record: %+v", got)
				}
			})
		})
	}
}

// TestNewAttemptSaysNothingYet runs an ended job again: nothing of what it said is left on its record, and
// how far it came is kept with the attempt.
func TestNewAttemptSaysNothingYet(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		j := s.running(sleeps)
		code := 1
		s.tell(j.ID, wire.Event{Kind: wire.Exited, Cause: wire.CauseExit, ExitCode: &code,
			Report: &wire.Report{Progress: at100(60), Status: "at the seventh", Result: json.RawMessage(`7`), Error: "the eighth is missing", Refused: []string{"garbage"}}})
		if _, err := s.Act(t.Context(), job.ActRequest{Action: job.ActStart, Filter: job.Filter{IDs: []job.Range{{From: j.ID, To: j.ID}}}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := s.job(j.ID)
		if got.State != job.Starting || got.Progress != nil || got.StatusText != "" || got.Result != nil || got.Notes != nil || got.Error != "" {
			t.Errorf("the new attempt: %+v", got)
		}
		past, err := s.Attempts(t.Context(), j.ID)
		if err != nil || len(past) != 1 {
			t.Fatal(past, err)
		}
		if a := past[0]; a.Progress == nil || *a.Progress != 60 || a.StatusText != "at the seventh" || a.Error != "the eighth is missing" {
			t.Errorf("the attempt before: %+v", a)
		}
		s.say(j.ID, wire.Report{Progress: at100(5)})
		if got := s.job(j.ID); *got.Progress != 5 {
			t.Errorf("progress %d in the new attempt, want 5", *got.Progress)
		}
	})
}

// TestReportsAreHeardInTurn has a hundred jobs report ten times a second: a thousand reports a second are
// recorded and no more, and of each job the newest in the end.
func TestReportsAreHeardInTurn(t *testing.T) {
	const jobs = 100
	onStage(t, jobs, func(t *testing.T, s *stage) {
		ctx := job.WithCaller(t.Context(), job.Caller{Name: "root"})
		ids, err := s.AddJobs(ctx, job.Batch{Defaults: sleeps, Jobs: make([]job.Spec, jobs)})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var all []*job.Job
		for _, id := range ids {
			all = append(all, s.job(id))
		}
		before := s.store.Seq()
		for n := range 1000 { // for ten seconds
			for _, j := range all {
				s.sayAs(s.conn, j, wire.Report{Status: fmt.Sprint("step ", n)})
			}
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		if n := s.store.Seq() - before; n < 9_000 || n > 11_000 {
			t.Errorf("%d reports were recorded in ten seconds, want about 10,000", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, id := range ids {
			if got := s.job(id).StatusText; got != "step 999" {
				t.Errorf("job %d: %q at last", id, got)
			}
		}
	})
}
