package e2e

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // to change a registry as no queuemgr does

	"github.com/queuemgr/queuemgr/job"
)

// TestRestore goes back to a backup that was made while jobs ran and others waited: what ended since
// is lost or held and never runs again by itself, and no number comes twice.
func TestRestore(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	h.must("queue", "add", "narrow", "--concurrency", "1")
	g := newGates(h)
	ran := h.Path("ran")
	say := func(name string) string { return fmt.Sprintf("echo %s >> %s; exit 0", name, ran) }
	running := h.add("--queue", "narrow", "--", "sh", "-c", "echo running >> "+ran+"; "+g.script("exit 5"))
	g.arrived.pid()
	waiting := h.add("--queue", "narrow", "--", "sh", "-c", say("waiting"))
	held := h.add("--hold", "--", "sh", "-c", say("held"))
	file := h.Path("backup.db")
	h.must("registry", "backup", file)

	g.gate.release(1)
	h.wait(running)
	h.wait(waiting)
	later := h.add("--", "sh", "-c", say("later"))
	h.wait(later)
	h.must("daemon", "stop")
	journal := h.read(h.Path("lib", "registry.jsonl"))
	out := h.must("registry", "restore", file)
	if !strings.Contains(out, fmt.Sprintf("job start %d\n", waiting)) || !strings.Contains(out, fmt.Sprintf("number %d\n", later+1)) {
		t.Errorf("registry restore says\n%s", out)
	}

	h.start()
	h.wait(running)
	if j := h.job(running); j.State != job.Failed || j.Reason != job.ReasonLost || j.Attempt != 1 {
		t.Errorf("the job that ran: state %s, reason %s, attempt %d; want failed, lost, 1", j.State, j.Reason, j.Attempt)
	}
	for _, id := range []int64{waiting, held} {
		if j := h.job(id); j.State != job.Held {
			t.Errorf("job %d is %s, want held", id, j.State)
		}
	}
	h.refused(3, []string{fmt.Sprint(later)}, "job", "status", fmt.Sprint(later))
	if next := h.add("--", "sh", "-c", say("next")); next != later+1 {
		t.Errorf("the next number is %d, want %d", next, later+1)
	}
	h.wait(later + 1)
	if out := h.must("registry", "check"); !strings.Contains(out, "is sound") {
		t.Errorf("registry check: %s", out)
	}
	h.must("daemon", "stop")
	if text := h.read(ran); text != "running\nwaiting\nlater\nnext\n" {
		t.Errorf("what ran:\n%s", text)
	}

	// The journal of the history that was left is kept; the new one rebuilds the registry by itself.
	if old := h.read(h.Path("lib", "registry.jsonl.old")); old != journal {
		t.Error("registry.jsonl of before is not what was put aside")
	}
	states := followed(t, h.read(h.Path("lib", "registry.jsonl")))
	if states[running] != job.Failed || states[waiting] != job.Held || states[later+1] != job.Completed || len(states) != 4 {
		t.Errorf("registry.jsonl tells %v", states)
	}
	other := newHome(t)
	other.must("registry", "import", h.Path("lib", "registry.jsonl"))
	other.start()
	if id := other.add("--", "true"); id != later+2 {
		t.Errorf("after an import the next number is %d, want %d", id, later+2)
	}
}

// TestRestoreWhileTheRunnerLives kills the daemon, so that jobs go on: one that the backup knows goes on
// after the restore, with its true end; one that it does not know forbids the restore.
func TestRestoreWhileTheRunnerLives(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	g := newGates(h)
	known := h.add("--", "sh", "-c", g.script("exit 5"))
	g.arrived.pid()
	file := h.Path("backup.db")
	h.must("registry", "backup", file)
	h.kill()
	h.must("registry", "restore", file)
	h.start()
	unknown := h.add("--", "sh", "-c", g.script("exit 6"))
	g.arrived.pid()
	h.kill()
	h.refused(4, []string{fmt.Sprintf("job %d", unknown), "daemon stop"}, "registry", "restore", file)
	h.start()
	g.gate.release(2)
	h.wait(known)
	h.wantEnd(known, job.Failed, job.ReasonExit, 5)
	h.wait(unknown)
	h.wantEnd(unknown, job.Failed, job.ReasonExit, 6)
}

// TestRestoreOfADamagedRegistry takes the numbers from registry.jsonl.
func TestRestoreOfADamagedRegistry(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	first := h.add("--", "sh", "-c", "exit 3")
	h.wait(first)
	file := h.Path("backup.db")
	h.must("registry", "backup", file)
	last := h.add("--", "true")
	h.wait(last)
	h.must("daemon", "stop")
	path := h.Path("lib", "registry.db")
	if err := os.WriteFile(path, []byte("this is no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.refused(1, []string{path}, "daemon", "start", "--daemon")
	h.must("registry", "restore", file)
	if kept := h.read(path + ".replaced-1"); kept != "this is no database" {
		t.Errorf("kept of the damaged registry: %q", kept)
	}
	h.start()
	h.wantEnd(first, job.Failed, job.ReasonExit, 3)
	if id := h.add("--", "true"); id != last+1 {
		t.Errorf("the next number is %d, want %d", id, last+1)
	}
}

// TestDowngradeIsRefused has a registry that a newer queuemgr has written: the start says so, changes
// nothing, and a backup is still made of it.
func TestDowngradeIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	h.wait(h.add("--", "true"))
	h.must("daemon", "stop")
	path := h.Path("lib", "registry.db")
	newer(t, path)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h.refused(1, []string{path, "newer queuemgr", "install that version again"}, "daemon", "start", "--daemon")
	h.refused(1, []string{"newer queuemgr"}, "registry", "check")
	h.must("registry", "backup", h.Path("backup.db"))
	h.refused(1, []string{"newer queuemgr"}, "registry", "restore", h.Path("backup.db"))
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the registry was changed: %v", err)
	}
}

// newer marks a registry as one with a schema of later times.
func newer(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}
