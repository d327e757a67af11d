package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// link keeps a connection to the runner: it dials (which starts a runner where none is), greets,
// and hands what it reads to the core. One goroutine owns it.
type link struct {
	o     *Options
	in    *mailbox
	epoch uint64
	quit  *atomic.Bool // see core.quit
}

// Delays between attempts to connect. A connection that lasted longer than maxDelay resets them.
const (
	minDelay = 50 * time.Millisecond
	maxDelay = 5 * time.Second
)

func (l *link) run(ctx context.Context) {
	delay := minDelay
	for ctx.Err() == nil {
		began := time.Now()
		err := l.connection(ctx)
		if ctx.Err() != nil || l.quit.Load() {
			return
		}
		if time.Since(began) > maxDelay {
			delay = minDelay
		}
		l.o.Log.Warn("no connection to the runner", "error", err, "next_try", delay)
		l.in.put(runnerError{err})
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, maxDelay)
	}
}

// connection serves one connection until it ends; the error says why.
func (l *link) connection(ctx context.Context) error {
	nc, err := l.o.Dial(ctx)
	if err != nil {
		return err
	}
	conn := wire.NewConn(nc)
	stop := context.AfterFunc(ctx, func() { closeQuietly(nc) })
	defer stop()
	defer closeQuietly(nc)

	welcome, err := l.greet(ctx, conn)
	if err != nil {
		return err
	}
	l.in.put(connected{runner: conn, welcome: *welcome})
	defer l.in.put(disconnected{runner: conn})
	for {
		m, err := conn.Receive()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return errors.New("the runner closed the connection")
			}
			return err
		}
		if len(m.Events) > 0 {
			l.in.put(received{from: conn, events: m.Events})
		}
		if len(m.Reports) > 0 {
			l.in.putReports(conn, m.Reports)
		}
		if m.Bye != nil {
			l.in.put(bye{from: conn, Bye: *m.Bye})
		}
	}
}

// greet says hello until the runner welcomes us or refuses for good.
func (l *link) greet(ctx context.Context, conn *wire.Conn) (*wire.Welcome, error) {
	cursor, err := l.o.Store.Cursor(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the runner's cursor: %w", err)
	}
	timeout := l.o.settings().ShutdownTimeout.Milliseconds()
	err = conn.Send(&wire.Message{Hello: &wire.Hello{Proto: wire.Proto, Version: l.o.Version, Registry: l.o.Store.RegistryID(),
		Epoch: l.epoch, Journal: cursor.Journal, Cursor: cursor.Seq, ShutdownTimeoutMS: &timeout}})
	if err != nil {
		return nil, err
	}
	m, err := conn.Receive()
	switch {
	case err != nil:
		return nil, fmt.Errorf("runner's answer to hello: %w", err)
	case m.Welcome != nil && l.o.Drops && !m.Welcome.Drops:
		return nil, fmt.Errorf("the runner (pid %d) runs every job as its own user; start the service's own: systemctl restart queuemgr-runner", m.Welcome.PID)
	case m.Welcome != nil:
		return m.Welcome, nil
	case m.Refused != nil && m.Refused.Code == wire.RefusedEpoch:
		// The registry is older than what the runner has served, for instance restored from a
		// backup. This daemon holds the registry's lock, so it is the one to serve: go above.
		if l.epoch, err = l.o.Store.NextEpoch(ctx, m.Refused.Epoch); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("the runner has served a later daemon (epoch %d); trying again as epoch %d", m.Refused.Epoch, l.epoch)
	case m.Refused != nil:
		return nil, fmt.Errorf("the runner refused this daemon: %s", m.Refused.Error)
	default:
		return nil, errors.New("the runner did not answer hello with a welcome")
	}
}

// closeQuietly closes a connection that is given up: there is nothing left to lose in it.
func closeQuietly(nc net.Conn) { _ = nc.Close() }

// runnerError says why there is no runner, for the status.
type runnerError struct{ err error }

func (in runnerError) apply(c *core, _ *tx) {
	text := ""
	if in.err != nil {
		text = "no connection to the runner: " + in.err.Error()
	}
	c.setRunnerProblem(text)
}
