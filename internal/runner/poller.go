package runner

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller waits for processes to end. Its epoll descriptor is itself waited for by the Go runtime,
// so that no thread is held and closing it ends the wait.
type poller struct {
	fd   int
	file *os.File
	raw  syscall.RawConn
	post func(func(*Core))
	done sync.WaitGroup
}

func newPoller(post func(func(*Core))) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("epoll: %w", err), unix.Close(fd))
	}
	p := &poller{fd: fd, file: os.NewFile(uintptr(fd), "epoll"), post: post}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("epoll: %w", err), p.file.Close())
	}
	p.done.Go(p.loop)
	return p, nil
}

// add reports token once when fd becomes readable.
func (p *poller) add(fd int, token uint64) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(token), Pad: int32(token >> 32)}
	err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev)
	if errors.Is(err, unix.EEXIST) {
		err = unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &ev)
	}
	if err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// remove forgets fd, which must happen before it is closed: a fork may have a copy of it open.
func (p *poller) remove(fd int) {
	// It may not have been added; then there is nothing to forget.
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil)
}

func (p *poller) loop() {
	events := make([]unix.EpollEvent, 256)
	for {
		var n int
		var err error
		rerr := p.raw.Read(func(uintptr) bool {
			for {
				n, err = unix.EpollWait(p.fd, events, 0)
				if !errors.Is(err, unix.EINTR) {
					return n != 0 || err != nil
				}
			}
		})
		if rerr != nil || err != nil {
			return // closed
		}
		tokens := make([]uint64, n)
		for i, ev := range events[:n] {
			tokens[i] = uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32
		}
		p.post(func(c *Core) { c.HandleReady(tokens) })
	}
}

func (p *poller) close() error {
	err := p.file.Close()
	p.done.Wait()
	return err
}
