// Package tcp keeps the port open on which the page is served, whatever is in its way, and has its
// certificate.
package tcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// Pauses between tries to open the port.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// Options of a Port.
type Options struct {
	Listen string // ADDRESS:PORT
	// Loopback refuses an address that others than this machine can reach, whatever its name said.
	Loopback bool
	// Ready is asked before the port is opened: its error is the problem then. May be nil.
	Ready func() error
	// Serve answers on l until ctx ends, and closes l.
	Serve func(ctx context.Context, l net.Listener) error
	// After is the clock; nil = time.After.
	After func(time.Duration) <-chan time.Time
	Log   *slog.Logger
}

// Port is one port. Open tries to open it, Run serves it and tries again.
type Port struct {
	o     Options
	first net.Listener // of Open, taken by Run
	again chan struct{}

	mu      sync.Mutex
	addr    net.Addr
	problem string
}

// New returns a port that is not open yet.
func New(o Options) *Port {
	if o.After == nil {
		o.After = time.After
	}
	return &Port{o: o, again: make(chan struct{}, 1)}
}

// State returns where the port answers, nil while it does not, and then why.
func (p *Port) State() (net.Addr, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr, p.problem
}

// Again has a port that could not be opened tried again now.
func (p *Port) Again() {
	select {
	case p.again <- struct{}{}:
	default:
	}
}

// Open tries to open the port once. That it can't is in the state.
func (p *Port) Open(ctx context.Context) { p.first = p.open(ctx) }

// Run serves the port until ctx ends.
func (p *Port) Run(ctx context.Context) {
	l, pause := p.first, firstPause
	p.first = nil
	for {
		if l != nil {
			pause = firstPause
			err := p.o.Serve(ctx, l)
			if ctx.Err() != nil {
				p.set(nil, "")
				return
			}
			p.failed(fmt.Sprintf("it has ended: %v", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-p.again:
			pause = firstPause
		case <-p.o.After(pause):
			pause = min(2*pause, lastPause)
		}
		l = p.open(ctx)
	}
}

func (p *Port) open(ctx context.Context) net.Listener {
	if p.o.Ready != nil {
		if err := p.o.Ready(); err != nil {
			p.failed(err.Error())
			return nil
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", p.o.Listen)
	if err != nil {
		p.failed(p.why(err))
		return nil
	}
	if at, ok := l.Addr().(*net.TCPAddr); p.o.Loopback && (!ok || !at.IP.IsLoopback()) {
		_ = l.Close() // nothing was served on it
		p.failed(fmt.Sprintf("%s means %s here, which others can reach, and there is no TLS: listen on 127.0.0.1", p.o.Listen, l.Addr()))
		return nil
	}
	p.set(l.Addr(), "")
	p.o.Log.Info("the page is served", "address", l.Addr())
	return l
}

// why says in words why the port can't be opened.
func (p *Port) why(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		if who := Holder(p.o.Listen); who != "" {
			return fmt.Sprintf("%s is taken by %s", p.o.Listen, who)
		}
		return p.o.Listen + " is taken by another program; sudo ss -ltnp says by which"
	case errors.Is(err, syscall.EACCES):
		return p.o.Listen + " may not be opened: ports below 1024 are root's; choose another"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return p.o.Listen + " is no address of this machine"
	}
	return fmt.Sprintf("%s can't be opened: %v", p.o.Listen, err)
}

func (p *Port) set(addr net.Addr, problem string) (news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	news = problem != p.problem
	p.addr, p.problem = addr, problem
	return news
}

// failed notes a problem, and logs one that is new.
func (p *Port) failed(problem string) {
	if p.set(nil, problem) {
		p.o.Log.Error("the page is not served; the queue works, and it is tried again", "problem", problem)
	}
}
