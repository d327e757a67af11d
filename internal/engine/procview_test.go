package engine

import (
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// TestViewOfLiveJob reads what is shown of a job: its command, its process, how far it is; and nothing when
// it is over.
func TestViewOfLiveJob(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p, err := newProcView(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		go p.run(t.Context())
		show := func(j job.Job) { p.set(&j); time.Sleep(2 * viewDelay); synctest.Wait() }
		of := filepath.Join(dir, "proc", "7")
		j := job.Job{ID: 7, Queue: "default", Type: job.TypeCommand, State: job.Running, PID: 42, Attempt: 1, RunID: "r1", Command: []string{"echo", "a b", ""}}
		show(j)
		wantFile(t, of, "cmdline", "echo\x00a b\x00\x00")
		wantFile(t, of, "pid", "42\n")
		if _, err := os.Stat(filepath.Join(of, "progress")); !os.IsNotExist(err) {
			t.Errorf("progress before there is any: %v", err)
		}
		j.Progress, j.StatusText = at100(40), "reading\nwriting"
		show(j)
		wantFile(t, of, "progress", "40\n")
		status, err := os.ReadFile(filepath.Join(of, "status"))
		if err != nil || !strings.Contains(string(status), "Progress: 40\nStatusText: reading\\nwriting\n") {
			t.Errorf("status is %q, %v", status, err)
		}
		j.Progress, j.StatusText, j.RunID, j.PID = nil, "", "r2", 43
		show(j)
		wantFile(t, of, "pid", "43\n")
		if names := entries(t, of); !slices.Equal(names, []string{"cmdline", "pid", "status"}) {
			t.Errorf("of the next attempt are shown %v", names)
		}
		j.State = job.Completed
		show(j)
		if _, err := os.Stat(of); !os.IsNotExist(err) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// TestViewLeavesTheRunnersFolders touches no folder of a job with parameters, present or not, and follows
// no link on its way.
func TestViewLeavesTheRunnersFolders(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	kept := filepath.Join(outside, "kept")
	for _, path := range []string{"proc/7", "proc/8", "proc/9", "proc/notes"} {
		if err := os.MkdirAll(filepath.Join(dir, path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{kept, filepath.Join(dir, "proc/7/params.json"), filepath.Join(dir, "proc/8/status")} {
		if err := os.WriteFile(path, []byte("as it was"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"proc/8/link": outside, "proc/10": outside, "proc/11": kept} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := newProcView(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 { // as one that a root runner has made for the account of a job
		if err := os.Chown(filepath.Join(dir, "proc/9"), 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	live := &job.Job{ID: 7, Type: "greet", State: job.Running, Params: json.RawMessage(`{}`)}
	if err := p.clear(map[int64]bool{7: hasFolder(live)}); err != nil {
		t.Fatal(err)
	}
	want := []string{"10", "11", "7", "notes"} // links are nobody's folders
	if os.Getuid() == 0 {
		want = []string{"10", "11", "7", "9", "notes"}
	}
	if names := entries(t, filepath.Join(dir, "proc")); !slices.Equal(names, want) {
		t.Errorf("left are %v, want %v", names, want)
	}
	wantFile(t, filepath.Join(dir, "proc/7"), "params.json", "as it was")
	wantFile(t, outside, "kept", "as it was")

	p.set(live)
	if len(p.pending) > 0 {
		t.Error("the view takes on a job whose folder is the runner's")
	}
	plain := &job.Job{ID: 10, Type: job.TypeCommand, State: job.Running, Command: []string{"true"}}
	if err := p.write(filepath.Join(dir, "proc/10"), plain, nil); err == nil {
		t.Error("it writes through a link")
	}
	if names := entries(t, outside); !slices.Equal(names, []string{"kept"}) {
		t.Errorf("behind the link are %v", names)
	}
	if os.Getuid() == 0 {
		plain.ID = 9
		if err := p.write(filepath.Join(dir, "proc/9"), plain, nil); err == nil {
			t.Error("it writes into another account's folder")
		}
	}

	// A job of our own account puts a link where a file of ours is about to be.
	own := filepath.Join(dir, "proc/12")
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(kept, filepath.Join(own, ".status")); err != nil {
		t.Fatal(err)
	}
	plain.ID = 12
	if err := p.write(own, plain, nil); err != nil {
		t.Error(err)
	}
	wantFile(t, outside, "kept", "as it was")
	if info, err := os.Lstat(filepath.Join(own, "status")); err != nil || info.Mode()&fs.ModeType != 0 || info.Sys().(*syscall.Stat_t).Nlink != 1 {
		t.Errorf("status is %v, %v", info, err)
	}
}

func wantFile(t *testing.T, dir, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
		t.Errorf("%s is %q, %v; want %q", name, got, err, want)
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}
