package runner

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// TestRewriteKeepsRoom: the ends of jobs that run must find place although no job starts any more.
func TestRewriteKeepsRoom(t *testing.T) {
	for _, newID := range []bool{false, true} {
		j := openJournal(t, newHome(t).journal())
		if err := j.Rewrite([]*runRecord{{Intent: intent{RunID: "a"}}}, newID); err != nil {
			t.Fatal(err)
		}
		info, err := j.f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if j.noReserve {
			t.Skip("the file system cannot reserve")
		}
		const block = 512 // bytes, of st_blocks
		room := info.Sys().(*syscall.Stat_t).Blocks * block
		if j.reserved < j.size+reserveSize || room < j.size+reserveSize || info.Size() != j.size {
			t.Errorf("reserved %d, allocated %d, size %d of %d", j.reserved, room, info.Size(), j.size)
		}
		closeJournal(t, j)
	}
}

func TestReplaceFileWithoutRoom(t *testing.T) {
	path := write(t, newHome(t).journal(), "old", 0o600)
	_, err := replaceFile(path, []byte("new"), func(*os.File) error { return syscall.ENOSPC })
	if !errors.Is(err, syscall.ENOSPC) || string(read(t, path)) != "old" {
		t.Errorf("%v, %q", err, read(t, path))
	}
	if _, err := os.Stat(path + ".new"); !os.IsNotExist(err) {
		t.Errorf("left behind: %v", err)
	}
}

// TestSyncIsNotForgotten: what could not be written while the daemon is away is synced when it is.
func TestSyncIsNotForgotten(t *testing.T) {
	for name, away := range map[string]bool{"away": true, "just leaving": false} {
		c := newCoreTest(t)
		c.tell(starts("a"))
		c.spawn(10)
		c.HandleClosed(c.peer)
		if away {
			c.after(syncAfter)
		}
		writable := c.fill()
		c.end("a", 1)
		if !away {
			c.after(syncAfter)
		}
		for range 3 {
			if !c.staged.sync {
				t.Errorf("%s: the sync is forgotten", name)
			}
			c.after(retryAfter)
		}
		writable()
		c.after(retryAfter)
		if c.staged.sync || c.unwritten {
			t.Errorf("%s: sync %v, unwritten %v", name, c.staged.sync, c.unwritten)
		}
	}
}
