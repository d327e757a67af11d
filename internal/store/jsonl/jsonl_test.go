package jsonl

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		if err := crashChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

var start = time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC)

func now() time.Time { return start.Add(time.Hour) }

func openStore(t *testing.T) *sqlite.Store {
	t.Helper()
	return openStoreAt(t, filepath.Join(t.TempDir(), "registry.db"), nil)
}

func openStoreAt(t *testing.T, path string, onCommit func([]job.Change)) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, OnCommit: onCommit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func add(t *testing.T, s store.Store, set ...func(*job.Job)) *job.Job {
	t.Helper()
	j := &job.Job{Queue: job.DefaultQueue, Type: job.TypeCommand, State: job.Queued, Command: []string{"true"}, Owner: "ann",
		UID: 1001, GID: 1002, MaxAttempts: 1, CreatedAt: start, QueuedAt: start}
	for _, f := range set {
		f(j)
	}
	_, err := s.AddJobs(t.Context(), store.AddJobs{At: start, Jobs: []store.NewJob{{Job: j, Env: []string{"SECRET=hunter2"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func update(t *testing.T, s store.Store, j *job.Job, to job.State) {
	t.Helper()
	from := j.State
	j.State = to
	done, err := s.Commit(t.Context(), store.Commit{At: start, Updates: []store.Update{{Job: j, From: from}}})
	if err != nil || len(done.Conflicts) > 0 {
		t.Fatalf("to %s: %v %v", to, done, err)
	}
}

// writeAll writes what is missing, as a daemon does between its start and its end.
func writeAll(t *testing.T, o Options) *Writer {
	t.Helper()
	o.Now = now
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// seqs returns the numbers of the changes in a file, those of its snapshot left out.
func seqs(t *testing.T, path string) (out []uint64) {
	t.Helper()
	snapshot := uint64(0)
	torn, err := Read(bytes.NewReader(readFile(t, path)), func(c job.Change) error {
		if c.Kind == snapshotKind {
			snapshot = c.Seq
		}
		if c.Seq > snapshot {
			out = append(out, c.Seq)
		}
		return nil
	})
	if err != nil || torn {
		t.Fatalf("read %s: torn %v, %v", path, torn, err)
	}
	return out
}

func TestFollowsEachCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.jsonl")
	var w *Writer
	s := openStoreAt(t, filepath.Join(t.TempDir(), "registry.db"), func([]job.Change) {
		if w != nil {
			w.Wake()
		}
	})
	var err error
	if w, err = New(Options{Path: path, Store: s, Now: now}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for range 20 {
		add(t, s)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if w.Position() != s.Seq() {
		t.Errorf("the position is %d, the last change %d", w.Position(), s.Seq())
	}
	if text := string(readFile(t, path)); strings.Contains(text, "hunter2") {
		t.Error("the file holds an environment")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	got := map[int64]bool{}
	if _, err := Read(bytes.NewReader(readFile(t, path)), func(c job.Change) error { got[c.JobID] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for id := int64(1); id <= 20; id++ {
		if !got[id] {
			t.Errorf("job %d is not in the file", id)
		}
	}
}

func TestResumesAtEveryCut(t *testing.T) {
	s := openStore(t)
	path := filepath.Join(t.TempDir(), "registry.jsonl")
	o := Options{Path: path, Store: s}
	writeAll(t, o)
	head := len(readFile(t, path))
	for range 3 {
		add(t, s, func(j *job.Job) { j.Name = "a\nb" })
	}
	writeAll(t, o)
	want := readFile(t, path)
	for cut := head; cut <= len(want); cut++ {
		if err := os.WriteFile(path, want[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		writeAll(t, o)
		if got := readFile(t, path); !bytes.Equal(got, want) {
			t.Fatalf("cut after %d bytes, the file becomes\n%s\nwant\n%s", cut, got, want)
		}
	}
	if old, err := filepath.Glob(path + ".*"); err != nil || len(old) > 0 {
		t.Errorf("left behind: %v %v", old, err)
	}
}

func TestRotates(t *testing.T) {
	s := openStore(t)
	path := filepath.Join(t.TempDir(), "registry.jsonl")
	o := Options{Path: path, Store: s, MaxBytes: 1, Keep: 2}
	writeAll(t, o)
	for range 12 {
		j := add(t, s, func(j *job.Job) { j.Name = strings.Repeat("x", 200) })
		writeAll(t, o)
		update(t, s, j, job.Starting)
		update(t, s, j, job.Completed)
		writeAll(t, o)
	}
	var all []uint64
	for _, name := range []string{path + ".2", path + ".1", path} {
		all = append(all, seqs(t, name)...)
	}
	for i := range all {
		if all[i] != all[0]+uint64(i) {
			t.Fatalf("changes are missing or double over the rotated files: %v", all)
		}
	}
	if all[len(all)-1] != s.Seq() {
		t.Errorf("the last change is %d, want %d", all[len(all)-1], s.Seq())
	}
	if _, err := os.Stat(path + ".3"); err == nil {
		t.Error("more files are kept than asked for")
	}
	// The last file alone rebuilds the registry.
	rebuilt := openStore(t)
	if _, err := Import(t.Context(), rebuilt, bytes.NewReader(readFile(t, path)), ImportOptions{Now: now}); err != nil {
		t.Fatal(err)
	}
	for id := int64(1); id <= 12; id++ {
		if j, err := rebuilt.Job(t.Context(), id); err != nil || j.State != job.Completed {
			t.Errorf("job %d: %v %v", id, j, err)
		}
	}
}

func TestCrashBetweenTheRenamesOfARotation(t *testing.T) {
	s := openStore(t)
	path := filepath.Join(t.TempDir(), "registry.jsonl")
	writeAll(t, Options{Path: path, Store: s})
	add(t, s)
	writeAll(t, Options{Path: path, Store: s})
	for range 3 {
		add(t, s)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	writeAll(t, Options{Path: path, Store: s})
	all := append(seqs(t, path+".1"), seqs(t, path)...)
	if want := []uint64{1, 2, 3, 4, 5}; !slices.Equal(all, want) {
		t.Errorf("the changes are %v, want %v", all, want)
	}
	if _, err := os.Stat(path + ".2"); err == nil {
		t.Error("the file before was rotated twice")
	}
}

func TestBeginsAgainWhenChangesArePruned(t *testing.T) {
	dir := t.TempDir()
	db, path := filepath.Join(dir, "registry.db"), filepath.Join(dir, "registry.jsonl")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: db})
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, Options{Path: path, Store: s})
	add(t, s)
	if _, err := s.PruneChanges(t.Context(), s.Seq(), 100); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // what is recent is also in memory
		t.Fatal(err)
	}
	s = openStoreAt(t, db, nil)
	add(t, s)
	writeAll(t, Options{Path: path, Store: s})
	rebuilt := openStore(t)
	if _, err := Import(t.Context(), rebuilt, bytes.NewReader(readFile(t, path)), ImportOptions{Now: now}); err != nil {
		t.Fatal(err)
	}
	if rebuilt.NextID() != 3 {
		t.Errorf("the next number is %d, want 3", rebuilt.NextID())
	}
}

func TestPutsAsideWhatIsNotItsOwn(t *testing.T) {
	s, other := openStore(t), openStore(t)
	path := filepath.Join(t.TempDir(), "registry.jsonl")
	writeAll(t, Options{Path: path, Store: other})
	add(t, other)
	ahead := string(readFile(t, path)) // of s's own, with a change that s does not have
	contents := []string{`{"job_id": 1, "status": 0}` + "\n", ahead, "{garbage", strings.ReplaceAll(ahead, other.RegistryID(), s.RegistryID()) + "not JSON\n",
		strings.ReplaceAll(ahead, other.RegistryID(), s.RegistryID()) + `{"seq":99,"at":"2031-01-01T00:00:00Z","change":"added","id":1,"state":"held","queue":"default"}` + "\n"}
	for i, content := range contents {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		writeAll(t, Options{Path: path, Store: s})
		aside := path + ".old"
		if i > 0 {
			aside += "-" + string(rune('1'+i))
		}
		if got := string(readFile(t, aside)); got != content {
			t.Errorf("%s holds %q, want %q", aside, got, content)
		}
		if !strings.Contains(string(readFile(t, path)), s.RegistryID()) {
			t.Error("the new file is not the registry's")
		}
	}
}

func TestLeavesOtherFilesAlone(t *testing.T) {
	dir := t.TempDir()
	s := openStoreAt(t, filepath.Join(dir, "registry.db"), nil)
	for name, content := range map[string]string{"text": "a diary\n", "zeros": "\x00\x00\n", "database": string(readFile(t, filepath.Join(dir, "registry.db")))} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := New(Options{Path: path, Store: s, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		w.settle(w.catchUp(t.Context()))
		if p := w.Problem(); !strings.Contains(p, path) || !strings.Contains(p, "registry_path") {
			t.Errorf("the problem is %q", p)
		}
		if got := string(readFile(t, path)); got != content {
			t.Errorf("%s was changed", name)
		}
		if beside, err := filepath.Glob(path + ".*"); err != nil || len(beside) > 0 {
			t.Errorf("left beside %s: %v %v", name, beside, err)
		}
	}
}

func TestFailureStopsNothingAndHeals(t *testing.T) {
	s := openStore(t)
	dir := filepath.Join(t.TempDir(), "gone")
	w, err := New(Options{Path: filepath.Join(dir, "registry.jsonl"), Store: s, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	w.settle(w.catchUp(t.Context()))
	if p := w.Problem(); !strings.Contains(p, dir) {
		t.Errorf("the problem is %q", p)
	}
	if err := w.Sync(); err != nil || w.Position() != 0 {
		t.Errorf("Sync: %v, position %d", err, w.Position())
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	add(t, s)
	w.settle(w.catchUp(t.Context()))
	if p := w.Problem(); p != "" {
		t.Errorf("the problem is still %q", p)
	}
	// A write that fails in the middle: the file is opened again behind its last whole line.
	if err := w.file.f.Close(); err != nil {
		t.Fatal(err)
	}
	add(t, s)
	w.settle(w.catchUp(t.Context()))
	if w.Problem() == "" {
		t.Error("a closed file is no problem")
	}
	w.settle(w.catchUp(t.Context()))
	if p := w.Problem(); p != "" || w.Sync() != nil || w.Position() != s.Seq() {
		t.Errorf("problem %q, position %d of %d", p, w.Position(), s.Seq())
	}
	if err := w.finish(t.Context()); err != nil {
		t.Fatal(err)
	}
}
