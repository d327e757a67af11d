package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/internal/crashpoint"
	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// TestCrashPoints lets daemon or runner die at every named place between two steps of the
// start/exit protocol. After a restart every job ends exactly once with its true code, or is
// called lost; none runs twice.
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

func crashAt(t *testing.T, point string, nth int) {
	h := newHome(t)
	h.Bin = crashBinaries
	effects := h.Path("effects")
	if err := os.Mkdir(effects, 0o700); err != nil {
		t.Fatal(err)
	}
	h.Env = []string{fmt.Sprintf("QUEUEMGR_CRASH=%s:%d", point, nth)}
	h.start()
	victim, err := h.DaemonPID()
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(point, "runner.") {
		victim = h.connected()
	}

	codes := map[int64]int{}
	var stopped int64
	// The service may be gone at any moment from here on: only what it acknowledged counts.
	if id, ok := h.tryAdd("--grace", "0.1", "--", "sh", "-c", `echo run >>"$1/$QUEUEMGR_JOB_ID"; exec sleep 1000`, "sh", effects); ok {
		stopped = id
	}
	for i := range 8 * nth {
		if id, ok := h.tryAdd("--", "sh", "-c", `echo run >>"$1/$QUEUEMGR_JOB_ID"; exit "$2"`, "sh", effects, fmt.Sprint(i%5)); ok {
			codes[id] = i % 5
		}
	}
	if stopped > 0 {
		if _, err := h.Run(h.ctx, "job", "stop", fmt.Sprint(stopped)); err != nil {
			t.Fatal(err)
		}
	}
	if err := harness.WaitPID(h.ctx, victim); err != nil {
		t.Fatalf("%s was never reached: %v", point, err)
	}

	h.Env = nil
	h.endBoth()
	h.start()
	if stopped > 0 {
		if j := h.job(stopped); !j.State.Ended() {
			h.run("job", "stop", fmt.Sprint(stopped)) // it may end by itself meanwhile
		}
	}
	h.untilAllEnded(nil)
	lost := 0
	for id, want := range codes {
		if h.checkCrashed(id, want, effects) {
			lost++
		}
	}
	t.Logf("%d jobs acknowledged, %d of them lost", len(codes), lost)
	if stopped > 0 {
		if j := h.job(stopped); j.State != job.Stopped && j.Reason != job.ReasonLost {
			t.Errorf("the stopped job: state %s, reason %s, error %q", j.State, j.Reason, j.Error)
		}
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

// checkCrashed holds a job against its effect and reports whether it is lost.
func (h *home) checkCrashed(id int64, want int, effects string) bool {
	h.t.Helper()
	j := h.job(id)
	text, err := os.ReadFile(fmt.Sprintf("%s/%d", effects, id))
	ran := countLines(string(text))
	lost := j.State == job.Failed && j.Reason == job.ReasonLost
	switch {
	case lost:
		if ran > 1 {
			h.t.Errorf("lost job %d ran %d times", id, ran)
		}
	case j.ExitCode == nil || *j.ExitCode != want || ran != 1:
		h.t.Errorf("job %d: %s (%s), exit code %s, error %q, ran %d times (%v); want exit code %d, once", id, j.State, j.Reason, codeOf(j), j.Error, ran, err, want)
	}
	if j.Attempt > 1 {
		h.t.Errorf("job %d had %d attempts", id, j.Attempt)
	}
	return lost
}
