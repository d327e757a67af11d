// Package flock tells which process holds the lock on a file. It reads the kernel's list of locks and tries
// none: whoever tried it could keep a daemon from starting.
package flock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/queuemgr/queuemgr/internal/regular"
)

// Table is the kernel's list of locks.
const Table = "/proc/locks"

// Holder returns the process that holds the flock of the file called name, as table has it: 0 for none, -1 where
// that can't be known. Where the file has the number of who took it, as ours have, and may be read, it must be that
// one; else one that has the file open: the number of a file, by which table names it, may be that of another
// file on another disk.
func Holder(name, table string) int {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		return -1
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	held, err := regular.ReadFile(table)
	if err != nil {
		return -1
	}
	// A lock that nobody holds has no number that means anything; one that may not be read has none for us.
	text, _ := regular.ReadFile(name)
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	unknown := 0
	for _, pid := range holders(string(held), st.Ino) {
		if err == nil {
			if pid == number {
				return pid
			}
			continue
		}
		switch opened, told := hasOpen(filepath.Dir(table), pid, info); {
		case opened:
			return pid
		case !told:
			unknown = -1
		}
	}
	return unknown
}

// hasOpen reports whether a process has a file open, and whether that could be told: of other users' only root may know.
func hasOpen(proc string, pid int, file fs.FileInfo) (opened, told bool) {
	dir := filepath.Join(proc, strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, errors.Is(err, fs.ErrNotExist) // it has ended
	}
	told = true
	for _, e := range entries {
		// A descriptor of another file on a file server that is gone must not be waited for: only ours is looked at.
		name := filepath.Join(dir, e.Name())
		target, err := os.Readlink(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // closed meanwhile
			continue
		case err != nil:
			told = false
			continue
		case filepath.Base(target) != file.Name():
			continue
		}
		if other, err := os.Stat(name); err == nil && os.SameFile(file, other) {
			return true, true
		}
	}
	return false, told
}

// holders finds who holds an inode's flock. Lines are
// ID: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END. The device is not compared: btrfs and overlayfs show
// another one there than stat does.
func holders(table string, inode uint64) (pids []int) {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "FLOCK" || !strings.HasSuffix(f[5], ":"+strconv.FormatUint(inode, 10)) {
			continue // those that wait have an arrow in the second place
		}
		if pid, err := strconv.Atoi(f[4]); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}
