package runner

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
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

	// With a notify socket. It lies in the same epoll, and ends and datagrams come out of that in the order
	// they happened: who handles what was sent before what has ended has all that an ended process said,
	// and a process that said nothing costs no system call.
	hear  *hearing
	wake  int         // eventfd: read the socket, somebody waits for that
	asked atomic.Bool // by ask

	mu     sync.Mutex // guards closed
	closed bool
}

// Tokens of the poller's own.
const (
	wakeToken   = ^uint64(0)
	socketToken = wakeToken - 1
)

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
	if p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, errors.Join(fmt.Errorf("eventfd: %w", err), p.file.Close())
	}
	return p, nil
}

// listen begins to poll, the notify socket with it.
func (p *poller) listen(h *hearing) error {
	p.hear, h.again = h, p.ask
	err := p.control(unix.EPOLL_CTL_ADD, p.wake, unix.EPOLLIN, wakeToken)
	if err == nil {
		err = p.control(unix.EPOLL_CTL_ADD, h.fd, unix.EPOLLIN, socketToken)
	}
	if err != nil {
		return err
	}
	p.done.Go(p.loop)
	return nil
}

func (p *poller) control(op, fd int, events uint32, token uint64) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(token), Pad: int32(token >> 32)}
	if err := unix.EpollCtl(p.fd, op, fd, &ev); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// ask has the socket read; HandleHeard answers. Asked twice before that is answered once or twice.
func (p *poller) ask() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.asked.Store(true)
	one := [8]byte{0: 1}
	if _, err := unix.Write(p.wake, one[:]); err != nil && !errors.Is(err, unix.EAGAIN) {
		p.hear.log.Error("wake the reader of the notify socket", "error", err)
	}
}

// add reports token once when fd becomes readable.
func (p *poller) add(fd int, token uint64) error {
	err := p.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|unix.EPOLLONESHOT, token)
	if errors.Is(err, unix.EEXIST) {
		err = p.control(unix.EPOLL_CTL_MOD, fd, unix.EPOLLIN|unix.EPOLLONESHOT, token)
	}
	return err
}

// remove forgets fd, which must happen before it is closed: a fork may have a copy of it open.
func (p *poller) remove(fd int) {
	// It may not have been added; then there is nothing to forget.
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil)
}

func (p *poller) loop() {
	events := make([]unix.EpollEvent, 256)
	deaf := false // the socket is not in the epoll
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
		var said, asked bool
		tokens := make([]uint64, 0, n)
		for _, ev := range events[:n] {
			switch token := uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32; token {
			case socketToken:
				said = true
			case wakeToken:
				var count [8]byte
				_, _ = unix.Read(p.wake, count[:]) // only to empty it
				asked = p.asked.Swap(false)
			default:
				tokens = append(tokens, token)
			}
		}
		deaf = p.listenAgain(deaf)
		if said || asked {
			if deaf = !p.hear.read(); deaf {
				p.remove(p.hear.fd) // else it would be ready for ever
			}
		}
		if asked && !deaf {
			p.post(func(c *Core) { c.HandleHeard() })
		}
		if len(tokens) > 0 {
			p.post(func(c *Core) { c.HandleReady(tokens) })
		}
	}
}

// listenAgain takes the socket into the epoll again when somebody can read it.
func (p *poller) listenAgain(deaf bool) bool {
	if !deaf || p.hear.held.Load() >= maxReaders {
		return deaf
	}
	if err := p.control(unix.EPOLL_CTL_ADD, p.hear.fd, unix.EPOLLIN, socketToken); err != nil {
		p.hear.log.Error("go on reading the notify socket", "error", err)
		return true
	}
	return false
}

func (p *poller) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.file.Close()
	p.done.Wait()
	return errors.Join(err, unix.Close(p.wake))
}
