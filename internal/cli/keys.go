package cli

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// awaitQuit returns when q or Ctrl-C is typed on a terminal in raw mode, when it is gone, or when
// ctx ends.
func awaitQuit(ctx context.Context, keys *os.File) {
	wake, err := newWaker(ctx)
	if err != nil {
		<-ctx.Done() // no keys then; SIGTERM ends it
		return
	}
	defer wake.close()
	fd := int(keys.Fd())
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(wake.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if ctx.Err() != nil {
			return
		}
		if fds[0].Revents == 0 {
			continue
		}
		var typed [64]byte
		n, err := unix.Read(fd, typed[:])
		if err != nil && !errors.Is(err, unix.EINTR) || n == 0 {
			return
		}
		for _, key := range typed[:max(n, 0)] {
			if key == 'q' || key == 'Q' || key == 3 || key == 4 {
				return
			}
		}
	}
}
