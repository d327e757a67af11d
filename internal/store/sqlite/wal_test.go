package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/store/sqlite"
)

// TestLogPrepared checks that commits overwrite a log of full size from the first one on, unless
// that room is not there to be taken.
func TestLogPrepared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &st); err != nil {
		t.Fatal(err)
	}
	free := int64(st.Bavail) * st.Bsize
	const full = 16 << 20 // what the log holds before it is taken in
	size := func() int64 {
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}

	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, MinFree: free})
	if err != nil {
		t.Fatal(err)
	}
	if n := size(); n >= full {
		t.Errorf("the log takes %d bytes of a disk that has none to spare", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, sqlite.Options{Path: path})
	before := size()
	if before < full {
		t.Fatalf("%d bytes of the log are prepared, want at least %d", before, full)
	}
	for range 100 {
		if _, err := s.AddJobs(t.Context(), benchAdd(1)); err != nil {
			t.Fatal(err)
		}
	}
	if after := size(); after != before {
		t.Errorf("commits changed the log's size from %d to %d", before, after)
	}
	// As a crash leaves it: zeros follow the last frame.
	kept := filepath.Join(t.TempDir(), "registry.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(kept+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := open(t, sqlite.Options{Path: kept}).NextID(); n != 101 {
		t.Errorf("after a crash the next job would have number %d, want 101", n)
	}
}
