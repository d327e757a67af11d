package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/queuemgr/queuemgr/job"
	"golang.org/x/sys/unix"
)

// ListenGroup is Listen for a socket that the members of a group may connect to as well (mode 0660):
// who may use the service of a machine.
func ListenGroup(path string, gid int) (net.Listener, error) {
	l, err := Listen(path)
	if err != nil {
		return nil, err
	}
	// The group first: that of the daemon must never have what the other is given.
	if err := errors.Join(os.Chown(path, -1, gid), os.Chmod(path, 0o660)); err != nil {
		return nil, errors.Join(fmt.Errorf("give the socket to its group: %w", err), l.Close())
	}
	return l, nil
}

// Listen listens on a unix socket at path that only its own user may connect to (mode 0600). It
// replaces a socket that is there already: only who holds the home's lock may call it, and then no
// daemon can be behind that socket. Closing the listener removes the socket.
//
// Errors: Invalid for a path that is too long or is no socket.
func Listen(path string) (net.Listener, error) {
	if len(path) > job.MaxSocketPath {
		return nil, &job.Error{Code: job.Invalid, Message: fmt.Sprintf("the socket's path is %d bytes long, Linux takes at most %d: %s", len(path), job.MaxSocketPath, path),
			Hint: "use a home with a shorter path (--home or QUEUEMGR_HOME)"}
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("look at the socket's path: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, &job.Error{Code: job.Invalid, Message: path + " is there and is no socket", Hint: "move it away, or use another home"}
	default:
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove the socket of a daemon that is gone: %w", err)
		}
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var modeErr error
		// Before bind(2), which gives the file this mode: so that it never has another.
		err := c.Control(func(fd uintptr) { modeErr = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, modeErr)
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on the socket: %w", err)
	}
	return l, nil
}
