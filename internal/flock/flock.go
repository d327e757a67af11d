// Package flock tells which process holds the lock on a file. It reads the kernel's list of locks and tries
// none: whoever tried it could keep a daemon from starting.
package flock

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/queuemgr/queuemgr/internal/regular"
)

// Table is the kernel's list of locks.
const Table = "/proc/locks"

// Holder returns the process that holds the flock of the file called name, as table has it: 0 for none, -1 where
// that can't be known. Where the file has the number of who took it, as ours have, and may be read, it must be that one.
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
	for _, pid := range holders(string(held), st.Ino) {
		if err != nil || pid == number {
			return pid
		}
	}
	return 0
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
