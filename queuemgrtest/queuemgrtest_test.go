package queuemgrtest_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/jobtype"
	"github.com/queuemgr/queuemgr/queuemgrtest"
)

func TestMain(m *testing.M) { queuemgrtest.Main(m, &Echo{}) }

// Echo gives back what it was given.
type Echo struct {
	Text  string `json:"text"`
	Times int    `json:"times,omitempty" default:"1"`
	Wait  bool   `json:"wait,omitempty"`
}

func (e *Echo) Execute(ctx context.Context, run *jobtype.Run) error {
	run.Logger().Info("environment", "given", os.Getenv("GIVEN"))
	run.Progress(50, e.Text)
	if e.Wait {
		<-ctx.Done()
		return jobtype.NoRetry(errors.New("gave up"))
	}
	return run.Result(strings.Repeat(e.Text, e.Times))
}

func TestRun(t *testing.T) {
	of := &Echo{Times: 2}
	for name, how := range map[string][]queuemgrtest.Option{"in process": nil, "as child": {queuemgrtest.AsChild(), queuemgrtest.Env("GIVEN=yes")}} {
		r := queuemgrtest.Run(t, of, map[string]string{"text": "a"}, how...)
		if r.ExitCode != 0 || r.Progress != 50 || r.Status != "a" || string(r.Result) != `"a"` || r.Error != "" {
			t.Errorf("%s: %+v", name, r)
		}
		if given := strings.Contains(r.Log, "given=yes"); given != (len(how) > 0) {
			t.Errorf("%s: log %q", name, r.Log)
		}
		if d := cmp.Diff([]string{"Execute"}, r.Calls); (d == "") != (len(how) == 0) {
			t.Errorf("%s: %s", name, d)
		}
	}
	if of.Text != "" {
		t.Error("a run has changed the type that it is of")
	}
	// More than a datagram takes.
	if r := queuemgrtest.Run(t, of, map[string]any{"text": strings.Repeat("x", 1000), "times": 100}); len(r.Result) != 100_002 {
		t.Errorf("a result of %d bytes", len(r.Result))
	}
}

func TestStop(t *testing.T) {
	for name, how := range map[string][]queuemgrtest.Option{"in process": nil, "as child": {queuemgrtest.AsChild()}} {
		j := queuemgrtest.Start(t, &Echo{}, `{"text":"a","wait":true}`, how...)
		j.Until(func(r queuemgrtest.Report) bool { return r.Progress == 50 })
		j.Stop()
		if r := j.Wait(); r.ExitCode != 1 || r.Error != "gave up" || r.Retry != "never" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	j := queuemgrtest.Start(t, &Echo{}, `{"text":"a","wait":true}`, queuemgrtest.AsChild())
	j.Until(func(r queuemgrtest.Report) bool { return r.Progress == 50 })
	j.Signal(syscall.SIGKILL)
	if r := j.Wait(); r.ExitCode != -1 || r.Error != "" {
		t.Errorf("%+v", r)
	}
}

func TestCheck(t *testing.T) {
	for params, field := range map[string]string{`{"text":"a"}`: "", `{}`: "params/text", `{"text":1}`: "params/text", `{"text":"a","tims":1}`: "params/tims"} {
		if err := queuemgrtest.Check(t, &Echo{}, params); job.FieldOf(err) != field || (err == nil) != (field == "") {
			t.Errorf("%s: %v", params, err)
		}
	}
}
