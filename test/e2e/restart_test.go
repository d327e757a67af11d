package e2e

import (
	"bufio"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// TestJobEndsWhileNoDaemonLives is the promise that everything else stands on: a job's true code,
// output and times arrive although nobody watched its end.
func TestJobEndsWhileNoDaemonLives(t *testing.T) {
	t.Parallel()
	lasts, killAt, startAt := 2*time.Second, 300*time.Millisecond, 3*time.Second
	if chaos {
		lasts, killAt, startAt = 20*time.Second, 3*time.Second, 30*time.Second
	}
	h := newHome(t)
	h.start()
	arrived := newFIFO(h, "arrived")
	script := fmt.Sprintf("echo begin; echo $$ >'%s'; sleep %v; echo end; echo error >&2; exit 5", arrived.path, lasts.Seconds())
	before := time.Now()
	id := h.add("--", "sh", "-c", script)
	pid := arrived.pid()
	began := time.Now()

	// The times are the test's subject here: the job really runs that long.
	time.Sleep(time.Until(began.Add(killAt)))
	h.kill()
	killed := time.Now()
	if err := harness.WaitPID(h.ctx, pid); err != nil {
		t.Fatal(err)
	}
	ended := time.Now()
	time.Sleep(time.Until(began.Add(startAt)))
	h.start()

	if code := h.wait(id); code != 5 {
		t.Errorf("job wait exits %d, want 5", code)
	}
	j := h.wantEnd(id, job.Failed, job.ReasonExit, 5)
	wantStarted(t, j, before, killed)
	wantFinished(t, j, ended)
	if log := h.logs(id); log != "begin\nend\nerror\n" {
		t.Errorf("its output is %q", log)
	}
	if j.Attempt != 1 {
		t.Errorf("attempt %d, want 1", j.Attempt)
	}
}

// away ends the daemon with SIGKILL and starts it again, at full length after the promise's times,
// and returns when the old one was gone.
func (h *home) away() time.Time {
	h.t.Helper()
	began := time.Now()
	if chaos {
		time.Sleep(3 * time.Second)
	}
	h.kill()
	killed := time.Now()
	if chaos {
		time.Sleep(time.Until(began.Add(30 * time.Second)))
	}
	h.start()
	return killed
}

// TestJobEndsAfterReattach is of a job that runs before, during and after a daemon's absence.
func TestJobEndsAfterReattach(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	g := newGates(h)
	before := time.Now()
	id := h.add("--", "sh", "-c", "echo begin; "+g.script("echo end; echo error >&2; exit 6"))
	pid := g.arrived.pid()
	killed := h.away()
	if j := h.job(id); !j.FinishedAt.IsZero() {
		t.Errorf("the job is %s and finished at %v while its process waits", j.State, j.FinishedAt)
	}
	g.gate.release(1)
	h.waitPID(pid)
	ended := time.Now()
	if code := h.wait(id); code != 6 {
		t.Errorf("job wait exits %d, want 6", code)
	}
	j := h.wantEnd(id, job.Failed, job.ReasonExit, 6)
	wantStarted(t, j, before, killed)
	wantFinished(t, j, ended)
	if log := h.logs(id); log != "begin\nend\nerror\n" {
		t.Errorf("its output is %q", log)
	}
	if j.Attempt != 1 {
		t.Errorf("attempt %d, want 1", j.Attempt)
	}
}

func TestJobStillRunsAtReattach(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	g := newGates(h)
	before := time.Now()
	id := h.add("--", "sh", "-c", "echo one; "+g.script("echo two; exec sleep 1000"))
	pid := g.arrived.pid()
	killed := h.away()
	// A daemon is ready before it has its runner, and the old one may not have heard of the start.
	h.follow(0).state(id, job.Running)

	follow := h.Cmd(h.ctx, "job", "logs", "-f", fmt.Sprint(id))
	out, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for _, want := range []string{"one\n", "two\n"} {
		if line, err := lines.ReadString('\n'); line != want {
			t.Errorf("logs -f gives %q, %v; want %q", line, err, want)
		}
		if want == "one\n" {
			g.gate.release(1)
		}
	}
	j := h.job(id)
	if j.State != job.Running || j.PID != pid || j.Attempt != 1 {
		t.Errorf("after the restart: state %s, pid %d, attempt %d; want running, %d, 1", j.State, j.PID, j.Attempt, pid)
	}
	wantStarted(t, j, before, killed)
	h.must("job", "stop", fmt.Sprint(id))
	if code := h.wait(id); code != 125 {
		t.Errorf("job wait on the stopped job exits %d, want 125", code)
	}
	if j = h.job(id); j.State != job.Stopped || j.Reason != job.ReasonUser {
		t.Errorf("state %s, reason %s; want stopped, user", j.State, j.Reason)
	}
	wantStarted(t, j, before, killed)
	if rest, err := lines.ReadString('\n'); rest != "" || err == nil {
		t.Errorf("logs -f did not end with the job: %q", rest)
	}
	if err := follow.Wait(); err != nil {
		t.Errorf("logs -f: %v", err)
	}
	if err := harness.WaitPID(h.ctx, pid); err != nil {
		t.Error(err)
	}
}

func TestDaemonEndsThatKeepJobs(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		name string
		end  func(*home)
	}{
		{"SIGTERM", func(h *home) { h.signalDaemon(syscall.SIGTERM) }},
		{"daemon restart", func(h *home) { h.must("daemon", "restart") }},
		{"daemon stop --keep-jobs", func(h *home) { h.must("daemon", "stop", "--keep-jobs") }},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.start()
			g := newGates(h)
			id := h.add("--", "sh", "-c", g.script("exit 9"))
			pid := g.arrived.pid()
			way.end(h)
			if err := syscall.Kill(pid, 0); err != nil {
				t.Fatalf("the job's process is gone: %v", err)
			}
			if !strings.Contains(way.name, "restart") {
				h.start()
			}
			g.gate.release(1)
			if code := h.wait(id); code != 9 {
				t.Errorf("job wait exits %d, want 9", code)
			}
		})
	}
}

// signalDaemon sends a signal and waits for the daemon's end.
func (h *home) signalDaemon(s syscall.Signal) {
	h.t.Helper()
	pid, err := h.DaemonPID()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := syscall.Kill(pid, s); err != nil {
		h.t.Fatal(err)
	}
	if err := harness.WaitPID(h.ctx, pid); err != nil {
		h.t.Fatal(err)
	}
}

func TestDaemonStopEndsJobs(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	g := newGates(h)
	id := h.add("--", "sh", "-c", g.script("true"))
	waiting := h.add("--hold", "--", "true")
	pid := g.arrived.pid()
	h.must("daemon", "stop")
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("process %d of the job lives on after daemon stop", pid)
	}
	if left, err := h.Processes(); err != nil || len(left) > 0 {
		if err := h.WaitGone(h.ctx); err != nil {
			t.Errorf("left after daemon stop: %v", err)
		}
	}
	h.start()
	if j := h.job(id); j.State != job.Stopped || j.Reason != job.ReasonShutdown {
		t.Errorf("the job: state %s, reason %s; want stopped, shutdown", j.State, j.Reason)
	}
	if j := h.job(waiting); j.State != job.Held {
		t.Errorf("the held job is %s", j.State)
	}
}

// TestRequeuedAfterDaemonStop is of a job that may run twice: what `daemon stop` ended is begun anew.
func TestRequeuedAfterDaemonStop(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	g := newGates(h)
	id := h.add("--on-lost", "requeue", "--", "sh", "-c", g.script("exit 8"))
	first := g.arrived.pid()
	h.must("daemon", "stop")
	if err := syscall.Kill(first, 0); err == nil {
		t.Errorf("process %d of the job lives on after daemon stop", first)
	}
	h.start()
	g.arrived.line() // the second attempt
	g.gate.release(1)
	if code := h.wait(id); code != 8 {
		t.Errorf("job wait exits %d, want 8", code)
	}
	if j := h.wantEnd(id, job.Failed, job.ReasonExit, 8); j.Attempt != 2 {
		t.Errorf("attempt %d, want 2", j.Attempt)
	}
}
