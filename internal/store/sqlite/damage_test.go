package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// filled makes a registry with some jobs and returns its path.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registry.db")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddJobs(t.Context(), benchAdd(500)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDamageIsRefusedAndLeftAlone(t *testing.T) {
	cases := []struct {
		name   string
		damage func(t *testing.T, path string, b []byte) []byte
		says   string
	}{
		{"empty", func(*testing.T, string, []byte) []byte { return nil }, "0 bytes"},
		{"no database", func(*testing.T, string, []byte) []byte { return bytes.Repeat([]byte("hello "), 100) }, "no SQLite database"},
		{"cut off", func(_ *testing.T, _ string, b []byte) []byte { return b[:len(b)/2] }, "cut off"},
		{"a page overwritten", func(_ *testing.T, _ string, b []byte) []byte {
			for i := 3 * 4096; i < 40*4096; i++ {
				b[i] = 0xa5
			}
			return b
		}, "damaged: what it holds does not fit together (SQLite: "},
		{"another program's", func(t *testing.T, path string, _ []byte) []byte {
			t.Helper()
			other := path + ".other"
			db, err := sql.Open("sqlite", other)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), "CREATE TABLE recipes (name)"); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(other)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}, "another program"},
	}
	for _, c := range cases {
		for _, readOnly := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				path := filled(t)
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				b = c.damage(t, path, b)
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				_, err = sqlite.Open(t.Context(), sqlite.Options{Path: path, ReadOnly: readOnly})
				var e *job.Error
				if !errors.As(err, &e) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.says) || !strings.Contains(e.Hint, "registry import") {
					t.Errorf("the error is %v", err)
				}
				after, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(b, after) {
					t.Error("the file was changed")
				}
			})
		}
	}
}

func TestDamageMetLater(t *testing.T) {
	path := filled(t)
	s := open(t, sqlite.Options{Path: path})
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, 60*4096), 3*4096); err != nil {
		t.Fatal(err)
	}
	_, err = s.ListJobs(t.Context(), job.Filter{Limit: 1000})
	var e *job.Error
	if !errors.As(err, &e) || !strings.Contains(e.Hint, "registry import") {
		t.Errorf("the error is %v", err)
	}
}

func TestLogWithoutRegistry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	if err := os.WriteFile(path+"-wal", []byte("the last jobs"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err == nil || !strings.Contains(err.Error(), "-wal") {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a new registry was made")
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filled(t)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err == nil || !strings.Contains(err.Error(), "newer queuemgr") {
		t.Errorf("the error is %v", err)
	}
}

// TestGlance looks at a registry at which a daemon is at work, and at one that is damaged: nothing beside it is made or touched.
// TestPipe: a pipe in the registry's place holds nobody.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := sqlite.Glance(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("a glance at a pipe: %v", err)
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Options{Path: path}); err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("a pipe is opened: %v", err)
	}
}

func TestGlance(t *testing.T) {
	path := filled(t)
	list := func() string {
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, e.Name()+" "+info.ModTime().String())
		}
		return strings.Join(names, "\n")
	}
	before := list()
	schema, knows, err := sqlite.Glance(t.Context(), path)
	if err != nil || schema < 1 || schema != knows {
		t.Errorf("schema %d, known %d, %v", schema, knows, err)
	}
	if now := list(); now != before {
		t.Errorf("files were\n%s\nare\n%s", before, now)
	}
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddJobs(t.Context(), benchAdd(5)); err != nil {
		t.Fatal(err)
	}
	before = list()
	if got, _, err := sqlite.Glance(t.Context(), path); got != schema || err != nil {
		t.Errorf("beside a daemon: schema %d, %v", got, err)
	}
	if now := list(); now != before {
		t.Errorf("files of a daemon were\n%s\nare\n%s", before, now)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sqlite.Glance(t.Context(), path); err == nil || !strings.Contains(err.Error(), "only 5 bytes long") {
		t.Errorf("of a damaged one: %v", err)
	}
	if _, _, err := sqlite.Glance(t.Context(), path+"-none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of none: %v", err)
	}
}

func TestFolderMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone", "registry.db")
	_, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if job.CodeOf(err) != job.Internal || !strings.Contains(err.Error(), path) {
		t.Errorf("the error is %v", err)
	}
	_, err = sqlite.Open(t.Context(), sqlite.Options{Path: path, ReadOnly: true})
	if job.CodeOf(err) != job.NotFound {
		t.Errorf("the error is %v", err)
	}
}
