package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// restoreNow is when the tests restore.
var restoreNow = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

func restoreOptions(path, file string) sqlite.RestoreOptions {
	return sqlite.RestoreOptions{Path: path, File: file, Now: restoreNow}
}

// backedUp makes a registry that went on after its backup: 1 queued, 2 live, 3 completed, 4 held and 5
// blocked in the backup; 6 and 7 added, 1 and 2 ended since. It returns both files' names.
func backedUp(t *testing.T) (path, file string) {
	t.Helper()
	dir := t.TempDir()
	path, file = filepath.Join(dir, "registry.db"), filepath.Join(dir, "backup")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	p := benchAdd(5)
	for i, state := range []job.State{job.Queued, job.Running, job.Completed, job.Held, job.Blocked} {
		p.Jobs[i].Job.State = state
	}
	p.Jobs[0].Job.Head, p.Jobs[0].Job.WaitReason, p.Jobs[1].Job.RunID = 3, "no slot", "run-2"
	if _, err := s.AddJobs(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, err := s.NextEpoch(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if err := fillAccess(t.Context(), s, restoreNow); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Backup(t.Context(), sqlite.BackupOptions{Path: path, File: file}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddJobs(t.Context(), benchAdd(2)); err != nil {
		t.Fatal(err)
	}
	for id, from := range map[int64]job.State{1: job.Queued, 2: job.Running} {
		j, err := s.Job(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		j.State = job.Stopped
		if _, err := s.Commit(t.Context(), store.Commit{At: restoreNow, Updates: []store.Update{{Job: j, From: from}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.NextEpoch(t.Context(), 40); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path, file
}

// read returns a file's content.
func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// states returns the state of each job, after a check of the whole registry.
func states(t *testing.T, s *sqlite.Store) map[int64]job.State {
	t.Helper()
	if problems, err := s.Check(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("Check: %q %v", problems, err)
	}
	page, err := s.ListJobs(t.Context(), job.Filter{States: job.States, Limit: job.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	states := map[int64]job.State{}
	for _, j := range page.Jobs {
		states[j.ID] = j.State
	}
	return states
}

var (
	statesRestored = map[int64]job.State{1: job.Held, 2: job.Running, 3: job.Completed, 4: job.Held, 5: job.Held}
	statesBefore   = map[int64]job.State{1: job.Stopped, 2: job.Stopped, 3: job.Completed, 4: job.Held, 5: job.Blocked, 6: job.Queued, 7: job.Queued}
)

func TestRestore(t *testing.T) {
	path, file := backedUp(t)
	whole := read(t, file)
	before := open(t, sqlite.Options{Path: path, ReadOnly: true})
	id, seq := before.RegistryID(), before.Seq()
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	done, err := sqlite.Restore(t.Context(), restoreOptions(path, file))
	if err != nil {
		t.Fatal(err)
	}
	want := sqlite.Restored{Jobs: 5, Held: []job.Range{{From: 1, To: 1}, {From: 5, To: 5}}, HeldJobs: 2, Live: 1, NextID: 8, Tokens: 1, Replaced: path + ".replaced-1"}
	if d := cmp.Diff(want, done); d != "" {
		t.Errorf("it says (-want +got):\n%s", d)
	}
	if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{"backup", "registry.db", "registry.db.replaced-1"}) {
		t.Errorf("the folder holds %q", got)
	}
	if !bytes.Equal(read(t, file), whole) {
		t.Error("the backup was changed")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the registry: %v %v", info, err)
	}
	if d := cmp.Diff(statesBefore, states(t, open(t, sqlite.Options{Path: done.Replaced, ReadOnly: true}))); d != "" {
		t.Errorf("the registry before (-want +got):\n%s", d)
	}
	s := open(t, sqlite.Options{Path: path})
	if d := cmp.Diff(statesRestored, states(t, s)); d != "" {
		t.Errorf("restored (-want +got):\n%s", d)
	}
	tokens, err := s.Tokens(t.Context())
	sessions, sessionsErr := s.Sessions(t.Context())
	if err := errors.Join(err, sessionsErr); err != nil || len(tokens)+len(sessions) > 0 {
		t.Errorf("who was let in at the time of the backup is let in again: %v %v %v", tokens, sessions, err)
	}
	j, err := s.Job(t.Context(), 1)
	if err != nil || j.Head != 0 || !j.QueuedAt.IsZero() || j.WaitReason != "" {
		t.Errorf("the job that waited: %+v %v", j, err)
	}
	if env, err := s.Env(t.Context(), j.EnvID); err != nil || !slices.Equal(env, benchEnv) {
		t.Errorf("its environment: %q %v", env, err)
	}
	if s.RegistryID() == id {
		t.Error("the registry has the identity of the one whose history it leaves")
	}
	// Who has seen any change of the registry before learns that it must begin anew.
	if s.Seq() <= seq {
		t.Errorf("the last change is %d, that before was %d", s.Seq(), seq)
	}
	if _, err := s.Changes(t.Context(), seq, 1); job.CodeOf(err) != job.Exhausted {
		t.Errorf("changes after the last one before: %v", err)
	}
	if epoch, err := s.NextEpoch(t.Context(), 0); err != nil || epoch != 42 {
		t.Errorf("the epoch is %d %v, want 42", epoch, err)
	}
	p := benchAdd(1)
	if _, err := s.AddJobs(t.Context(), p); err != nil || p.Jobs[0].Job.ID != 8 {
		t.Errorf("the next job has the number %d: %v", p.Jobs[0].Job.ID, err)
	}
}

// TestRestoreWithoutARegistry asks the readable journal what numbers were given out.
func TestRestoreWithoutARegistry(t *testing.T) {
	cases := []struct {
		name    string
		spoil   func(path string) error
		kept    []string // as what it is kept
		journal func() (sqlite.Numbers, error)
		next    int64
		unknown string
	}{
		{"none", os.Remove, nil, func() (sqlite.Numbers, error) { return sqlite.Numbers{}, nil }, 6, ""},
		{"none, but a journal", os.Remove, nil, func() (sqlite.Numbers, error) { return sqlite.Numbers{NextID: 12, Seq: 90}, nil }, 12, ""},
		{"damaged", func(path string) error { return os.WriteFile(path, []byte("oops"), 0o600) }, []string{""},
			func() (sqlite.Numbers, error) { return sqlite.Numbers{NextID: 8, Seq: 90}, nil }, 8, ""},
		{"damaged, with a log", func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("oops"), 0o600), os.WriteFile(path+"-wal", []byte("log"), 0o600))
		}, []string{"", "-wal"}, func() (sqlite.Numbers, error) { return sqlite.Numbers{}, nil }, 6, "no registry.jsonl"},
		{"only its log", func(path string) error { return os.Rename(path, path+"-wal") }, []string{"-wal"},
			func() (sqlite.Numbers, error) { return sqlite.Numbers{}, errors.New("torn") }, 6, "torn"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path, file := backedUp(t)
			if err := c.spoil(path); err != nil {
				t.Fatal(err)
			}
			o := restoreOptions(path, file)
			o.Journal = c.journal
			done, err := sqlite.Restore(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if done.NextID != c.next || (done.Unknown == "") != (c.unknown == "") || !strings.Contains(done.Unknown, c.unknown) || (done.Unread != "") != (c.kept != nil) {
				t.Errorf("it says %+v", done)
			}
			want := []string{"backup", "registry.db"}
			for _, suffix := range c.kept {
				want = append(want, "registry.db.replaced-1"+suffix)
			}
			if got := names(t, filepath.Dir(path)); !slices.Equal(got, want) {
				t.Errorf("the folder holds %q, want %q", got, want)
			}
			if d := cmp.Diff(statesRestored, states(t, open(t, sqlite.Options{Path: path}))); d != "" {
				t.Errorf("restored (-want +got):\n%s", d)
			}
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	path, file := backedUp(t)
	dir := filepath.Dir(path)
	whole := read(t, file)
	made := func(name string, b []byte) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	spoilt := bytes.Clone(whole)
	for i := 3 * 4096; i < 6*4096; i++ {
		spoilt[i] = 0xa5
	}
	inUse := made("in-use", whole)
	made("in-use-wal", []byte("log"))
	cases := []struct {
		name, file string
		code       job.Code
		says       string
	}{
		{"no such file", filepath.Join(dir, "none"), job.NotFound, "none"},
		{"a folder", dir, job.Invalid, "no regular file"},
		{"an empty file", made("empty", nil), job.Invalid, "0 bytes"},
		{"lines of JSON", made("lines", bytes.Repeat([]byte("{}\n"), 100)), job.Invalid, "no SQLite database"},
		{"cut off", made("cut", whole[:len(whole)-4096]), job.Invalid, "cut off"},
		{"spoilt", made("spoilt", spoilt), job.Invalid, "spoilt"},
		{"in use", inUse, job.Invalid, "in-use-wal"},
		{"the registry itself", path, job.Invalid, "registry itself"},
		{"of a newer program", changed(t, made("newer", whole), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"), job.Internal, "newer queuemgr"},
		{"that contradicts itself", changed(t, made("odd", whole), "UPDATE counters SET n = n + 1"), job.Invalid, "counter"},
		{"of another program", changed(t, made("other", whole), "PRAGMA application_id = 7"), job.Invalid, "another program"},
	}
	before, held := read(t, path), names(t, dir)
	for _, c := range cases {
		_, err := sqlite.Restore(t.Context(), restoreOptions(path, c.file))
		var e *job.Error
		if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Message, c.says) || e.Hint == "" {
			t.Errorf("%s: the error is %v (%+v)", c.name, err, e)
		}
	}
	if !bytes.Equal(read(t, path), before) {
		t.Error("the registry was changed")
	}
	after := slices.DeleteFunc(names(t, dir), func(n string) bool { return n == "registry.db-wal" || n == "registry.db-shm" }) // of reading it
	if !slices.Equal(after, held) {
		t.Errorf("the folder held %q, and now %q", held, after)
	}
}

// TestRestoreWhileARunIsUnknown has a job live now whose run the backup knows nothing of.
func TestRestoreWhileARunIsUnknown(t *testing.T) {
	path, file := backedUp(t)
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Job(t.Context(), 6)
	if err != nil {
		t.Fatal(err)
	}
	j.State, j.RunID = job.Starting, "run-6"
	if _, err := s.Commit(t.Context(), store.Commit{At: restoreNow, Updates: []store.Update{{Job: j, From: job.Queued}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o := restoreOptions(path, file)
	if _, err := sqlite.Restore(t.Context(), o); job.CodeOf(err) != job.WrongState || !strings.Contains(err.Error(), "job 6") {
		t.Errorf("the error is %v", err)
	}
	o.Orphan = true
	if _, err := sqlite.Restore(t.Context(), o); err != nil {
		t.Error(err)
	}
}

// TestRestoreBesideAReader holds that the registry is not moved away below a program that reads it.
func TestRestoreBesideAReader(t *testing.T) {
	path, file := backedUp(t)
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan error, 1)
	o := sqlite.At(restoreOptions(path, file), func(step string) {
		if step == "prepared" {
			_, err := s.AddJobs(t.Context(), benchAdd(1))
			held <- err
		}
	})
	if _, err := sqlite.Restore(t.Context(), o); job.CodeOf(err) != job.WrongState || !strings.Contains(err.Error(), "another program") {
		t.Errorf("the error is %v", err)
	}
	if err := errors.Join(<-held, s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + ".restoring"); err == nil {
		t.Error("what was readied is left behind")
	}
}

// restoreEnv makes the test binary the process that is killed at a step of a restore: its value is
// "REGISTRY:BACKUP:STEP".
const restoreEnv = "QUEUEMGR_TEST_RESTORE"

func restoreChild(arg string) error {
	parts := strings.Split(arg, ":")
	o := sqlite.At(restoreOptions(parts[0], parts[1]), func(step string) {
		if step == parts[2] {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // cannot fail for oneself
			select {}
		}
	})
	_, err := sqlite.Restore(context.Background(), o)
	return err
}

// TestRestoreKilled kills a restore at each step: the registry before or the restored one is there,
// whole, or the start is refused; and the restore can be said again.
func TestRestoreKilled(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []bool{false, true} {
		for _, step := range steps(t, damaged) {
			t.Run(map[bool]string{false: "whole", true: "damaged"}[damaged]+" "+step, func(t *testing.T) {
				path, file := backedUp(t)
				if damaged {
					damage(t, path)
				}
				cmd := exec.CommandContext(t.Context(), exe)
				cmd.Env = append(os.Environ(), restoreEnv+"="+path+":"+file+":"+step)
				if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != -1 {
					t.Fatalf("the process was not killed: %v %s", err, out)
				}
				s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
				switch {
				case err == nil:
					got := states(t, s)
					if restored := step == "replaced"; restored && !cmp.Equal(got, statesRestored) || !restored && (damaged || !cmp.Equal(got, statesBefore)) {
						t.Errorf("the registry holds %v", got)
					}
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				case !damaged || step == "replaced":
					t.Errorf("it can't be opened: %v", err)
				}
				done, err := sqlite.Restore(t.Context(), restoreOptions(path, file))
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(statesRestored, states(t, open(t, sqlite.Options{Path: path}))); d != "" {
					t.Errorf("restored again (-want +got):\n%s", d)
				}
				if !damaged && done.NextID != 8 {
					t.Errorf("the next number is %d", done.NextID)
				}
				kept := filepath.Join(filepath.Dir(path), "registry.db.replaced-1")
				if !damaged {
					if d := cmp.Diff(statesBefore, states(t, open(t, sqlite.Options{Path: kept, ReadOnly: true}))); d != "" {
						t.Errorf("the registry before (-want +got):\n%s", d)
					}
				} else if b := read(t, kept); !strings.HasPrefix(string(b), "oops") {
					t.Errorf("the damaged registry is kept as %.20q", b)
				}
			})
		}
	}
}

func damage(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte("oops"), 0o600), os.WriteFile(path+"-wal", []byte("log"), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// steps returns between what steps a restore can be killed.
func steps(t *testing.T, damaged bool) (steps []string) {
	t.Helper()
	path, file := backedUp(t)
	if damaged {
		damage(t, path)
	}
	if _, err := sqlite.Restore(t.Context(), sqlite.At(restoreOptions(path, file), func(step string) { steps = append(steps, step) })); err != nil {
		t.Fatal(err)
	}
	if len(steps) < 5 {
		t.Fatalf("the steps are only %q", steps)
	}
	return steps
}
