package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

// TestFullDisk fills the file system of a home while a job runs: additions are refused, the job
// goes on, its exit is recorded all the same, and everything recovers by itself.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	t.Parallel()
	mount := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(mount, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mount, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	h := homeIn(t, filepath.Join(mount, "h"))
	h.write("config.toml", "min_free_space = \"8MiB\"\n")
	h.start()
	g := newGates(h)
	running := []int64{h.add("--", "sh", "-c", g.script("exit 5")), h.add("--", "sh", "-c", g.script("exit 5"))}
	g.arrived.line()
	g.arrived.line()

	filler := filepath.Join(mount, "filler")
	fill(t, filler, 6<<20) // below the floor, far from full
	h.refused(1, []string{"space", "must stay free"}, "job", "add", "--", "true")
	fill(t, filler, 0)
	h.refused(1, []string{"space"}, "job", "add", "--", "true")
	g.gate.release(2)
	for _, id := range running {
		if code := h.wait(id); code != 5 {
			t.Errorf("job wait on a full disk exits %d, want 5", code)
		}
	}
	// What is on record on the full disk is still there after a crash.
	h.kill()
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	h.start()
	for _, id := range running {
		h.wantEnd(id, job.Failed, job.ReasonExit, 5)
	}
	fill(t, filler, 0)
	h.refused(1, []string{"space"}, "job", "add", "--", "true")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if code := h.wait(h.add("--", "true")); code != 0 {
		t.Errorf("a job with room again exits %d", code)
	}
}

// fill appends to a file until only so many bytes are free on its disk; with 0 not one more goes
// onto it.
func fill(t *testing.T, path string, leave uint64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		var disk syscall.Statfs_t
		if err := syscall.Fstatfs(int(f.Fd()), &disk); err != nil {
			t.Fatal(err)
		}
		if leave > 0 && disk.Bavail*uint64(disk.Bsize) <= leave {
			return
		}
		_, err := f.Write(make([]byte, size))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			t.Fatal(err)
		}
	}
}
