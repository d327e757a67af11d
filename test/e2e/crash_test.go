package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/internal/crashpoint"
	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// TestCrashPoints lets daemon or runner die at every named place between two steps of the
// start/exit protocol. After a restart every job ends exactly once with its true code, or, where
// the runner died, is called lost; none runs twice.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	times := []int{1, 3}
	if chaos {
		times = []int{1, 2, 3, 4, 5, 8, 13}
	}
	for _, point := range append(append([]string{}, crashpoint.Engine...), crashpoint.Runner...) {
		for _, nth := range times {
			if point == "engine.after-stop-sent" && nth > 1 {
				continue // one job is stopped
			}
			t.Run(fmt.Sprintf("%s:%d", point, nth), func(t *testing.T) {
				t.Parallel()
				crashAt(t, point, nth)
			})
		}
	}
}

// TestCrashPointsAreListed compares the engine's code with the list that tests go by; the runner's
// has such a test of its own.
func TestCrashPointsAreListed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../internal/engine/*.go")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`"(engine\.after-[a-z-]+)"`)
	var found []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllSubmatch(text, -1) {
			found = append(found, string(m[1]))
		}
	}
	slices.Sort(found)
	if want := slices.Sorted(slices.Values(append(slices.Clone(crashpoint.Engine), crashpoint.Retention...))); !slices.Equal(found, want) {
		t.Errorf("the engine has the points %v, and %v are listed", found, want)
	}
}

func crashAt(t *testing.T, point string, nth int) {
	// Few slots, so that many claims and messages are needed.
	h := newHome(t, "QUEUEMGR_MAX_CONCURRENT_JOBS=3")
	h.Bin = crashBinaries
	effects := h.Path("effects")
	if err := os.Mkdir(effects, 0o700); err != nil {
		t.Fatal(err)
	}
	// What waits before the first step is acknowledged for certain.
	h.start()
	h.must("queue", "pause", "default")
	stopped := h.add("--grace", "0.1", "--", "sh", "-c", `echo run >>"$1/$QUEUEMGR_JOB_ID"; exec sleep 1000`, "sh", effects)
	lines := make([]string, 8*nth)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"command":["sh","-c",%q,"sh",%q,"%d"]}`, `echo run >>"$1/$QUEUEMGR_JOB_ID"; exit "$2"`, effects, i%5)
	}
	acknowledged := h.addFile(lines...)
	h.must("daemon", "stop")
	if err := h.WaitGone(h.ctx); err != nil {
		t.Fatal(err)
	}

	calm := h.Env
	h.Env = append(h.Env[:len(h.Env):len(h.Env)], fmt.Sprintf("QUEUEMGR_CRASH=%s:%d", point, nth))
	h.start()
	victim, err := h.DaemonPID()
	if err != nil {
		t.Fatal(err)
	}
	ofRunner := strings.HasPrefix(point, "runner.")
	if ofRunner {
		victim = h.connected()
	}
	// The service may be gone at any moment from here on, with the answers of what it has done.
	h.run("queue", "resume", "default")
	for i := range nth {
		if id, ok := h.tryAdd("--", "sh", "-c", `echo run >>"$1/$QUEUEMGR_JOB_ID"; exit "$2"`, "sh", effects, fmt.Sprint(i%5)); ok {
			acknowledged = append(acknowledged, id)
		}
	}
	if point == "engine.after-stop-sent" { // one that still waited would be stopped without a word to the runner
		h.follow(0).until("the start", func(c job.Change) bool { return c.JobID == stopped && c.State == job.Running })
	}
	h.run("job", "stop", fmt.Sprint(stopped))
	if err := harness.WaitPID(h.ctx, victim); err != nil {
		t.Fatalf("%s was never reached: %v", point, err)
	}

	h.Env = calm
	if ofRunner {
		h.endBoth()
	}
	h.start()
	if j := h.job(stopped); !j.State.Ended() {
		h.run("job", "stop", fmt.Sprint(stopped)) // it may end by itself meanwhile
	}
	h.untilAllEnded(nil)
	jobs := h.jobs()
	for _, id := range acknowledged {
		if jobs[id] == nil {
			t.Errorf("acknowledged job %d is not on record", id)
		}
	}
	lost := 0
	for id, j := range jobs {
		if id != stopped && h.checkCrashed(j, effects) {
			lost++
		}
	}
	t.Logf("%d jobs acknowledged, %d on record, %d of them lost", len(acknowledged), len(jobs)-1, lost)
	if lost > 0 && !ofRunner {
		t.Errorf("%d jobs were lost, and only the daemon had died", lost)
	}
	if j := h.job(stopped); j.State != job.Stopped && (j.Reason != job.ReasonLost || !ofRunner) {
		t.Errorf("the stopped job: state %s, reason %s, error %q", j.State, j.Reason, j.Error)
	}
}

// tryAdd adds a job if the daemon can.
func (h *home) tryAdd(args ...string) (int64, bool) {
	h.t.Helper()
	r := h.run(append([]string{"job", "add", "-q"}, args...)...)
	var id int64
	_, err := fmt.Sscan(r.Stdout, &id)
	return id, r.Code == 0 && err == nil
}

// endBoth ends what is left of daemon and runner, which die again and again at the same place as
// long as their environment says so. The daemon goes first: it would start another runner.
func (h *home) endBoth() {
	h.t.Helper()
	if _, err := h.DaemonPID(); err == nil {
		h.kill()
	}
	left, err := h.Processes()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, p := range left {
		if !strings.HasPrefix(p.Command, h.Bin) {
			continue // a job's process
		}
		if err := harness.KillPID(h.ctx, p.PID); err != nil {
			h.t.Fatal(err)
		}
	}
}

// checkCrashed holds a job, whose last argument is the exit code it was told, against its effect and
// reports whether it is lost.
func (h *home) checkCrashed(j *job.Job, effects string) bool {
	h.t.Helper()
	want := j.Command[len(j.Command)-1]
	text, err := os.ReadFile(fmt.Sprintf("%s/%d", effects, j.ID))
	ran := countLines(string(text))
	lost := j.State == job.Failed && j.Reason == job.ReasonLost
	switch {
	case lost:
		if ran > 1 {
			h.t.Errorf("lost job %d ran %d times", j.ID, ran)
		}
	case codeOf(j) != want || ran != 1:
		h.t.Errorf("job %d: %s (%s), exit code %s, error %q, ran %d times (%v); want exit code %s, once", j.ID, j.State, j.Reason, codeOf(j), j.Error, ran, err, want)
	}
	if j.Attempt > 1 {
		h.t.Errorf("job %d had %d attempts", j.ID, j.Attempt)
	}
	return lost
}
