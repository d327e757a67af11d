package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// HeldError says that another runner is at work.
type HeldError struct {
	Path string
	PID  int // 0 when the lock file does not say
}

// Error implements error.
func (e *HeldError) Error() string {
	return fmt.Sprintf("another runner (pid %d) holds the lock %s; this one does not start", e.PID, e.Path)
}

const (
	// A runner that was killed can seem to hold its lock for a moment: a child that it was about to
	// start has a copy until it execs. So having the lock also shows that no fork is under way.
	lockPatience = 5 * time.Second
	lockWait     = 5 * time.Millisecond
)

// takeLock locks path for as long as the file is open and writes our pid into it.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the runner's lock file: %w", err)
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write the runner's lock file: %w", err), f.Close())
	}
	return f, nil
}

func lock(f *os.File) error {
	for until := time.Now().Add(lockPatience); ; time.Sleep(lockWait) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		pid := lockPID(f)
		if pid > 0 && unix.Kill(pid, 0) == nil && !isZombie(pid) || time.Now().After(until) {
			return &HeldError{Path: f.Name(), PID: pid}
		}
	}
}

func lockPID(f *os.File) int {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

func isZombie(pid int) bool {
	var p procfs
	info, err := p.stat(pid)
	return err == nil && info.Zombie
}
