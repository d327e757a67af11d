package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/queuemgrtest"
)

func TestMain(m *testing.M) { queuemgrtest.Main(m, &MyJob{}) }

func TestMyJob(t *testing.T) {
	r := queuemgrtest.Run(t, &MyJob{}, map[string]any{"name": "demo", "steps": 5, "pause": 0.001})
	var v Result
	if err := json.Unmarshal(r.Result, &v); err != nil {
		t.Fatal(err)
	}
	if r.ExitCode != 0 || r.Progress != 100 || r.Status != "step 5 of 5" || v.Name != "demo" || v.Steps != 5 {
		t.Errorf("%+v %+v", r, v)
	}
	if d := cmp.Diff([]string{"OnStart", "Execute", "OnEnd"}, r.Calls); d != "" {
		t.Error(d)
	}
}

func TestMyJobFails(t *testing.T) {
	r := queuemgrtest.Run(t, &MyJob{}, map[string]any{"name": "demo", "pause": 0, "fail_at": 3})
	if r.ExitCode != 1 || r.Error != "step 3 failed, as it was asked to" || r.Retry != "never" || r.Progress != 20 {
		t.Errorf("%+v", r)
	}
	if d := cmp.Diff([]string{"OnStart", "Execute", "OnError", "OnEnd"}, r.Calls); d != "" {
		t.Error(d)
	}
}

func TestMyJobStops(t *testing.T) {
	j := queuemgrtest.Start(t, &MyJob{}, `{"name":"demo","steps":1000,"pause":0.05}`)
	j.Until(func(r queuemgrtest.Report) bool { return r.Status == "step 1 of 1000" })
	j.Stop()
	r := j.Wait()
	if d := cmp.Diff([]string{"OnStart", "Execute", "OnStop", "OnEnd"}, r.Calls); d != "" {
		t.Error(d)
	}
	if r.Error != "the job was stopped" || !strings.Contains(r.Log, "OnStop") {
		t.Errorf("%+v", r)
	}
}

func TestMyJobParams(t *testing.T) {
	for params, field := range map[string]string{`{}`: "params/name", `{"name":""}`: "params/name", `{"name":"x","steps":0}`: "params/steps", `{"name":"x","step":1}`: "params/step"} {
		if err := queuemgrtest.Check(t, &MyJob{}, params); job.FieldOf(err) != field {
			t.Errorf("%s: %v", params, err)
		}
	}
}

// The program itself, as the daemon starts it for a job.
func TestProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "myjob")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	r := queuemgrtest.Run(t, &MyJob{}, map[string]any{"name": "demo", "steps": 3, "pause": "1ms"}, queuemgrtest.OfProgram(program))
	if r.ExitCode != 0 || r.Progress != 100 || !strings.Contains(string(r.Result), `"steps":3`) {
		t.Errorf("%+v", r)
	}
	order := []string{"OnStart", "OnEnd"}
	for i, hook := range order {
		if at := strings.Index(r.Log, "msg="+hook); at < 0 || i > 0 && at < strings.Index(r.Log, "msg="+order[i-1]) {
			t.Errorf("%s is not in its place in the log:\n%s", hook, r.Log)
		}
	}
	out, err := exec.Command(program, "version").Output()
	if err != nil || !strings.Contains(string(out), "queuemgr") {
		t.Errorf("it is no queuemgr: %s %v", out, err)
	}
	if out, err := exec.Command(program, "_job", "nope").CombinedOutput(); err == nil || !strings.Contains(string(out), `this program has no job type "nope"`) {
		t.Errorf("%s %v", out, err)
	}
}
