package httpapi

import (
	"net"
	"net/netip"
	"sync"
)

// Most connections over TCP: all together, and from one address. A connection costs its peer next to
// nothing, and here a descriptor and some memory.
const (
	maxConnections = 4096
	maxFromOne     = 1024
)

// limitConnections closes those that are too many as soon as they are made.
func limitConnections(l net.Listener) net.Listener {
	return &limitedListener{Listener: l, from: map[netip.Addr]int{}}
}

type limitedListener struct {
	net.Listener
	mu   sync.Mutex
	all  int
	from map[netip.Addr]int
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		var from netip.Addr
		if at, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			from = at.AddrPort().Addr().Unmap()
		}
		if l.take(from) {
			return &limitedConn{Conn: c, free: sync.OnceFunc(func() { l.free(from) })}, nil
		}
		_ = c.Close() // nobody was promised anything
	}
}

func (l *limitedListener) take(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxConnections || l.from[from] >= maxFromOne {
		return false
	}
	l.all++
	l.from[from]++
	return true
}

func (l *limitedListener) free(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.from[from]--; l.from[from] == 0 {
		delete(l.from, from)
	}
}

type limitedConn struct {
	net.Conn
	free func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}
