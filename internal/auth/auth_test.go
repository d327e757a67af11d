package auth_test

import (
	"context"
	"slices"
	"testing"

	"github.com/queuemgr/queuemgr/internal/auth"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/job"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// accounts lets root choose and gives everybody else their own.
type accounts struct{}

func (accounts) RunAs(_ context.Context, c job.Caller, wanted string) (string, error) {
	switch {
	case wanted == "":
		return c.Name, nil
	case c.UID == 0:
		return wanted, nil
	}
	return "", &job.Error{Code: job.Forbidden, Message: "no choice"}
}

const daemonUID = 990

var root, daemon, oscar, ann, bob = job.Caller{Name: "root"}, job.Caller{UID: daemonUID, Name: "queuemgr"},
	job.Caller{UID: 1000, Name: "oscar"}, job.Caller{UID: 1001, Name: "ann"}, job.Caller{UID: 1002, Name: "bob"}

var roles = auth.Roles(daemonUID, func() []string { return []string{"oscar"} })

func start(t *testing.T, a auth.Accounts) *auth.Service {
	t.Helper()
	f := enginetest.Start(t, nil)
	return auth.New(f.Engine, auth.Options{UID: daemonUID, RoleOf: roles, Accounts: a})
}

func as(t *testing.T, c job.Caller) context.Context { return job.WithCaller(t.Context(), c) }

func add(t *testing.T, s *auth.Service, c job.Caller, spec job.Spec) *job.Job {
	t.Helper()
	spec.Command = []string{"/bin/true"}
	j, err := s.AddJob(as(t, c), spec)
	if err != nil {
		t.Fatalf("%s adds a job: %v", c.Name, err)
	}
	return j
}

func TestActionsOnOthersJobs(t *testing.T) {
	s := start(t, accounts{})
	hers := add(t, s, ann, job.Spec{Hold: true})
	his := add(t, s, bob, job.Spec{Hold: true})
	named := func(id int64) job.Filter { return job.Filter{IDs: []job.Range{{From: id, To: id}}} }
	act := func(c job.Caller, f job.Filter) job.ActResult {
		t.Helper()
		r, err := s.Act(as(t, c), job.ActRequest{Action: job.ActStop, Filter: f, DryRun: true})
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		return r
	}
	if r := act(bob, named(hers.ID)); len(r.Done) != 0 || len(r.Failed) != 1 || r.Failed[0].Error.Code != job.Forbidden {
		t.Errorf("bob stops ann's job by its number: %+v", r)
	}
	for name, f := range map[string]job.Filter{"all": {}, "a range": {IDs: []job.Range{{From: 1, To: 9}}}, "ann's": {Owner: "ann"}} {
		want := []int64{his.ID}
		if name == "ann's" {
			want = []int64{}
		}
		if r := act(bob, f); !slices.Equal(r.Done, want) || len(r.Failed) != 0 || r.Skipped != 1 {
			t.Errorf("bob stops %s: %+v", name, r)
		}
	}
	for _, c := range []job.Caller{root, daemon, oscar} {
		if r := act(c, job.Filter{}); !slices.Equal(r.Done, []int64{his.ID, hers.ID}) && !slices.Equal(r.Done, []int64{hers.ID, his.ID}) {
			t.Errorf("%s stops all: %+v", c.Name, r)
		}
	}
	if _, err := s.Act(t.Context(), job.ActRequest{Action: job.ActStop}); job.CodeOf(err) != job.Forbidden {
		t.Errorf("nobody stops all: %v", err)
	}
}

func TestLogs(t *testing.T) {
	s := start(t, accounts{})
	j := add(t, s, ann, job.Spec{})
	if _, err := s.WaitJob(as(t, ann), j.ID); err != nil {
		t.Fatal(err)
	}
	for c, may := range map[job.Caller]bool{ann: true, root: true, oscar: true, bob: false} {
		r, err := s.Logs(as(t, c), j.ID, job.LogOptions{})
		if err == nil {
			err = r.Close()
		}
		if may && err != nil || !may && job.CodeOf(err) != job.Forbidden {
			t.Errorf("%s reads ann's output: %v", c.Name, err)
		}
	}
	if _, err := s.Logs(as(t, bob), 99, job.LogOptions{}); job.CodeOf(err) != job.NotFound {
		t.Errorf("output of a job that does not exist: %v", err)
	}
}

func TestQueuesAndDaemon(t *testing.T) {
	s := start(t, accounts{})
	forbidden := func(what string, err error) {
		t.Helper()
		if job.CodeOf(err) != job.Forbidden {
			t.Errorf("a member %s: %v", what, err)
		}
	}
	_, err := s.AddQueue(as(t, ann), "night", job.QueueUpdate{})
	forbidden("adds a queue", err)
	if _, err := s.AddQueue(as(t, oscar), "night", job.QueueUpdate{}); err != nil {
		t.Errorf("an operator adds a queue: %v", err)
	}
	_, err = s.SetQueue(as(t, ann), "night", job.QueueUpdate{})
	forbidden("changes a queue", err)
	forbidden("deletes a queue", s.DeleteQueue(as(t, ann), "night"))
	if err := s.DeleteQueue(as(t, oscar), "night"); err != nil {
		t.Errorf("an operator deletes a queue: %v", err)
	}
	forbidden("ends the daemon", s.Shutdown(as(t, ann), true))
	_, err = s.Reload(as(t, ann))
	forbidden("reloads", err)
	forbidden("ends the daemon as an operator", s.Shutdown(as(t, oscar), true))
	if _, err := s.Reload(as(t, root)); err != nil {
		t.Errorf("root reloads: %v", err)
	}
}

func TestAccounts(t *testing.T) {
	s := start(t, accounts{})
	if j := add(t, s, ann, job.Spec{Hold: true}); j.User != "ann" || j.Owner != "ann" {
		t.Errorf("ann's job runs as %q for %q", j.User, j.Owner)
	}
	if j := add(t, s, root, job.Spec{Hold: true, User: "bob"}); j.User != "bob" || j.Owner != "root" {
		t.Errorf("root's job for bob runs as %q for %q", j.User, j.Owner)
	}
	spec := job.Spec{Command: []string{"/bin/true"}, Hold: true}
	wanted := spec
	wanted.User = "bob"
	if _, err := s.AddJob(as(t, ann), wanted); job.CodeOf(err) != job.Forbidden {
		t.Errorf("ann adds a job as bob: %v", err)
	}
	batch := job.Batch{Jobs: []job.Spec{spec, wanted}}
	_, err := s.AddJobs(as(t, ann), batch)
	e, ok := err.(*job.Error) //nolint:errorlint // not wrapped
	if !ok || e.Code != job.Forbidden || e.Line != 2 {
		t.Errorf("ann adds jobs, the second as bob: %#v", err)
	}
	if batch.Jobs[0].User != "" {
		t.Error("the caller's batch was changed")
	}
	ids, err := s.AddJobs(as(t, root), job.Batch{Defaults: job.Spec{User: "bob"}, Jobs: []job.Spec{spec, {Command: spec.Command, Hold: true, User: "ann"}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"bob", "ann"} {
		if j, err := s.Job(as(t, root), ids[i]); err != nil || j.User != want {
			t.Errorf("job %d of the batch runs as %v, %v; want %s", i+1, j, err, want)
		}
	}

	// A user's own service changes nobody's account.
	own := start(t, nil)
	if j := add(t, own, ann, job.Spec{Hold: true, User: "ann"}); j.User != "" {
		t.Errorf("in ann's own service her job has the account %q", j.User)
	}
	if _, err := own.AddJob(as(t, ann), wanted); job.CodeOf(err) != job.Forbidden {
		t.Errorf("in ann's own service she adds a job as bob: %v", err)
	}
}
