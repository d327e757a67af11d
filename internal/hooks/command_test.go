package hooks_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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
			{Name: "ops", On: []job.HookEvent{job.HookFailure}, Command: []string{"/bin/sh", "-c", `echo "$QUEUEMGR_HOOK $QUEUEMGR_HOOK_EVENT $QUEUEMGR_JOB_ID $0"; pwd`, "arg"}, Timeout: time.Minute, GiveUp: time.Hour},
			{Name: "other queue", On: job.HookEvents, Queue: "elsewhere", Command: []string{"/bin/false"}, Timeout: time.Minute, GiveUp: time.Hour},
			{Name: "other type", On: job.HookEvents, Type: "command", Command: []string{"/bin/false"}, Timeout: time.Minute, GiveUp: time.Hour},
		}
		o.Types = map[string][]job.Hook{"shell": {sh("echo of the type", job.HookFailure)}}
	})
	id := w.add("exit 3", sh(fmt.Sprintf(`echo "$QUEUEMGR_HOOK_EVENT" >>%s/events; echo told`, dir), job.HookStart, job.HookFailure), sh("exit 1", job.HookSuccess))
	list := w.over(id, 4)
	logs := map[string]string{"job/1": "told\n", "settings/ops": fmt.Sprintf("settings/ops failure %d arg\n/\n", id), "type/shell/1": "of the type\n"}
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
	w := open(t, func(o *hooks.Options) {
		give := 300 * time.Millisecond
		o.Hooks = []hooks.Configured{
			{Name: "fails", On: []job.HookEvent{job.HookSuccess}, Command: []string{"/bin/sh", "-c", "exit 7"}, Timeout: time.Minute, GiveUp: give},
			{Name: "hangs", On: []job.HookEvent{job.HookSuccess}, Command: []string{"/bin/sh", "-c", "sleep 1000"}, Timeout: 100 * time.Millisecond, GiveUp: give},
			{Name: "is not", On: []job.HookEvent{job.HookSuccess}, Command: []string{"/nowhere/to/be/found"}, Timeout: time.Minute, GiveUp: give},
		}
	})
	id := w.add("true")
	want := map[string]string{"settings/fails": "exit code 7", "settings/hangs": "time limit", "settings/is not": "/nowhere/to/be/found"}
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
