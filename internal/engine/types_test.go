package engine

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

func greets(params string) job.Spec { return job.Spec{Type: "greet", Params: json.RawMessage(params)} }

// TestStartOfTyped wants a job of a type to be given its folder, its full parameters and the time it may be
// silent, and its secrets nowhere else; also in another attempt, for which they are read anew.
func TestStartOfTyped(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		spec := greets(`{"name":"Ada","password":"hunter2"}`)
		spec.Env = job.Env{"PATH": "/bin", "NOTIFY_SOCKET": "/run/other", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "QUEUEMGR_PARAMS": "/etc/shadow", "QUEUEMGR_DIR": "/"}
		j := s.addSpec(spec)
		for attempt := 1; attempt <= 2; attempt++ {
			starts := s.conn.starts()
			if len(starts) != attempt {
				t.Fatalf("the runner was asked %d times", len(starts))
			}
			got := starts[attempt-1]
			if got.Dir != filepath.Join(s.o.ProcDir, "proc", "1") || string(got.Params) != `{"name":"Ada","times":1,"password":"hunter2"}` || got.WatchdogMS != 30_000 {
				t.Errorf("the runner was asked for %+v", got)
			}
			for _, line := range []string{"Job: 1\n", "Type: greet\n", "Attempt: ", "RunId: " + got.RunID} {
				if !strings.Contains(got.View, line) {
					t.Errorf("the view lacks %q: %s", line, got.View)
				}
			}
			for _, e := range got.Env {
				name, _, _ := strings.Cut(e, "=")
				if name == "" || slices.Contains([]string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "QUEUEMGR_PARAMS"}, name) || e == "QUEUEMGR_DIR=/" {
					t.Errorf("the environment has %s", e)
				}
			}
			if !slices.Contains(got.Env, "PATH=/bin") {
				t.Errorf("the environment is %v", got.Env)
			}
			code := 1
			s.tell(j.ID, wire.Event{Kind: wire.Exited, Cause: wire.CauseExit, ExitCode: &code})
			if attempt == 1 {
				if _, err := s.startAgain(j.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.hides(t, "hunter2")
	})
}

func (s *stage) startAgain(id int64) (job.ActResult, error) {
	r, err := s.Act(s.t.Context(), job.ActRequest{Action: job.ActStart, Filter: job.Filter{IDs: []job.Range{{From: id, To: id}}}})
	synctest.Wait()
	return r, err
}

// hides wants a word in no record and no change.
func (s *stage) hides(t *testing.T, word string) {
	t.Helper()
	changes, err := s.store.Changes(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.ListJobs(t.Context(), job.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(struct {
		Changes []job.Change
		Page    job.Page
	}{changes, page})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), word) {
		t.Errorf("%s is on record: %s", word, text)
	}
}

// TestSecretsThatAreNotThere refuses to start a job whose record says that it had secrets, and with which
// none came: an imported one.
func TestSecretsThatAreNotThere(t *testing.T) {
	onStage(t, 4, func(t *testing.T, s *stage) {
		imported := &job.Job{Queue: "default", Type: "greet", State: job.Held, Command: []string{"true"}, MaxAttempts: 1, CreatedAt: s.o.Now().UTC(),
			Params: json.RawMessage(`{"name":"Ada","times":1,"password":"` + job.Redacted + `"}`)}
		err := s.store.ImportJobs(t.Context(), func(yield func(store.Imported, error) bool) { yield(store.Imported{Job: imported}, nil) }, s.o.Now())
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.startAgain(imported.ID)
		if err != nil || len(r.Failed) != 1 || r.Failed[0].Error.Code != job.WrongState || !strings.Contains(r.Failed[0].Error.Hint, "add it anew") {
			t.Errorf("%+v, %v", r, err)
		}
		s.wantState(imported.ID, job.Held)
		// A value that only looks like a secret that was taken out is one that is there.
		spec := greets(`{"name":"` + job.Redacted + `"}`)
		spec.Hold = true
		j := s.addSpec(spec)
		if r, err := s.startAgain(j.ID); err != nil || len(r.Done) != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		if starts := s.conn.starts(); len(starts) != 1 || string(starts[0].Params) != `{"name":"`+job.Redacted+`","times":1}` {
			t.Errorf("the runner was asked for %+v", starts)
		}
	})
}

// TestSecretsCostNoEnvironmentOfOthers keeps one environment for jobs that differ in open parameters only.
func TestSecretsCostNoEnvironmentOfOthers(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		ctx := job.WithCaller(t.Context(), job.Caller{Name: "root"})
		ids, err := s.AddJobs(ctx, job.Batch{Defaults: job.Spec{Type: "greet", Env: job.Env{"A": "1"}, Hold: true}, Jobs: []job.Spec{
			{Params: json.RawMessage(`{"name":"Ada"}`)}, {Params: json.RawMessage(`{"name":"Grace"}`)}, {Params: json.RawMessage(`{"name":"Edsger","password":"x"}`)}}})
		if err != nil {
			t.Fatal(err)
		}
		a, b, c := s.job(ids[0]), s.job(ids[1]), s.job(ids[2])
		if a.EnvID != b.EnvID || c.EnvID == a.EnvID {
			t.Errorf("environments %d, %d and, with a secret, %d", a.EnvID, b.EnvID, c.EnvID)
		}
		env, err := s.store.Env(t.Context(), c.EnvID)
		if err != nil || !slices.IsSorted(env) || !slices.Contains(env, "A=1") || !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, paramsEntry) }) {
			t.Errorf("kept with the secret: %v, %v", env, err)
		}
	})
}

// TestOlderRunner lets jobs wait that an older runner can't run as they shall be, and say why; others go
// by. When nothing runs, that runner is told to end, once.
func TestOlderRunner(t *testing.T) {
	onStage(t, 8, func(t *testing.T, s *stage) {
		s.connectAs(wire.Welcome{PID: 42, Version: "v0.1"})
		if problems := s.problems(); len(problems) > 0 {
			t.Errorf("problems while nothing waits: %v", problems)
		}
		plain := s.running(sleeps)
		typed := s.addSpec(greets(`{"name":"Ada"}`))
		watched := s.addSpec(job.Spec{Command: []string{"true"}, Watchdog: job.Duration(1e9)})
		withParams := s.addSpec(job.Spec{Command: []string{"true"}, Params: json.RawMessage(`1`)})
		behind := s.addSpec(sleeps)
		s.wantState(behind.ID, job.Starting)
		for _, id := range []int64{typed.ID, watched.ID, withParams.ID} {
			s.wantState(id, job.Queued)
			if why := s.job(id).WaitReason; !strings.Contains(why, "pid 42, version v0.1") || !strings.Contains(why, "queuemgr service stop") {
				t.Errorf("job %d waits because %q", id, why)
			}
		}
		if problems := s.problems(); len(problems) != 1 || !strings.Contains(problems[0], "older") {
			t.Errorf("problems: %v", problems)
		}
		if s.conn.quits() != 0 {
			t.Fatal("the runner was told to end while jobs run")
		}
		code := 0
		for _, id := range []int64{plain.ID, behind.ID} {
			s.tell(id, wire.Event{Kind: wire.Exited, Cause: wire.CauseExit, ExitCode: &code})
		}
		if s.conn.quits() != 1 {
			t.Fatalf("the runner was told to end %d times", s.conn.quits())
		}
		late := s.addSpec(sleeps)
		s.wantState(late.ID, job.Queued) // it would be sent to a runner that ends

		s.connectAs(wire.Welcome{PID: 43, Version: "v0.1"}) // the same is installed still
		s.wantState(late.ID, job.Starting)
		s.tell(late.ID, wire.Event{Kind: wire.Exited, Cause: wire.CauseExit, ExitCode: &code})
		if s.conn.quits() != 0 || !strings.Contains(s.job(typed.ID).WaitReason, "install") {
			t.Errorf("told to end %d times more; waits because %q", s.conn.quits(), s.job(typed.ID).WaitReason)
		}
		s.connect()
		s.wantState(typed.ID, job.Starting)
		s.wantState(watched.ID, job.Starting)
		if problems := s.problems(); len(problems) > 0 {
			t.Errorf("problems with a new runner: %v", problems)
		}
	})
}

// TestOlderRunnerAfterAClaim takes a claim back whose start never reached a runner, when the one that is
// there now can't run the job.
func TestOlderRunnerAfterAClaim(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		j := s.addSpec(greets(`{"name":"Ada"}`))
		s.wantState(j.ID, job.Starting)
		s.connectAs(wire.Welcome{PID: 42})
		s.wantState(j.ID, job.Queued)
		if starts := s.conn.starts(); len(starts) > 0 || s.job(j.ID).Attempt != 0 {
			t.Errorf("asked for %+v, attempt %d", starts, s.job(j.ID).Attempt)
		}
	})
}

// TestLineBehindManyOthers finds a job that an older runner can run behind many that it can't.
func TestLineBehindManyOthers(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.connectAs(wire.Welcome{PID: 42})
		ctx := job.WithCaller(t.Context(), job.Caller{Name: "root"})
		if _, err := s.AddJobs(ctx, job.Batch{Defaults: greets(`{"name":"Ada"}`), Jobs: make([]job.Spec, 500)}); err != nil {
			t.Fatal(err)
		}
		j := s.addSpec(sleeps)
		s.wantState(j.ID, job.Starting)
	})
}

func (s *stage) problems() []string {
	s.t.Helper()
	status, err := s.Status(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return status.Problems
}

// quits returns how often the runner was told to end.
func (e *wireEnd) quits() (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.sent {
		if m.Quit != nil {
			n++
		}
	}
	return n
}

// TestTypeLimits counts jobs by the type that makes their command.
func TestTypeLimits(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		settings := *s.o.settings()
		settings.TypeLimits = map[string]int64{"greet": 2}
		s.o.now.Store(&settings)
		ctx := job.WithCaller(t.Context(), job.Caller{Name: "root"})
		for range 2 {
			s.addSpec(greets(`{"name":"Ada"}`))
		}
		if _, err := s.AddJob(ctx, greets(`{"name":"Ada"}`)); job.CodeOf(err) != job.Exhausted {
			t.Errorf("a third: %v", err)
		}
		s.addSpec(sleeps)
		code := 0
		s.tell(1, wire.Event{Kind: wire.Exited, Cause: wire.CauseExit, ExitCode: &code})
		s.addSpec(greets(`{"name":"Ada"}`))
		if _, err := s.Job(t.Context(), 1); job.CodeOf(err) != job.NotFound {
			t.Errorf("the ended one has not made room: %v", err)
		}
	})
}
