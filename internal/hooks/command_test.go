package hooks_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/hooks"
	"github.com/queuemgr/queuemgr/internal/joblog"
	"github.com/queuemgr/queuemgr/job"
)

// serveOn serves h until the test ends and returns its address.
func serveOn(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return "http://" + l.Addr().String()
}

func sh(script string, on ...job.HookEvent) job.Hook {
	return job.Hook{On: on, Command: []string{"/bin/sh", "-c", script}}
}

// TestCommands runs commands of jobs and of the settings as real processes.
func TestCommands(t *testing.T) {
	dir := t.TempDir()
	w := open(t, func(o *hooks.Options) {
		o.Hooks = []hooks.Configured{
			{Name: "ops", On: []job.HookEvent{job.HookFailure}, Command: []string{"/bin/sh", "-c", `echo "$QUEUEMGR_HOOK $QUEUEMGR_HOOK_EVENT $QUEUEMGR_JOB_ID $0"; pwd; grep -o '"exit_code":3'`, "arg"}, Timeout: time.Minute, GiveUp: time.Hour},
			{Name: "other queue", On: job.HookEvents, Queue: "elsewhere", Command: []string{"/bin/false"}, Timeout: time.Minute, GiveUp: time.Hour},
			{Name: "other type", On: job.HookEvents, Type: "command", Command: []string{"/bin/false"}, Timeout: time.Minute, GiveUp: time.Hour},
		}
		o.Types = map[string][]job.Hook{"shell": {sh("echo of the type", job.HookFailure)}}
	})
	id := w.add("exit 3", sh(fmt.Sprintf(`echo "$QUEUEMGR_HOOK_EVENT" >>%s/events; echo told`, dir), job.HookStart, job.HookFailure), sh("exit 1", job.HookSuccess))
	list := w.over(id, 4)
	logs := map[string]string{"job/1": "told\n", "settings/ops": fmt.Sprintf("settings/ops failure %d arg\n/\n\"exit_code\":3\n", id), "type/shell/1": "of the type\n"}
	for _, d := range list {
		text, err := os.ReadFile(joblog.HookPath(filepath.Join(w.Dir, "log"), id, d.ID))
		if d.State != job.DeliveryDone || d.Tries != 1 || err != nil || string(text) != logs[d.Hook] {
			t.Errorf("%+v: wrote %q (%v)", d, text, err)
		}
	}
	if text, err := os.ReadFile(dir + "/events"); err != nil || string(text) != "start\nfailure\n" {
		t.Errorf("told of %q, %v", text, err)
	}
}

// TestCommandsFail has commands that fail, that hang, and that are not there.
func TestCommandsFail(t *testing.T) {
	var later atomic.Int64 // by how much it is later for the hooks
	w := open(t, func(o *hooks.Options) {
		give := time.Hour
		o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		o.Hooks = []hooks.Configured{
			{Name: "fails", On: []job.HookEvent{job.HookSuccess}, Command: []string{"/bin/sh", "-c", "exit 7"}, Timeout: time.Minute, GiveUp: give},
			{Name: "hangs", On: []job.HookEvent{job.HookSuccess}, Command: []string{"/bin/sh", "-c", "sleep 1000"}, Timeout: 100 * time.Millisecond, GiveUp: give},
			{Name: "is not", On: []job.HookEvent{job.HookSuccess}, Command: []string{"/nowhere/to/be/found"}, Timeout: time.Minute, GiveUp: give},
		}
	})
	id := w.add("true")
	want := map[string]string{"settings/fails": "exit code 7", "settings/hangs": "time limit", "settings/is not": "/nowhere/to/be/found"}
	w.until(id, "tried twice each", func(list []job.Delivery) bool {
		for _, d := range list {
			if d.Tries < 2 || d.State == job.DeliveryGivenUp {
				return false
			}
		}
		return len(list) == 3
	})
	later.Store(int64(2 * time.Hour))
	for _, d := range w.over(id, 3) {
		if d.State != job.DeliveryGivenUp || d.Tries < 2 || !strings.Contains(d.LastError, want[d.Hook]) {
			t.Errorf("%+v, want %q", d, want[d.Hook])
		}
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		j, err := w.Job(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if len(j.Notes) == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the job's notes are %q", j.Notes)
		}
		time.Sleep(5 * time.Millisecond) // it is noted after the end is on record
	}
}

// TestCommandOutlivesEngine restarts the engine while a hook's command runs: it goes on, and its end is
// told of once.
func TestCommandOutlivesEngine(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(dir+"/go", 0o600); err != nil {
		t.Fatal(err)
	}
	w := open(t, nil)
	id := w.add("true", sh(fmt.Sprintf("echo run >>%s/runs; read x <%s/go", dir, dir), job.HookSuccess))
	w.until(id, "under way", func(list []job.Delivery) bool { return len(list) == 1 && list[0].RunID != "" })
	w.restart()
	f, err := os.OpenFile(dir+"/go", os.O_WRONLY, 0) // waits for who reads
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x\n"); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if d := w.over(id, 1)[0]; d.State != job.DeliveryDone || d.Tries != 1 {
		t.Errorf("%+v", d)
	}
	if text, err := os.ReadFile(dir + "/runs"); err != nil || string(text) != "run\n" {
		t.Errorf("it ran %q, %v", text, err)
	}
}

// TestCommandsAreBounded has many commands that wait: only so many run, and jobs go on.
func TestCommandsAreBounded(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(dir+"/go", 0o600); err != nil {
		t.Fatal(err)
	}
	w := open(t, nil)
	var ids []int64
	for range 12 {
		ids = append(ids, w.add("true", sh(fmt.Sprintf("read x <%s/go", dir), job.HookStart), sh(fmt.Sprintf("read x <%s/go", dir), job.HookSuccess), sh(fmt.Sprintf("read x <%s/go", dir), job.HookSuccess)))
	}
	for _, id := range ids {
		if j, err := w.WaitJob(t.Context(), id); err != nil || j.State != job.Completed {
			t.Fatal(j, err)
		}
	}
	runs, err := w.Store.HookRuns(t.Context())
	if err != nil || len(runs) > 8 {
		t.Errorf("%d commands run at once, %v", len(runs), err)
	}
	f, err := os.OpenFile(dir+"/go", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Repeat("x\n", 3*12)); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		w.over(id, 3)
	}
}

// twice is a hook that hangs the first time it is called.
func twice(dir string) job.Hook {
	return sh(fmt.Sprintf("echo run >>%s/runs; [ -e %s/second ] && exit 0; echo $$ >%s/new; mv %s/new %s/second; exec sleep 1000", dir, dir, dir, dir, dir), job.HookSuccess)
}

func (w *world) untilFile(path string) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s never came", path)
		}
		time.Sleep(5 * time.Millisecond) // a process of its own makes it
	}
}

// TestShutdownEndsCommands ends the service while a hook's command runs: it is stopped, the service ends, and
// the next one runs it again, which counts as one try.
func TestShutdownEndsCommands(t *testing.T) {
	dir := t.TempDir()
	w := open(t, nil)
	id := w.add("true", twice(dir))
	w.untilFile(dir + "/second")
	if err := w.Shutdown(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the service did not end")
	}
	list := w.until(id, "pending again", func(list []job.Delivery) bool { return len(list) == 1 && list[0].RunID == "" })
	if list[0].State != job.DeliveryPending || list[0].Tries != 0 || list[0].LastError == "" { // it was stopped, or then refused
		t.Errorf("after the end: %+v", list[0])
	}
	w.restart()
	if d := w.over(id, 1)[0]; d.State != job.DeliveryDone || d.Tries != 1 || d.LastError != "" {
		t.Errorf("%+v", d)
	}
	if text, err := os.ReadFile(dir + "/runs"); err != nil || string(text) != "run\nrun\n" {
		t.Errorf("it ran %q, %v", text, err)
	}
}

// TestRunnerDiesWithCommand kills the runner while a hook's command runs, and then that: how it ended nobody
// knows, so it is run again.
func TestRunnerDiesWithCommand(t *testing.T) {
	dir := t.TempDir()
	w := open(t, nil)
	id := w.add("true", twice(dir))
	w.untilFile(dir + "/second")
	status, err := w.Status(t.Context())
	if err != nil || status.Runner.PID == 0 {
		t.Fatal(status, err)
	}
	if err := unix.Kill(status.Runner.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for status.Runner.PID = 0; status.Runner.PID == 0; { // the next runner goes on watching the command
		if status, err = w.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(dir + "/second")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if d := w.over(id, 1)[0]; d.State != job.DeliveryDone || d.Tries != 2 {
		t.Errorf("%+v", d)
	}
	if text, err := os.ReadFile(dir + "/runs"); err != nil || string(text) != "run\nrun\n" {
		t.Errorf("it ran %q, %v", text, err)
	}
}
