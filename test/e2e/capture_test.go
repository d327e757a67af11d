package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/test/harness"
)

// TestJobRunsAsItWasAdded holds that a job sees the folder, environment and umask of the command
// that added it, nothing on standard input, and no signal ignored or descriptor that is not its own.
func TestJobRunsAsItWasAdded(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	dir := filepath.Join(t.TempDir(), "a folder")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	script := `pwd; echo "$GREETING"; umask; cat; echo "job $QUEUEMGR_JOB_ID attempt $QUEUEMGR_ATTEMPT queue $QUEUEMGR_QUEUE"; ls /proc/self/fd | wc -l; grep SigIgn /proc/self/status; ulimit -n; ` +
		// It leads a session of its own under the shared runner, and its log is its output, with nobody between.
		`[ "$(cut -d' ' -f6 /proc/$$/stat)" = $$ ] && echo leader; echo $PPID; readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2`
	limit, err := exec.CommandContext(h.ctx, "sh", "-c", "ulimit -n").Output()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(h.ctx, "sh", "-c", `umask 027; exec "$0" job add -q -- sh -c "$1"`, filepath.Join(binaries, "queuemgr"), script)
	cmd.Env, cmd.Dir = append(h.Environ(), "GREETING=hello  world", "PWD="+dir), dir
	r, err := harness.Finish(cmd)
	if err != nil || r.Code != 0 {
		t.Fatalf("job add: %v, exit code %d\n%s", err, r.Code, r.Stderr)
	}
	var id int64
	if _, err := fmt.Sscan(r.Stdout, &id); err != nil {
		t.Fatal(err)
	}
	h.wait(id)
	log := h.logFiles(id)
	if len(log) != 1 {
		t.Fatalf("the job has the logs %v, want one", log)
	}
	want := []string{dir, "hello  world", "0027", fmt.Sprintf("job %d attempt 1 queue default", id),
		"4", // three and the listing's own
		"SigIgn:\t0000000000000000", strings.TrimSpace(string(limit)),
		"leader", strconv.Itoa(h.connected()), "/dev/null", log[0], log[0]}
	got := strings.Split(strings.TrimSuffix(h.logs(id), "\n"), "\n")
	for i := range got {
		got[i] = withoutInternalSignals(got[i])
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("the job saw\n%q, want\n%q", got, want)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if j := h.job(id); j.Owner != me.Username {
		t.Errorf("its owner is %q, want %q", j.Owner, me.Username)
	}
}

// withoutInternalSignals clears 32 and 33 in a line SigIgn of /proc: make(1) leaves them ignored for
// all that it starts, and the C library sets them up anew wherever it uses them.
func withoutInternalSignals(line string) string {
	digits, ok := strings.CutPrefix(line, "SigIgn:\t")
	if !ok {
		return line
	}
	mask, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		return line
	}
	return fmt.Sprintf("SigIgn:\t%016x", mask&^(3<<31))
}

func TestSplitOutput(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	id := h.add("--split", "--", "sh", "-c", "echo out; echo err >&2")
	h.wait(id)
	for stream, want := range map[string]string{"stdout": "out\n", "stderr": "err\n"} {
		if got := h.run("job", "logs", "--stream", stream, fmt.Sprint(id)).Stdout; got != want {
			t.Errorf("%s is %q, want %q", stream, got, want)
		}
	}
}
