package runner

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// patience bounds every wait of a test for something that should come.
const patience = 30 * time.Second

// home is a directory with the files of a runner.
type home struct{ dir string }

// newHome makes one with a short path: a socket's path is limited.
func newHome(t testing.TB) home {
	dir, err := os.MkdirTemp("", "qr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // best effort: it is in the system's temporary directory
	return home{dir}
}

func (h home) path(name string) string { return filepath.Join(h.dir, name) }
func (h home) socket() string          { return h.path("r.sock") }
func (h home) journal() string         { return h.path("journal") }
func (h home) lock() string            { return h.path("lock") }

func (h home) config(t testing.TB) Config {
	return Config{
		Socket: h.socket(), Journal: h.journal(), Lock: h.lock(), Version: "test",
		Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}
}

// testWriter is t.Log as a writer; lines show on failure or with -v only.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// startRunner runs one in this process until the test ends or stop is called.
func startRunner(t testing.TB, cfg Config) (stop func() error) {
	t.Helper()
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	ended := false
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("the runner ended with: %v", err)
		}
	})
	return stop
}

// client is a daemon as the runner sees it.
type client struct {
	t       testing.TB
	conn    *wire.Conn
	welcome *wire.Welcome
	msgs    chan *wire.Message // closed at the end of the connection

	started map[string]*wire.Event
	exited  map[string][]*wire.Event
	reports map[string][]wire.Report
	last    uint64
}

// dial opens a connection without a word.
func dial(t testing.TB, h home) *client {
	t.Helper()
	nc, err := net.Dial("unix", h.socket())
	if err != nil {
		t.Fatal(err)
	}
	c := &client{
		t: t, conn: wire.NewConn(nc), msgs: make(chan *wire.Message, 4096),
		started: map[string]*wire.Event{}, exited: map[string][]*wire.Event{}, reports: map[string][]wire.Report{},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(c.msgs)
		for {
			m, err := c.conn.Receive()
			if err != nil {
				return
			}
			c.msgs <- m
		}
	}()
	t.Cleanup(func() {
		_ = c.conn.Close() // may be closed already
		for range c.msgs { //nolint:revive // let the reader end
		}
		<-done
	})
	return c
}

// hello opens a conversation that the runner must accept.
func hello(t testing.TB, h home, hi wire.Hello) *client {
	t.Helper()
	c := dial(t, h)
	if hi.Proto == 0 {
		hi.Proto = wire.Proto
	}
	c.send(&wire.Message{Hello: &hi})
	m := c.next()
	if m == nil || m.Welcome == nil {
		t.Fatalf("want welcome, got %+v", m)
	}
	c.welcome = m.Welcome
	return c
}

func (c *client) send(m *wire.Message) {
	c.t.Helper()
	if err := c.conn.Send(m); err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next message, nil at the end of the connection.
func (c *client) next() *wire.Message {
	c.t.Helper()
	select {
	case m := <-c.msgs:
		return m
	case <-time.After(patience):
		c.t.Fatal("no message from the runner")
		return nil
	}
}

// take receives one message of events.
func (c *client) take() bool {
	c.t.Helper()
	m := c.next()
	if m == nil {
		return false
	}
	for _, rep := range m.Reports {
		c.reports[rep.RunID] = append(c.reports[rep.RunID], rep)
	}
	for i := range m.Events {
		e := &m.Events[i]
		c.last = max(c.last, e.Seq)
		if e.Kind == wire.Started {
			c.started[e.RunID] = e
		} else {
			c.exited[e.RunID] = append(c.exited[e.RunID], e)
		}
	}
	return true
}

// waitStarted waits for the start of a run.
func (c *client) waitStarted(id string) *wire.Event {
	c.t.Helper()
	for c.started[id] == nil {
		if e := c.exited[id]; e != nil {
			c.t.Fatalf("run %s ended without a start: %+v", id, e[0])
		}
		if !c.take() {
			c.t.Fatalf("connection closed before run %s started", id)
		}
	}
	return c.started[id]
}

// waitExited waits for the end of a run.
func (c *client) waitExited(id string) *wire.Event {
	c.t.Helper()
	for len(c.exited[id]) == 0 {
		if !c.take() {
			c.t.Fatalf("connection closed before run %s ended", id)
		}
	}
	return c.exited[id][0]
}

// job is a start of argv with a small environment.
func (h home) job(id string, argv ...string) wire.Start {
	return wire.Start{
		RunID: id, JobID: 1, Fence: 1, Argv: argv, Cwd: h.dir, GraceMS: 10_000,
		Env:    []string{"PATH=/usr/bin:/bin", "QUEUEMGR_RUN_ID=" + id},
		Stdout: h.path("log/" + id + ".log"),
	}
}

// sh is a start of a shell script.
func (h home) sh(id, script string) wire.Start { return h.job(id, "/bin/sh", "-c", script) }

func (c *client) start(starts ...wire.Start) { c.t.Helper(); c.send(&wire.Message{Start: starts}) }
func (c *client) stop(stops ...wire.Stop)    { c.t.Helper(); c.send(&wire.Message{Stop: stops}) }
func (c *client) ack(cursor uint64) {
	c.t.Helper()
	c.send(&wire.Message{Ack: &wire.Ack{Cursor: cursor}})
}

// output reads a run's log.
func (h home) output(t testing.TB, id string) string {
	t.Helper()
	b, err := os.ReadFile(h.path("log/" + id + ".log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// outcome is an end in words, for tables.
func outcome(e *wire.Event) string {
	code := "-"
	if e.ExitCode != nil {
		code = fmt.Sprint(*e.ExitCode)
	}
	return fmt.Sprintf("%s code=%s signal=%d", e.Cause, code, e.Signal)
}

var discard = slog.New(slog.NewTextHandler(io.Discard, nil))
