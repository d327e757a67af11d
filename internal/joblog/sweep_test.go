package joblog_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/queuemgr/queuemgr/internal/joblog"
)

// touch makes files under dir, with their folders.
func touch(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

// tree returns every file, and every folder that is empty, under dir.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			entries, err := os.ReadDir(path)
			if err != nil || len(entries) > 0 {
				return err
			}
		}
		rel, err := filepath.Rel(dir, path)
		found = append(found, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// record is a registry with these jobs.
func record(ids ...int64) func(context.Context, int64, int64) ([]int64, error) {
	return func(_ context.Context, from, to int64) (some []int64, err error) {
		for _, id := range ids {
			if from <= id && id <= to {
				some = append(some, id)
			}
		}
		return some, nil
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	kept := []string{
		"0/7.1.log", "0/7.2.err.log", // on record
		"2/2500.1.log", "2/2999.1.log", // not given out yet when the sweep began
		"3/3001.1.log",
		"0/007.1.log", "0/8.1.log.gz", "0/8.x.log", "0/notes", "0/1008.1.log", "00/8.1.log", "-1/8.1.log", "x/8.1.log", "8.1.log", // not ours
		"5", // a file where a folder would be
	}
	touch(t, dir, kept...)
	touch(t, dir, "0/8.1.log", "0/8.3.log", "0/8.3.err.log", "0/999.1.log", // purged
		"1/1000.1.log", "1/1999.12.log", // the whole folder
		"2/2000.1.log")
	removed, err := joblog.Sweep(t.Context(), dir, 2500, record(7))
	if err != nil || removed != 7 {
		t.Errorf("removed %d, %v; want 7", removed, err)
	}
	slices.Sort(kept)
	if left := tree(t, dir); !slices.Equal(left, kept) {
		t.Errorf("left  %q\nwant %q", left, kept)
	}
	if removed, err = joblog.Sweep(t.Context(), dir, 2500, record(7)); removed != 0 || err != nil {
		t.Errorf("again: removed %d, %v", removed, err)
	}
	if removed, err = joblog.Sweep(t.Context(), filepath.Join(dir, "none"), 2500, record()); removed != 0 || err != nil {
		t.Errorf("no folder: removed %d, %v", removed, err)
	}
}

// TestSweepBesideOthers has retention remove a log, and a job that was added meanwhile write one,
// between the sweep's looks at the folder and at the record.
func TestSweepBesideOthers(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "0/7.1.log", "0/8.1.log")
	removed, err := joblog.Sweep(t.Context(), dir, 9, func(context.Context, int64, int64) ([]int64, error) {
		touch(t, dir, "0/9.1.log")
		return []int64{9}, joblog.Remove(dir, 7, 1)
	})
	if err != nil || removed != 1 {
		t.Errorf("removed %d, %v; want 1", removed, err)
	}
	if left := tree(t, dir); !slices.Equal(left, []string{"0/9.1.log"}) {
		t.Errorf("left %q", left)
	}
}

// TestSweepGoesOn sees the failure of one folder keep none of the others from being swept, and
// nothing removed where the record can't be read.
func TestSweepGoesOn(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "0/7.1.log", "1/1007.1.log", "2/2007.1.log")
	broken := errors.New("no record")
	removed, err := joblog.Sweep(t.Context(), dir, 5000, func(_ context.Context, from, _ int64) ([]int64, error) {
		if from == 1000 {
			return nil, broken
		}
		return nil, nil
	})
	if !errors.Is(err, broken) || removed != 2 {
		t.Errorf("removed %d, %v; want 2", removed, err)
	}
	if left := tree(t, dir); !slices.Equal(left, []string{"1/1007.1.log"}) {
		t.Errorf("left %q", left)
	}
}

func TestSweepEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "0/7.1.log", "1/1007.1.log", "2/2007.1.log")
	ctx, cancel := context.WithCancel(t.Context())
	removed, err := joblog.Sweep(ctx, dir, 5000, func(context.Context, int64, int64) ([]int64, error) {
		cancel()
		return nil, nil
	})
	if !errors.Is(err, context.Canceled) || removed != 1 {
		t.Errorf("removed %d, %v; want 1", removed, err)
	}
}
