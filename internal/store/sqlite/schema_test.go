package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// keepSchema writes testdata/schema-N.db, where N is the program's schema, unless it is there: to be
// done once for each schema, by the program that is the first to write it.
var keepSchema = flag.Bool("keep-schema", false, "keep a registry of the present schema in testdata")

// changed runs statements on a database and returns its path.
func changed(t *testing.T, path string, statements ...string) string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func keptName(schema int64) string { return fmt.Sprintf("testdata/schema-%d.db", schema) }

// fillKept writes one of everything that a registry may hold.
func fillKept(ctx context.Context, s *sqlite.Store) error {
	at := time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC)
	code, progress, umask, grace := 3, 40, uint32(0o27), job.Duration(5*time.Second)
	if err := s.AddQueue(ctx, job.Queue{Name: "media", Start: job.StartManual, Concurrency: 2, Paused: true, CreatedAt: at}, at); err != nil {
		return err
	}
	p := store.AddJobs{At: at}
	for i, state := range job.States {
		j := &job.Job{Key: fmt.Sprintf("key-%d", i), Name: "the " + string(state) + " one, ü", Queue: job.DefaultQueue, Type: job.TypeCommand, State: state,
			Priority: i - 5, Command: []string{"sh", "-c", "exit 3"}, Cwd: "/home/ann", Tags: []string{"kept", string(state)}, Owner: "ann", UID: 1001, GID: 1002,
			MaxAttempts: 3, CreatedAt: at, Timeout: job.Duration(90 * time.Second), Grace: grace, StopSignal: "INT", OnLost: job.OnLostRequeue,
			Split: true, Umask: &umask}
		switch {
		case state.Live():
			j.RunID, j.StartedAt, j.PID, j.Progress, j.StatusText, j.Attempt, j.Fence, j.Node = "run", at, 4321, &progress, "going on", 2, 7, "here"
		case state.Ended():
			j.RunID, j.StartedAt, j.FinishedAt, j.ExitCode, j.Attempt, j.Fence = "run", at, at.Add(time.Minute), &code, 1, 1
			j.Result, j.Usage = json.RawMessage(`{"size":1}`), &job.Usage{CPUUser: job.Duration(time.Second), MaxRSS: 1 << 20}
		case state == job.Queued:
			j.QueuedAt, j.Head, j.Queue = at, 9, "media"
		case state == job.Scheduled:
			j.StartAt = at.Add(time.Hour)
		case state == job.Blocked:
			j.After = []int64{1, 2}
		}
		if state == job.Failed {
			j.Reason = job.ReasonExit
		}
		if state == job.Stopping {
			j.Want, j.WantForce, j.WantGrace = job.WantDelete, true, &grace
		}
		n := store.NewJob{Job: j, Env: []string{"A=1", "B=two\nlines"}}
		if i%2 == 0 {
			n.Env = []string{"C=3"}
		}
		p.Jobs = append(p.Jobs, n)
	}
	p.Jobs[0].Env = nil
	if _, err := s.AddJobs(ctx, p); err != nil {
		return err
	}
	// A failed one is tried again, so that an attempt is archived, and another one is purged.
	failed, err := s.JobByKey(ctx, "key-9")
	if err != nil {
		return err
	}
	archive := &job.Attempt{JobID: failed.ID, Attempt: 1, RunID: "run", State: job.Failed, Reason: job.ReasonExit, ExitCode: &code, StartedAt: at, FinishedAt: at}
	failed.State, failed.Reason, failed.ExitCode, failed.RunID, failed.FinishedAt, failed.QueuedAt = job.Queued, "", nil, "", time.Time{}, at
	if _, err := s.Commit(ctx, store.Commit{At: at, Cursor: &store.Cursor{Journal: "journal", BootID: "boot", Seq: 77},
		Updates: []store.Update{{Job: failed, From: job.Failed, Archive: archive}}}); err != nil {
		return err
	}
	gone := store.AddJobs{At: at, Jobs: []store.NewJob{{Job: &job.Job{Queue: job.DefaultQueue, Type: job.TypeShell, State: job.Skipped, MaxAttempts: 1, CreatedAt: at}, Env: []string{"GONE=1"}}}}
	if _, err := s.AddJobs(ctx, gone); err != nil {
		return err
	}
	if _, err := s.Purge(ctx, store.Purge{States: []job.State{job.Skipped}, EndedBefore: at.Add(time.Hour), Limit: 9, At: at}); err != nil {
		return err
	}
	if _, err := s.PruneChanges(ctx, 3, 100); err != nil {
		return err
	}
	if _, err := s.NextEpoch(ctx, 11); err != nil {
		return err
	}
	return errors.Join(fillAccess(ctx, s, at), fillStats(ctx, s, at))
}

// fillAccess is fillKept for what came with schema 2.
func fillAccess(ctx context.Context, s *sqlite.Store, at time.Time) error {
	token := store.Token{Token: job.Token{ID: "1f", Name: "ci", Role: job.Operator, CreatedAt: at, CreatedBy: "root", ExpiresAt: at.Add(time.Hour)}, Hash: store.Hash{1, 2, 3}}
	session := store.Session{Hash: store.Hash{4, 5}, Name: "ci", Role: job.Viewer, UID: job.NoUID, TokenID: "1f", CreatedAt: at, ExpiresAt: at.Add(time.Hour), SeenAt: at}
	return errors.Join(s.AddToken(ctx, token), s.AddSession(ctx, session), s.UseTokens(ctx, map[string]time.Time{"1f": at.Add(time.Minute)}),
		s.AddAudit(ctx, []job.AuditEntry{{At: at, Who: "root", Role: job.Admin, Via: job.ViaSocket, Action: "add token", Target: "token ci", Outcome: "done"}}))
}

// fillStats is fillKept for what came with schema 3.
func fillStats(ctx context.Context, s *sqlite.Store, at time.Time) error {
	m := store.Minute{At: at.Truncate(time.Minute), Completed: 1, Failed: 2, Stopped: 300}
	m.Waits[3], m.Waits[20] = 7, 1000
	return s.PutMinutes(ctx, []store.Minute{m}, m.At)
}

// contents is all that a registry holds, as text.
func contents(t *testing.T, s *sqlite.Store) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	say := func(v any, err error) {
		t.Helper()
		if err == nil {
			err = enc.Encode(v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cursor, err := s.Cursor(t.Context())
	say(map[string]any{"id": s.RegistryID(), "next": s.NextID(), "seq": s.Seq(), "cursor": cursor}, err)
	say(s.Queues(t.Context()))
	say(s.Counts(), nil)
	page, err := s.ListJobs(t.Context(), job.Filter{States: job.States, Oldest: true, Limit: job.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range page.Jobs {
		say(store.NewRecord(j), nil)
		say(s.Env(t.Context(), j.EnvID))
		say(s.Attempts(t.Context(), j.ID))
	}
	tagged, err := s.ListJobs(t.Context(), job.Filter{Tags: []string{"kept"}, States: job.States})
	say(len(tagged.Jobs), err)
	changes, err := s.Changes(t.Context(), 3, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		b.Write(append(c.JSON, '\n'))
	}
	sayAccess(t, s, say)
	minutes, err := s.Minutes(t.Context(), time.Time{})
	if err != nil || len(minutes) > 0 {
		say(minutes, err)
	}
	return b.String()
}

// sayAccess tells who may ask; nothing where nobody was ever recorded.
func sayAccess(t *testing.T, s *sqlite.Store, say func(any, error)) {
	t.Helper()
	tokens, err := s.Tokens(t.Context())
	sessions, sessionsErr := s.Sessions(t.Context())
	audit, auditErr := s.Audit(t.Context(), 0, 100)
	if err := errors.Join(err, sessionsErr, auditErr); err != nil {
		t.Fatal(err)
	}
	if len(tokens)+len(sessions)+len(audit) > 0 {
		say(tokens, nil)
		say(sessions, nil)
		say(audit, nil)
	}
}

// TestKeptSchemas opens a registry of each schema that there ever was: it is brought up to date, holds
// what it held, and the registry as it was is kept.
func TestKeptSchemas(t *testing.T) {
	newest, err := sqlite.NewestSchema()
	if err != nil {
		t.Fatal(err)
	}
	if *keepSchema {
		keep(t, keptName(newest))
	}
	for schema := int64(1); schema <= newest; schema++ {
		t.Run(fmt.Sprint(schema), func(t *testing.T) {
			kept, err := os.ReadFile(keptName(schema))
			if errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("no registry of schema %d is kept: go test ./internal/store/sqlite -run TestKeptSchemas -keep-schema (the package before the flag), with the program that wrote it", schema)
			}
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "registry.db")
			if err := os.WriteFile(path, kept, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, sqlite.Options{Path: path})
			want := read(t, strings.TrimSuffix(keptName(schema), "db")+"golden")
			if d := cmp.Diff(string(want), contents(t, s)); d != "" {
				t.Errorf("it holds (-kept +now):\n%s", d)
			}
			if problems, err := s.Check(t.Context()); err != nil || len(problems) > 0 {
				t.Errorf("Check: %q %v", problems, err)
			}
			// The failed one was queued again, and of those that were stopped nobody wrote a reason.
			page, err := s.ListJobs(t.Context(), job.Filter{ExitCodes: []int{3}, Sort: job.SortLastEnded})
			if err != nil || len(page.Jobs) != 1 || page.Jobs[0].State != job.Stopped {
				t.Errorf("the jobs with the exit code 3: %+v %v", page.Jobs, err)
			}
			p := benchAdd(1)
			if _, err := s.AddJobs(t.Context(), p); err != nil || p.Jobs[0].Job.ID != 15 {
				t.Errorf("the next job has the number %d: %v", p.Jobs[0].Job.ID, err)
			}
			if _, err := os.Stat(fmt.Sprintf("%s.schema-%d", path, schema)); (err == nil) != (schema < newest) {
				t.Errorf("the registry as it was: %v", err)
			}
		})
	}
}

// keep makes the file of the present schema, and what it holds as text.
func keep(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Stat(name); err == nil {
		return
	}
	path := filepath.Join(t.TempDir(), "registry.db")
	s := open(t, sqlite.Options{Path: path})
	if err := fillKept(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	golden := strings.TrimSuffix(name, "db") + "golden"
	if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(golden, []byte(contents(t, s)), 0o644)); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "kept")
	if _, err := sqlite.Backup(t.Context(), sqlite.BackupOptions{Path: path, File: kept}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, read(t, kept), 0o644); err != nil {
		t.Fatal(err)
	}
}

// later are the program's migrations and some that come after them.
func later(t *testing.T, texts ...string) fs.FS {
	t.Helper()
	own, err := sqlite.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	newest, err := sqlite.NewestSchema()
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{}
	for i, text := range texts {
		dir[fmt.Sprintf("%05d_later.sql", newest+1+int64(i))] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + text)}
	}
	files, err := fs.Glob(own, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		data, err := fs.ReadFile(own, name)
		if err != nil {
			t.Fatal(err)
		}
		dir[name] = &fstest.MapFile{Data: data}
	}
	return dir
}

// TestMigrationKeepsTheRegistryBefore goes to a later schema and back.
func TestMigrationKeepsTheRegistryBefore(t *testing.T) {
	path := filled(t)
	newest, err := sqlite.NewestSchema()
	if err != nil {
		t.Fatal(err)
	}
	kept := fmt.Sprintf("%s.schema-%d", path, newest)
	const red = "ALTER TABLE jobs ADD COLUMN colour TEXT NOT NULL DEFAULT 'red';"
	next := sqlite.WithMigrations(sqlite.Options{Path: path}, later(t, red))
	next.ReadOnly = true
	if _, err := sqlite.Open(t.Context(), next); job.CodeOf(err) != job.WrongState || !strings.Contains(err.Error(), "older queuemgr") {
		t.Errorf("opened for reading: %v", err)
	}
	next.ReadOnly = false
	s, err := sqlite.Open(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	if j, err := s.Job(t.Context(), 500); err != nil || j.State != job.Queued {
		t.Errorf("job 500: %+v %v", j, err)
	}
	if _, err := s.AddJobs(t.Context(), benchAdd(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the registry before: %v %v", info, err)
	}

	// This program refuses it, changes nothing, and says how to go back.
	before := read(t, path)
	_, err = sqlite.Open(t.Context(), sqlite.Options{Path: path})
	var e *job.Error
	if !errors.As(err, &e) || !strings.Contains(e.Message, "newer queuemgr") || !strings.Contains(e.Hint, "registry restore "+kept) {
		t.Fatalf("the error is %v (%+v)", err, e)
	}
	if !bytes.Equal(read(t, path), before) {
		t.Error("the refused start has changed the registry")
	}
	done, err := sqlite.Restore(t.Context(), restoreOptions(path, kept))
	if err != nil {
		t.Fatal(err)
	}
	if done.NextID != 502 || done.HeldJobs != 500 {
		t.Errorf("going back: %+v", done)
	}
	s, err = sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(states(t, s)); n != 500 {
		t.Errorf("%d jobs are on record", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// The copy of a schema goes when that of the next one is made.
	for _, dir := range []fs.FS{later(t, red), later(t, red, "CREATE TABLE colours (name TEXT);")} {
		s, err := sqlite.Open(t.Context(), sqlite.WithMigrations(sqlite.Options{Path: path}, dir))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	copies, err := filepath.Glob(path + ".schema-*")
	if want := fmt.Sprintf("%s.schema-%d", path, newest+1); err != nil || len(copies) != 1 || copies[0] != want {
		t.Errorf("copies: %q %v, want %s alone", copies, err, want)
	}
}

// TestRestoreOfAnOlderSchema brings a backup up to date.
func TestRestoreOfAnOlderSchema(t *testing.T) {
	path, file := backedUp(t)
	newest, err := sqlite.NewestSchema()
	if err != nil {
		t.Fatal(err)
	}
	dir := later(t, "ALTER TABLE jobs ADD COLUMN colour TEXT NOT NULL DEFAULT 'red';")
	done, err := sqlite.Restore(t.Context(), sqlite.RestoreWithMigrations(restoreOptions(path, file), dir))
	if err != nil || done.OldSchema != newest {
		t.Fatalf("%+v %v", done, err)
	}
	if d := cmp.Diff(statesRestored, states(t, open(t, sqlite.WithMigrations(sqlite.Options{Path: path}, dir)))); d != "" {
		t.Errorf("restored (-want +got):\n%s", d)
	}
	for _, name := range names(t, filepath.Dir(path)) {
		if strings.Contains(name, "schema") || strings.Contains(name, "restoring") {
			t.Errorf("%s is left behind", name)
		}
	}
}

// TestOlderProgramReadsTheNumbers asks a registry as programs of schema 3 do that put their copy in its
// place: they are told the numbers that were given out, though its row has not been written since.
func TestOlderProgramReadsTheNumbers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	if err := os.WriteFile(path, read(t, keptName(3)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddJobs(t.Context(), benchAdd(5)); err != nil {
		t.Fatal(err)
	}
	wantNext, wantSeq := s.NextID(), s.Seq()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	numbers := func(query string) (next int64, seq, epoch uint64) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), query).Scan(&next, &seq, &epoch); err != nil {
			t.Fatal(err)
		}
		return next, seq, epoch
	}
	if next, seq, _ := numbers("SELECT next_job, last_seq, epoch FROM registry_row"); next >= wantNext || seq >= wantSeq {
		t.Fatalf("the row has %d, %d, of %d, %d: what the older program is told does not show", next, seq, wantNext, wantSeq)
	}
	if next, seq, epoch := numbers("SELECT next_job, last_seq, epoch FROM registry"); next != wantNext || seq != wantSeq || epoch == 0 {
		t.Errorf("the older program reads %d, %d, %d, want %d, %d and an epoch", next, seq, epoch, wantNext, wantSeq)
	}
	if err := errors.Join(db.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if done, err := sqlite.Restore(t.Context(), restoreOptions(path, path+".schema-3")); err != nil || done.NextID != wantNext || done.OldSchema != 3 {
		t.Errorf("restored: %+v %v, want the next number %d", done, err, wantNext)
	}
	s = open(t, sqlite.Options{Path: path})
	if p := benchAdd(1); s.Seq() <= wantSeq {
		t.Errorf("the last change is %d, that before was %d", s.Seq(), wantSeq)
	} else if _, err := s.AddJobs(t.Context(), p); err != nil || p.Jobs[0].Job.ID != wantNext {
		t.Errorf("the next job is %d %v, want %d", p.Jobs[0].Job.ID, err, wantNext)
	}
}

// TestFailedMigration leaves the registry as it was.
func TestFailedMigration(t *testing.T) {
	path := filled(t)
	o := sqlite.WithMigrations(sqlite.Options{Path: path}, later(t, "ALTER TABLE jobs ADD COLUMN colour TEXT; ALTER TABLE nothing ADD COLUMN x;"))
	if _, err := sqlite.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), path+".schema-") {
		t.Errorf("the error is %v", err)
	}
	if n := len(states(t, open(t, sqlite.Options{Path: path}))); n != 500 {
		t.Errorf("%d jobs are on record", n)
	}
}
