package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// withSettings makes a home with a settings file and starts its daemon.
func withSettings(t *testing.T, toml string) *home {
	t.Helper()
	h := newHome(t)
	h.write("config.toml", toml)
	h.start()
	return h
}

func TestSettingRegistryPath(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	path := h.Path("elsewhere", "journal.jsonl")
	if err := os.Mkdir(h.Path("elsewhere"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.write("config.toml", fmt.Sprintf("registry_path = %q\n", path))
	h.start()
	id := h.add("--name", "traced", "--", "true")
	h.wait(id)
	h.must("daemon", "stop") // what is committed is written by then
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"name":"traced"`) || !strings.Contains(string(text), `"state":"completed"`) {
		t.Errorf("%s does not tell the job's life:\n%s", path, text)
	}
	if _, err := os.Stat(h.Path("lib", "registry.jsonl")); !os.IsNotExist(err) {
		t.Errorf("registry.jsonl is at the default place too: %v", err)
	}
}

func TestSettingProcDir(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	dir := h.Path("view")
	h.write("config.toml", fmt.Sprintf("proc_dir = %q\n", dir))
	h.start()
	g := newGates(h)
	// The view comes after the start, and only for jobs that last: the job itself waits for it.
	id := h.add("--", "sh", "-c", `echo "$QUEUEMGR_DIR"; until [ -e "$QUEUEMGR_DIR/status" ]; do sleep 0.05; done; `+g.script("true"))
	g.arrived.line()
	want := fmt.Sprintf("%s/proc/%d", dir, id)
	if got := strings.TrimSuffix(strings.TrimSpace(h.logs(id)), "/"); got != want {
		t.Errorf("QUEUEMGR_DIR is %q, want %q", got, want)
	}
	status, err := os.ReadFile(want + "/status")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.ToLower(string(status)), "state:") {
		t.Errorf("%s/status has no state:\n%s", want, status)
	}
	g.gate.release(1)
	h.wait(id)
}

func TestSettingShutdownTimeout(t *testing.T) {
	t.Parallel()
	h := withSettings(t, "shutdown_timeout = 1\n")
	g := newGates(h)
	id := h.add("--grace", "600", "--", "sh", "-c", "trap '' TERM; "+g.script("true"))
	g.arrived.line()
	begin := time.Now()
	h.must("daemon", "stop")
	if took := time.Since(begin); took < 900*time.Millisecond || took > 20*time.Second {
		t.Errorf("daemon stop took %v with a timeout of 1 s and a job that ignores TERM for 600 s", took)
	}
	h.start()
	if j := h.job(id); j.State != job.Stopped || j.Reason != job.ReasonShutdown {
		t.Errorf("state %s, reason %s; want stopped, shutdown", j.State, j.Reason)
	}
}

func TestSettingMaxConcurrentJobs(t *testing.T) {
	t.Parallel()
	h := withSettings(t, "max_concurrent_jobs = 2\n")
	g := newGates(h)
	for range 5 {
		h.add("--", "sh", "-c", g.script("true"))
	}
	g.arrived.line()
	g.arrived.line()
	if jobs := h.status().Jobs; jobs[job.Running]+jobs[job.Starting] != 2 || jobs[job.Queued] != 3 {
		t.Errorf("of 5 jobs the counts are %v, want 2 running and 3 queued", jobs)
	}
	g.gate.release(5)
	h.untilAllEnded(nil)
	if n := h.status().Jobs[job.Completed]; n != 5 {
		t.Errorf("%d completed, want 5", n)
	}
}

// TestSettingCleanupInterval sees old jobs go within the interval, and stay for as long as it is
// not over.
func TestSettingCleanupInterval(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		interval int
		goes     bool
	}{{1, true}, {3600, false}} {
		t.Run(fmt.Sprint(c.interval), func(t *testing.T) {
			t.Parallel()
			h := withSettings(t, fmt.Sprintf("cleanup_interval = %d\n[retention]\ncompleted = \"0.1s\"\n", c.interval))
			follow := h.follow(h.status().Seq)
			id := h.add("--", "true")
			h.wait(id)
			if c.goes {
				follow.purged(id)
				h.refused(3, nil, "job", "status", fmt.Sprint(id))
				return
			}
			time.Sleep(1500 * time.Millisecond) // that nothing happens cannot be signalled
			h.wantEnd(id, job.Completed, "", 0)
		})
	}
}

func TestSettingsFromTheEnvironment(t *testing.T) {
	t.Parallel()
	h := newHome(t, "QUEUEMGR_MAX_CONCURRENT_JOBS=1")
	h.write("config.toml", "max_concurrent_jobs = 7\n")
	out := h.must("config", "show")
	if !strings.Contains(out, "QUEUEMGR_MAX_CONCURRENT_JOBS") {
		t.Errorf("config show does not name the variable that decides:\n%s", out)
	}
}

// TestSettingsFileOfOnesOwn holds that --config is read in place of the home's file, also by the
// daemon that a restart brings.
func TestSettingsFileOfOnesOwn(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.write("config.toml", "max_concurrent_jobs = 7\n")
	own := h.write("own/settings.toml", "max_concurrent_jobs = 1\n")
	h.must("daemon", "start", "--daemon", "--config", own)
	g := newGates(h)
	for range 3 {
		h.add("--", "sh", "-c", g.script("true"))
	}
	for _, when := range []string{"start", "restart"} {
		g.arrived.line()
		if jobs := h.status().Jobs; jobs[job.Running]+jobs[job.Starting] != 1 {
			t.Errorf("after the %s the counts are %v, want 1 running", when, jobs)
		}
		if when == "start" {
			h.must("daemon", "restart")
			g.gate.release(1)
		}
	}
	g.gate.release(2)
	h.untilAllEnded(nil)
}
