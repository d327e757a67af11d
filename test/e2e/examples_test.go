package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// python returns the interpreter itself: python3 in the PATH may be a script that finds it by the HOME
// of who built it.
func python(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not here")
	}
	out, err := exec.CommandContext(t.Context(), "python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// example returns the path of a file in examples.
func example(t *testing.T, elem ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"../../examples"}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPythonExample runs the tests of examples/python: job classes as processes, the client with a
// daemon, which they restart.
func TestPythonExample(t *testing.T) {
	t.Parallel()
	interpreter := python(t)
	h := newHome(t, "QUEUEMGR_WEB_LISTEN=127.0.0.1:0")
	h.start()
	cmd := exec.CommandContext(h.ctx, interpreter, "-B", "-m", "unittest", "discover", "-t", ".", "tests")
	cmd.Dir = example(t, "python")
	cmd.Env = append(h.Environ(), "QUEUEMGR_TEST_HOME="+h.Home, "QUEUEMGR_TEST_PROGRAM="+filepath.Join(h.Bin, "queuemgr"))
	r, err := harness.Finish(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if r.Code != 0 || !strings.HasSuffix(strings.TrimSpace(r.Stderr), "OK") { // not "OK (skipped=1)"
		t.Errorf("exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// TestMyJobByItsType runs the class of the Python service by the type in examples/python/myjob.toml.
func TestMyJobByItsType(t *testing.T) {
	t.Parallel()
	interpreter := python(t)
	h := newHome(t)
	text, err := os.ReadFile(example(t, "python", "myjob.toml"))
	if err != nil {
		t.Fatal(err)
	}
	place := strings.NewReplacer("/opt/queuemgr-python", example(t, "python"), `"python3"`, fmt.Sprintf("%q, %q", interpreter, "-B"))
	if err := os.Mkdir(h.Path("types.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.write("types.d/myjob.toml", place.Replace(string(text)))
	h.start()

	id := h.add("--type", "myjob", "--params", `{"name": "Ada", "steps": 3, "seconds": 0.01}`)
	h.must("job", "wait", fmt.Sprint(id))
	j := h.job(id)
	if j.State != job.Completed || j.Progress == nil || *j.Progress != 100 || j.StatusText != "step 3 of 3" ||
		compacted(j.Result) != `{"status":"completed","steps":3,"greeting":"Hello, Ada!"}` {
		t.Errorf("the job is %+v, result %s", j, j.Result)
	}
	log := h.must("job", "logs", fmt.Sprint(id))
	if want := fmt.Sprintf("job %d: started with ", id); !strings.HasPrefix(log, want) || !strings.HasSuffix(log, fmt.Sprintf("job %d: over", id)) {
		t.Errorf("it wrote %q", log)
	}
	h.refused(2, []string{"steps"}, "job", "add", "--type", "myjob", "--params", `{"steps": 0}`)
}

// TestBashExample runs examples/bash/checksums.sh as a job.
func TestBashExample(t *testing.T) {
	t.Parallel()
	h := newHome(t, "PATH="+binaries+":"+os.Getenv("PATH"))
	h.start()
	if err := os.MkdirAll(h.Path("in", "a folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range []string{"in/a", "in/a folder/-b"} {
		sum := sha256.Sum256([]byte(name))
		want = append(want, hex.EncodeToString(sum[:])+"  "+h.write(name, name))
	}
	id := h.add("--", example(t, "bash", "checksums.sh"), h.Path("in"), h.Path("sums"))
	h.must("job", "wait", fmt.Sprint(id))
	got, err := os.ReadFile(h.Path("sums"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range want {
		if !strings.Contains("\n"+string(got), "\n"+line+"\n") {
			t.Errorf("there is no line %q in\n%s", line, got)
		}
	}
	if n := strings.Count(string(got), "\n"); n != len(want) {
		t.Errorf("%d lines, want %d:\n%s", n, len(want), got)
	}
	j := h.job(id)
	if j.Progress == nil || *j.Progress != 100 || j.StatusText != "2 of 2 files" || compacted(j.Result) != `{"files":2,"bytes":18}` {
		t.Errorf("the job is %+v, result %s", j, j.Result)
	}
}

// compacted is JSON without spaces between its parts, as it is however it was printed.
func compacted(text json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return err.Error()
	}
	return b.String()
}
