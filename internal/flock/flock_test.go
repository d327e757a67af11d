package flock

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHolder compares what the kernel says of a real lock with who holds it.
func TestHolder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	is := func(when string, want int) {
		t.Helper()
		if got := Holder(name, Table); got != want {
			t.Errorf("%s the holder is %d, want %d", when, got, want)
		}
	}
	is("without a file", 0)
	if err := os.WriteFile(name, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	is("without a lock", 0)
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	is("with the lock", os.Getpid())
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	is("without a number", os.Getpid())
	if err := os.WriteFile(name, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	is("with the number of another", 0)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	is("after the lock", 0)
	if got := Holder(name, filepath.Join(t.TempDir(), "none")); got != -1 {
		t.Errorf("without the kernel's list the holder is %d", got)
	}
}

// TestWaiting: who waits for a lock does not hold it.
func TestWaiting(t *testing.T) {
	dir := t.TempDir()
	name, table := filepath.Join(dir, "lock"), filepath.Join(dir, "locks")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("1: POSIX  ADVISORY  WRITE 3 fe:00:%d 0 EOF\n2: -> FLOCK ADVISORY WRITE 5 fe:00:%[1]d 0 EOF\n3: FLOCK  ADVISORY  WRITE 7 00:2a:%[1]d 0 EOF\n", st.Ino)
	if err := os.WriteFile(table, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opened := filepath.Join(dir, "7", "fd")
	if err := os.MkdirAll(opened, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(name, filepath.Join(opened, "3")); err != nil {
		t.Fatal(err)
	}
	if got := Holder(name, table); got != 7 {
		t.Errorf("the holder is %d, want 7", got)
	}
}

// TestAnotherFile: a process that holds the lock of a file with the same number on another disk is not named,
// however little the file itself tells.
func TestAnotherFile(t *testing.T) {
	dir := t.TempDir()
	name, other, table := filepath.Join(dir, "lock"), filepath.Join(dir, "other", "lock"), filepath.Join(dir, "locks")
	opened := filepath.Join(dir, "7", "fd")
	for _, dir := range []string{filepath.Dir(other), opened} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{name, other} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var st syscall.Stat_t
	if err := syscall.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(table, fmt.Appendf(nil, "1: FLOCK  ADVISORY  WRITE 7 00:2a:%d 0 EOF\n", st.Ino), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(opened, "3")); err != nil {
		t.Fatal(err)
	}
	if got := Holder(name, table); got != 0 {
		t.Errorf("the holder is %d, want none", got)
	}
	// What a process has open may not be known.
	if err := os.RemoveAll(opened); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(opened, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Holder(name, table); got != -1 {
		t.Errorf("of a process of another user the holder is %d, want -1", got)
	}
}
