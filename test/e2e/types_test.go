package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

// TestReportedWhileNoDaemonLives holds that what a job reports while no daemon lives is on record afterwards:
// of one that has ended meanwhile, and of one that still runs.
func TestReportedWhileNoDaemonLives(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	arrived, goOn := newFIFO(h, "arrived"), newFIFO(h, "goOn")
	script := fmt.Sprintf(`echo $$ >'%[1]s'; read x <'%[2]s'; '%[3]s' report --progress 70 --status "while you were away" --result '{"n":12345678901234567890}'; `, arrived.path, goOn.path, h.bin())
	ends := h.add("--params", `{"a":[1]}`, "--shell", script+"exit 3", "--success-codes", "3")
	first := arrived.pid()
	stays := h.add("--shell", script+fmt.Sprintf("echo reported >'%s'; exec sleep 1000", arrived.path))
	second := arrived.pid()
	h.killBefore(first)
	h.killBefore(second)
	goOn.release(2)
	if line := arrived.line(); line != "reported" {
		t.Fatalf("the job says %q", line)
	}
	h.waitPID(first)
	h.start()
	if code := h.wait(ends); code != 0 {
		t.Errorf("job wait exits %d, want 0: 3 is a code of success", code)
	}
	// It may come in one change with the start, where the daemon died before it knew of that.
	h.follow(0).until("the report", func(c job.Change) bool { return c.JobID == stays && strings.Contains(string(c.JSON), `"progress":70`) })
	for id, state := range map[int64]job.State{ends: job.Completed, stays: job.Running} {
		j := h.job(id)
		if j.State != state || j.Progress == nil || *j.Progress != 70 || j.StatusText != "while you were away" || !strings.Contains(string(j.Result), "12345678901234567890") {
			t.Errorf("job %d: %s, progress %v, %q, result %s", id, j.State, j.Progress, j.StatusText, j.Result)
		}
	}
	h.must("job", "stop", fmt.Sprint(stays))
	h.wait(stays)
	if j := h.job(stays); j.State != job.Stopped {
		t.Errorf("a stopped job that has reported a result is %s", j.State)
	}
}

// TestJobOfAType adds a job of a type in types.d: its params are checked, its process finds them in its folder,
// and its secret is with it alone, also when it is started again.
func TestJobOfAType(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	types := h.Path("types.d")
	if err := os.MkdirAll(types, 0o755); err != nil {
		t.Fatal(err)
	}
	arrived, goOn := newFIFO(h, "arrived"), newFIFO(h, "goOn")
	script := h.write("greet.sh", fmt.Sprintf("echo $1 >'%s'; read x <'%s'; test \"$(stat -c %%a \"$QUEUEMGR_PARAMS\")\" = 400 && grep -q hunter2 \"$QUEUEMGR_PARAMS\"", arrived.path, goOn.path))
	if err := os.WriteFile(filepath.Join(types, "greet.toml"), []byte(fmt.Sprintf(`
[types.greet]
description = "greets"
command = ["/bin/sh", %q, "{name}"]
secret = ["password"]
[types.greet.params]
name = { type = "string" }
password = { type = "string" }
`, script)), 0o644); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.refused(2, []string{"params/name"}, "job", "add", "--type", "greet", "--params", `{"name":7,"password":"x"}`)
	h.refused(3, []string{"greet"}, "job", "add", "--type", "gret", "--params", `{}`)
	id := h.add("--type", "greet", "--params", `{"name":"a b","password":"hunter2"}`)
	for attempt := 1; attempt <= 2; attempt++ {
		name, folder := arrived.line(), h.Path("run", "proc", fmt.Sprint(id))
		if got, err := os.ReadFile(filepath.Join(folder, "cmdline")); err != nil || string(got) != "/bin/sh\x00"+script+"\x00a b\x00" || name != "a b" {
			t.Errorf("the folder's cmdline is %q (%v); it was given %q", got, err, name)
		}
		goOn.release(1)
		if code := h.wait(id); code != 0 {
			t.Fatalf("attempt %d: job wait exits %d\n%s", attempt, code, h.logs(id))
		}
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			t.Errorf("its folder after the end: %v", err)
		}
		if attempt == 1 {
			h.must("job", "start", fmt.Sprint(id))
		}
	}
	for _, shown := range []string{h.must("job", "status", fmt.Sprint(id), "--json"), h.must("job", "list", "--jsonl"), h.must("registry", "export")} {
		if strings.Contains(shown, "hunter2") || !strings.Contains(shown, job.Redacted) {
			t.Errorf("the secret is not hidden: %s", shown)
		}
	}
	journal, err := os.ReadFile(h.Path("lib", "registry.jsonl"))
	if err != nil || strings.Contains(string(journal), "hunter2") {
		t.Errorf("registry.jsonl holds the secret: %v", err)
	}
}

// TestWatchdog holds that a job which is silent for too long is stopped and says so, and that one which reports
// in time is not.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	silent := h.add("--watchdog", "1", "--", "sleep", "1000")
	alive := h.add("--watchdog", "3", "--shell", fmt.Sprintf("for i in 1 2 3 4; do sleep 1; '%s' report --progress $i; done", h.bin()))
	if code := h.wait(silent); code != 124 {
		t.Errorf("job wait exits %d, want 124", code)
	}
	if j := h.job(silent); j.Reason != job.ReasonTimeout || j.Error != "was silent for 1s (watchdog)" {
		t.Errorf("%s, %q", j.Reason, j.Error)
	}
	if code := h.wait(alive); code != 0 {
		t.Errorf("the one that reports: job wait exits %d", code)
	}
	if j := h.job(alive); j.Progress == nil || *j.Progress != 4 {
		t.Errorf("progress %v at last", j.Progress)
	}
}

// bin is the program as jobs call it.
func (h *home) bin() string { return filepath.Join(h.Bin, "queuemgr") }
