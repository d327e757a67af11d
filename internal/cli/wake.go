package cli

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// waker is a descriptor that becomes readable when a context ends: for poll(2).
type waker struct {
	fd     int
	stop   func() bool
	called chan struct{}
}

func newWaker(ctx context.Context) (*waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("making an event descriptor: %w", err)
	}
	w := &waker{fd: fd, called: make(chan struct{})}
	w.stop = context.AfterFunc(ctx, func() {
		defer close(w.called)
		_, _ = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // cannot fail: the counter is 0
	})
	return w, nil
}

// close lets the descriptor go, once nobody writes to it.
func (w *waker) close() {
	if !w.stop() {
		<-w.called
	}
	_ = unix.Close(w.fd) // holds nothing that could be lost
}
