package cli

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

// daemonLog is daemon.log, open for appending. Any goroutine may write.
type daemonLog struct {
	path     string
	standard bool // it is standard error: what the Go runtime says at a crash goes there too

	mu sync.Mutex
	f  *os.File
}

func openDaemonLog(c *config.Config) (*daemonLog, error) {
	if !c.Paths.System { // the system's folders are an installation's: a daemon that lacks them says so
		if err := os.MkdirAll(c.Paths.Log, 0o700); err != nil {
			return nil, openError("home", c.Paths.Log, err)
		}
	}
	f, err := openLogFile(c.Paths.DaemonLog())
	if c.Paths.System && errors.Is(err, os.ErrNotExist) {
		return nil, &job.Error{Code: job.WrongState, Err: err, Message: c.Paths.Log + " of the system's service is missing",
			Hint: "this repairs it: sudo queuemgr service install"}
	}
	if err != nil {
		return nil, openError("home", c.Paths.DaemonLog(), err)
	}
	if c.Paths.System {
		if err := giveLog(f, c.Paths.Log); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return &daemonLog{path: c.Paths.DaemonLog(), f: f}, nil
}

func openLogFile(path string) (*os.File, error) {
	// Root may open it in another user's folder: a link there must not have it write elsewhere.
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
}

// giveLog lets a log that root has made belong to whom its folder does: the daemon that systemd
// starts is that user's.
func giveLog(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

// Write implements io.Writer.
func (l *daemonLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Write(p)
}

// Reopen implements DaemonLog. What can't be opened leaves the log where it is.
func (l *daemonLog) Reopen() error {
	f, err := openLogFile(l.path)
	if err != nil {
		return openError("home", l.path, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.standard {
		return errors.Join(unix.Dup3(int(f.Fd()), unix.Stderr, 0), f.Close())
	}
	old := l.f
	l.f = f
	return old.Close()
}

// Close closes the file.
func (l *daemonLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}
