package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// home is a service of one test's own. Its methods end the test when something is not as said.
type home struct {
	*harness.Service
	t   *testing.T
	ctx context.Context // ends with the test's time
}

// newHome makes a home whose processes are all gone when the test ends: one that is left fails it.
// env is laid over the environment of every command.
func newHome(t *testing.T, env ...string) *home {
	t.Helper()
	return homeIn(t, filepath.Join(t.TempDir(), "h"), env...)
}

func homeIn(t *testing.T, dir string, env ...string) *home {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTime())
	t.Cleanup(cancel)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h := &home{Service: &harness.Service{Home: dir, Bin: binaries, Env: env}, t: t, ctx: ctx}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if t.Failed() {
			h.showLogs()
		}
		if err := h.Cleanup(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

// testTime is how long one test may take.
func testTime() time.Duration {
	if chaos {
		return 30 * time.Minute
	}
	return 2 * time.Minute
}

// showLogs puts the end of the service's logs into the report of a failed test.
func (h *home) showLogs() {
	for _, name := range []string{"daemon.log", "runner.log"} {
		text, err := os.ReadFile(h.Path("log", name))
		if err != nil {
			continue
		}
		h.t.Logf("%s ends with:\n%s", name, text[max(0, len(text)-4000):])
	}
}

// start starts the daemon.
func (h *home) start() {
	h.t.Helper()
	if err := h.Start(h.ctx); err != nil {
		h.t.Fatal(err)
	}
}

// kill ends the daemon with SIGKILL.
func (h *home) kill() {
	h.t.Helper()
	if err := h.Kill(h.ctx); err != nil {
		h.t.Fatal(err)
	}
}

// run runs `queuemgr args…` and returns what it gave.
func (h *home) run(args ...string) harness.Result {
	h.t.Helper()
	r, err := h.Run(h.ctx, args...)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// must runs `queuemgr args…`, which must exit 0, and returns its stdout.
func (h *home) must(args ...string) string {
	h.t.Helper()
	out, err := h.Must(h.ctx, args...)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// refused runs `queuemgr args…`, which must exit with code and say all of the words on stderr.
func (h *home) refused(code int, words []string, args ...string) {
	h.t.Helper()
	r := h.run(args...)
	if r.Code != code {
		h.t.Errorf("queuemgr %.200q: exit code %d, want %d\n%s%s", args, r.Code, code, r.Stdout, r.Stderr)
	}
	for _, w := range words {
		if !strings.Contains(r.Stderr, w) {
			h.t.Errorf("queuemgr %.200q says nothing of %q:\n%s", args, w, r.Stderr)
		}
	}
}

// add adds a job with `job add -q args…` and returns its number.
func (h *home) add(args ...string) int64 {
	h.t.Helper()
	out := h.must(append([]string{"job", "add", "-q"}, args...)...)
	id, err := strconv.ParseInt(out, 10, 64)
	if err != nil {
		h.t.Fatalf("job add -q printed %q, want a number alone", out)
	}
	return id
}

// addFile adds the lines as one file and returns the jobs' numbers.
func (h *home) addFile(lines ...string) []int64 {
	h.t.Helper()
	var ids []int64
	for _, word := range strings.Fields(h.must("job", "add", "-q", "--file", h.write("jobs.jsonl", strings.Join(lines, "\n")+"\n"))) {
		id, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			h.t.Fatalf("job add -q --file printed %q", word)
		}
		ids = append(ids, id)
	}
	return ids
}

// write makes a file in the home and returns its path.
func (h *home) write(name, text string) string {
	h.t.Helper()
	path := h.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// wait waits for a job and returns the exit code of `job wait`.
func (h *home) wait(id int64) int {
	h.t.Helper()
	return h.run("job", "wait", fmt.Sprint(id)).Code
}

// job returns a job's record.
func (h *home) job(id int64) *job.Job {
	h.t.Helper()
	j := new(job.Job)
	h.decode(h.must("job", "status", fmt.Sprint(id), "--json"), j)
	return j
}

// jobs returns every job on record but deleted ones.
func (h *home) jobs() map[int64]*job.Job {
	h.t.Helper()
	var list []*job.Job
	h.decode(h.must("job", "list", "--limit", "all", "--json"), &list)
	all := map[int64]*job.Job{}
	for _, j := range list {
		all[j.ID] = j
	}
	return all
}

// status returns the service's status.
func (h *home) status() *job.Status {
	h.t.Helper()
	s := new(job.Status)
	h.decode(h.must("service", "status", "--json"), s)
	return s
}

// logs returns what a job wrote.
func (h *home) logs(id int64) string {
	h.t.Helper()
	return h.run("job", "logs", fmt.Sprint(id)).Stdout
}

func (h *home) decode(text string, v any) {
	h.t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		h.t.Fatalf("bad JSON: %v\n%s", err, text)
	}
}

// wantEnd fails the test unless a job ended so.
func (h *home) wantEnd(id int64, state job.State, reason job.Reason, code int) *job.Job {
	h.t.Helper()
	j := h.job(id)
	if j.State != state || j.Reason != reason || j.ExitCode == nil || *j.ExitCode != code {
		h.t.Errorf("job %d: state %s, reason %q, exit code %s, error %q; want %s, %q, %d", id, j.State, j.Reason, codeOf(j), j.Error, state, reason, code)
	}
	return j
}

func codeOf(j *job.Job) string {
	if j.ExitCode == nil {
		return "none"
	}
	return strconv.Itoa(*j.ExitCode)
}
