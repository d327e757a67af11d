package runner

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/queuemgr/queuemgr/internal/crashpoint"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// peer is one connection. A goroutine reads, another writes what Send queued.
type peer struct {
	conn *wire.Conn
	log  *slog.Logger

	mu    sync.Mutex // guards what follows
	more  sync.Cond
	queue []*wire.Message
	// reports holds the newest of each run: however long the daemon does not read, there are no more.
	reports map[string]wire.Report
	closed  bool
}

func newPeer(nc net.Conn, log *slog.Logger) *peer {
	p := &peer{conn: wire.NewConn(nc), log: log}
	p.more.L = &p.mu
	return p
}

// Send implements Peer.
func (p *peer) Send(m *wire.Message) {
	p.mu.Lock()
	if !p.closed {
		p.take(m)
	}
	p.mu.Unlock()
	p.more.Signal()
}

func (p *peer) take(m *wire.Message) {
	for _, rep := range m.Reports {
		if p.reports == nil {
			p.reports = map[string]wire.Report{}
		}
		p.reports[rep.RunID] = rep
	}
	if m.Reports != nil {
		return
	}
	p.queue = append(p.queue, m)
	if len(p.reports) == 0 {
		return
	}
	for i := range m.Events {
		if e := &m.Events[i]; e.Kind == wire.Exited {
			delete(p.reports, e.RunID) // it comes with the end
		}
	}
}

// reportMessages puts reports into messages.
func reportMessages(reports map[string]wire.Report) []*wire.Message {
	var s staged
	for _, rep := range reports {
		s.report(&rep)
	}
	return s.out
}

// Close implements Peer.
func (p *peer) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.more.Signal()
}

// abort closes the connection whatever is still to be sent.
func (p *peer) abort() {
	p.Close()
	if err := p.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		p.log.Warn("close the connection to the daemon", "error", err)
	}
}

// write sends what is queued until the peer is closed, then closes the connection.
func (p *peer) write() {
	defer p.abort()
	for {
		p.mu.Lock()
		for len(p.queue) == 0 && len(p.reports) == 0 && !p.closed {
			p.more.Wait()
		}
		batch := append(merge(p.queue), reportMessages(p.reports)...)
		p.queue, p.reports = nil, nil
		closed := p.closed
		p.mu.Unlock()
		for _, m := range batch {
			if err := p.conn.Send(m); err != nil {
				p.log.Warn("send to the daemon", "error", err)
				return
			}
			if m.Events != nil {
				crashpoint.Here("runner.after-deliver")
			}
		}
		if closed {
			return
		}
	}
}

// merge joins neighbouring messages of events: while one is sent, more gather.
func merge(queue []*wire.Message) []*wire.Message {
	var out []*wire.Message
	last := 0 // size of the events in the last of out
	for _, m := range queue {
		size := 0
		for i := range m.Events {
			size += eventSize(&m.Events[i])
		}
		if n := len(out); n > 0 && m.Events != nil && out[n-1].Events != nil &&
			len(out[n-1].Events)+len(m.Events) <= maxEvents && last+size <= maxEventSize {
			out[n-1].Events = append(out[n-1].Events, m.Events...)
			last += size
			continue
		}
		out = append(out, m)
		last = size
	}
	return out
}

// read hands messages to the core until the connection ends. What is not a message ends it.
func (p *peer) read(post func(func(*Core))) {
	known := false
	for {
		m, err := p.conn.Receive()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				p.log.Warn("receive from the daemon", "error", err)
			}
			break
		}
		if !known {
			if m.Hello == nil {
				p.log.Warn("a connection did not begin with hello")
				break
			}
			known = true
			post(func(c *Core) { c.HandleHello(p, m.Hello) })
			continue
		}
		post(func(c *Core) { c.HandleMessage(p, m) })
	}
	p.Close()
	if known {
		post(func(c *Core) { c.HandleClosed(p) })
	}
}

// peerUID returns the user at the other end.
func peerUID(nc *net.UnixConn) (uint32, error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(cerr, err); err != nil {
		return 0, err
	}
	return cred.Uid, nil
}
