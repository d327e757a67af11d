// Command myjob is a queuemgr with a job type of its own: everything that queuemgr does, and jobs of
// type my-job besides.
//
//	go build -o myjob . && ./myjob service start
//	./myjob job add --wait --type my-job --params '{"name":"demo","steps":5}'
//	./myjob job status last
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/queuemgr/queuemgr"
	"github.com/queuemgr/queuemgr/jobtype"
)

func main() { os.Exit(newApp().Main()) }

func newApp() *queuemgr.App {
	app := queuemgr.New()
	app.Register(&MyJob{})
	return app
}

// MyJob works through steps. Its fields are the parameters of a job.
type MyJob struct {
	Name     string        `json:"name" doc:"what the job is called in its result" minLength:"1"`
	Steps    int           `json:"steps,omitempty" default:"10" minimum:"1" maximum:"1000" doc:"how many steps there are"`
	Pause    time.Duration `json:"pause,omitempty" default:"0.1" doc:"between two steps"`
	FailAt   int           `json:"fail_at,omitempty" minimum:"0" doc:"step that fails; 0 = none"`
	Password string        `json:"password,omitempty" secret:"true" doc:"shown nowhere"`

	done  int
	begin time.Time
}

// Result is what a job that is completed leaves.
type Result struct {
	Name    string  `json:"name"`
	Steps   int     `json:"steps"`
	Seconds float64 `json:"seconds"`
}

// Describe says what jobs of this type have unless they say otherwise.
func (*MyJob) Describe() jobtype.Description {
	return jobtype.Description{Summary: "works through steps", Timeout: time.Hour, Example: map[string]any{"name": "demo", "steps": 5}}
}

// OnStart runs first.
func (j *MyJob) OnStart(_ context.Context, run *jobtype.Run) error {
	j.begin = time.Now()
	run.Logger().Info("OnStart", "name", j.Name)
	return nil
}

// Execute is the work.
func (j *MyJob) Execute(ctx context.Context, run *jobtype.Run) error {
	for j.done < j.Steps {
		if j.done+1 == j.FailAt {
			return jobtype.NoRetry(fmt.Errorf("step %d failed, as it was asked to", j.FailAt))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(j.Pause):
		}
		j.done++
		run.Progress(100*j.done/j.Steps, fmt.Sprintf("step %d of %d", j.done, j.Steps))
	}
	return run.Result(Result{Name: j.Name, Steps: j.done, Seconds: time.Since(j.begin).Seconds()})
}

// OnStop runs when the job was stopped.
func (j *MyJob) OnStop(_ context.Context, run *jobtype.Run) {
	run.Logger().Info("OnStop", "done", j.done)
}

// OnError runs when OnStart or Execute has failed.
func (j *MyJob) OnError(_ context.Context, run *jobtype.Run, err error) {
	panicked := (*jobtype.PanicError)(nil)
	run.Logger().Error("OnError", "error", err, "panic", errors.As(err, &panicked))
}

// OnEnd runs last, whatever was before.
func (j *MyJob) OnEnd(_ context.Context, run *jobtype.Run) {
	run.Logger().Info("OnEnd", "done", j.done)
}
