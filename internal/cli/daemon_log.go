package cli

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/config"
)

// daemonLog is daemon.log, open for appending. Any goroutine may write.
type daemonLog struct {
	path     string
	standard bool // it is standard error: what the Go runtime says at a crash goes there too

	mu sync.Mutex
	f  *os.File
}

func openDaemonLog(c *config.Config) (*daemonLog, error) {
	if err := os.MkdirAll(c.Paths.Log, 0o700); err != nil {
		return nil, openError("home", c.Paths.Log, err)
	}
	f, err := openLogFile(c.Paths.DaemonLog())
	if err != nil {
		return nil, openError("home", c.Paths.DaemonLog(), err)
	}
	return &daemonLog{path: c.Paths.DaemonLog(), f: f}, nil
}

func openLogFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
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
