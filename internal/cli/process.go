package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// process is a pidfd: it means one process whatever becomes of its number.
type process struct{ fd, pid int }

// openProcess returns the process, also when it has ended already.
func openProcess(pid int) (process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return process{fd: -1, pid: pid}, nil
	case err != nil:
		return process{}, fmt.Errorf("watching process %d: %w", pid, err)
	}
	return process{fd: fd, pid: pid}, nil
}

func (p process) close() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd) // holds nothing that could be lost
	}
}

// await waits until the process has ended, at most for limit, and reports whether it has.
func (p process) await(ctx context.Context, limit time.Duration) (bool, error) {
	if p.fd < 0 {
		return true, nil
	}
	wake, err := newWaker(ctx)
	if err != nil {
		return false, err
	}
	defer wake.close()
	for deadline := time.Now().Add(limit); ; {
		left := max(time.Until(deadline), 0)
		fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}, {Fd: int32(wake.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int((left+time.Millisecond-1)/time.Millisecond))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return false, fmt.Errorf("waiting for process %d: %w", p.pid, err)
		case n > 0 && fds[0].Revents != 0:
			return true, nil
		case ctx.Err() != nil:
			return false, ctx.Err()
		case n == 0:
			return false, nil
		}
	}
}
