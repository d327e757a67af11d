package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// sceneTypes runs jobs of types that somebody wrote: examples/myjob in Go, and examples/python.
func sceneTypes(ctx context.Context, s *story) (err error) {
	types := &story{dir: s.dir, service: &harness.Service{Home: filepath.Join(s.dir, "types"), Bin: filepath.Join(s.dir, "typesbin")}}
	for _, d := range []string{types.service.Home, types.service.Bin, types.service.Path("types.d")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	if err := os.Symlink(filepath.Join(s.service.Bin, "queuemgr-runner"), filepath.Join(types.service.Bin, "queuemgr-runner")); err != nil {
		return err
	}
	s.say("$ go build -o queuemgr ./examples/myjob")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(types.service.Bin, "queuemgr"), "./examples/myjob").CombinedOutput(); err != nil {
		return fmt.Errorf("build examples/myjob: %w: %s", err, out)
	}
	python, err := types.pythonType()
	if err != nil {
		return err
	}
	if err := types.service.Start(ctx); err != nil {
		return err
	}
	defer func() {
		s.claims = append(s.claims, types.claims...)
		err = errors.Join(err, types.service.Cleanup(context.WithoutCancel(ctx)))
	}()
	if err := types.watched(ctx, "a type in Go", "my-job", `{"name":"demo","steps":20,"pause":0.1,"password":"hunter2"}`,
		regexp.MustCompile(`(?s)^[^\n]*OnStart[^\n]*\n[^\n]*OnEnd[^\n]*$`)); err != nil {
		return err
	}
	if err := types.stoppedType(ctx); err != nil {
		return err
	}
	if !python {
		s.say("python3 is not installed: the type in Python is left out")
		return nil
	}
	return types.watched(ctx, "a class of the Python service", "myjob", `{"name":"demo","steps":20,"seconds":0.1}`,
		regexp.MustCompile(`(?s)^job \d+: started with [^\n]*\njob \d+: over$`))
}

// pythonType declares the type of examples/python, and says whether there is a Python for it.
func (s *story) pythonType() (bool, error) {
	if _, err := exec.LookPath("python3"); err != nil {
		return false, nil //nolint:nilerr // it is no error to have none
	}
	folder, err := filepath.Abs("examples/python")
	if err != nil {
		return false, err
	}
	text, err := os.ReadFile(filepath.Join(folder, "myjob.toml"))
	if err != nil {
		return false, err
	}
	there := strings.NewReplacer("/opt/queuemgr-python", folder, `"python3"`, `"python3", "-B"`).Replace(string(text))
	return true, os.WriteFile(s.service.Path("types.d", "myjob.toml"), []byte(there), 0o600)
}

// watched adds a job of a type, watches its progress, and looks at what its methods wrote and left.
func (s *story) watched(ctx context.Context, what, typ, params string, log *regexp.Regexp) error {
	id, err := s.addType(ctx, typ, params)
	if err != nil {
		return err
	}
	var seen []string // progress as it was while it ran
	var j *job.Job
	err = until(ctx, fmt.Sprintf("the end of job %d", id), func() (bool, error) {
		if j, err = s.job(ctx, id); err != nil {
			return false, err
		}
		if p := j.Progress; p != nil && j.State == job.Running && (len(seen) == 0 || seen[len(seen)-1] != fmt.Sprint(*p)) {
			seen = append(seen, fmt.Sprint(*p))
		}
		return j.State.Ended(), nil
	})
	if err != nil {
		return err
	}
	out, err := s.service.Must(ctx, "job", "logs", fmt.Sprint(id))
	if err != nil {
		return err
	}
	var result bytes.Buffer
	held := j.State == job.Completed && len(seen) >= 2 && j.Progress != nil && *j.Progress == 100 && json.Compact(&result, j.Result) == nil
	s.claim(held, what+" tells its progress and leaves a result", "job %d while it ran: %s %%; %s with %s", id, strings.Join(seen, ", "), j.State, &result)
	s.claim(log.MatchString(out), what+": its methods ran in order, each once", "its log: %q", strings.ReplaceAll(out, "\n", "; "))
	record, err := s.service.Must(ctx, "registry", "export")
	if err != nil {
		return err
	}
	if strings.Contains(params, "hunter2") {
		s.claim(!strings.Contains(record, "hunter2") && strings.Contains(record, job.Redacted), "a secret parameter is on no record",
			"the registry has %q in its place", job.Redacted)
	}
	return nil
}

// stoppedType stops a job of a type while it works.
func (s *story) stoppedType(ctx context.Context) error {
	id, err := s.addType(ctx, "my-job", `{"name":"demo","steps":1000,"pause":0.1}`)
	if err != nil {
		return err
	}
	err = until(ctx, fmt.Sprintf("progress of job %d", id), func() (bool, error) {
		j, err := s.job(ctx, id)
		return err == nil && j.StatusText != "", err
	})
	if err != nil {
		return err
	}
	if _, err := s.must(ctx, "job", "stop", fmt.Sprint(id)); err != nil {
		return err
	}
	if _, err := s.service.Run(ctx, "job", "wait", fmt.Sprint(id)); err != nil {
		return err
	}
	j, err := s.job(ctx, id)
	if err != nil {
		return err
	}
	out, err := s.service.Must(ctx, "job", "logs", fmt.Sprint(id))
	if err != nil {
		return err
	}
	inOrder := regexp.MustCompile(`(?s)^[^\n]*OnStart[^\n]*\n[^\n]*OnStop[^\n]*\n[^\n]*OnEnd[^\n]*\n[^\n]*$`).MatchString(out)
	s.claim(j.State == job.Stopped && inOrder, "a job of a type that is stopped is told so, and is stopped", "job %d: %s (%s); its log: %q", id, j.State, j.Reason, strings.ReplaceAll(out, "\n", "; "))
	return nil
}

func (s *story) addType(ctx context.Context, typ, params string) (id int64, err error) {
	out, err := s.must(ctx, "job", "add", "-q", "--type", typ, "--params", params)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(out, &id)
	return id, err
}
