package queuemgr

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/job"
)

// homeLock is held by who may write a registry: a daemon, or a command that works without one.
// The kernel lets it go when the process ends, however it ends.
type homeLock struct{ f *os.File }

// lockHome takes the lock or says who holds it.
func lockHome(path string) (*homeLock, error) {
	// A command of root takes it in another user's folder: a link there must not have it write elsewhere.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the registry's lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, readErr := io.ReadAll(io.LimitReader(f, 32))
		who := "another process"
		if pid := strings.TrimSpace(string(holder)); readErr == nil && pid != "" {
			who = "process " + pid
		}
		return nil, errors.Join(&job.Error{Code: job.Conflict, Message: fmt.Sprintf("a daemon or a registry command is at work here already: %s holds the registry already (lock %s)", who, path),
			Hint: "use the daemon that runs, stop it with `queuemgr daemon stop`, or give another --home"}, f.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	if err := giveToOwner(f, filepath.Dir(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("give %s to its folder's owner: %w", path, err), f.Close())
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close())
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close())
	}
	return &homeLock{f}, nil
}

// unlock lets the registry go.
func (l *homeLock) unlock() error { return l.f.Close() }
