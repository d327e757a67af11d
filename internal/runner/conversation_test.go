package runner

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

func TestSecondRunnerRefused(t *testing.T) {
	h := newHome(t)
	first := startBinary(t, h, binary(t, "")).cmd.Process.Pid
	_, err := New(h.config(t))
	var held *HeldError
	if !errors.As(err, &held) || held.PID != first {
		t.Fatalf("got %v", err)
	}
	p := startBinary(t, h, binary(t, ""))
	if code := p.wait().ExitCode(); code != ExitHeld {
		t.Errorf("exit code %d", code)
	}
	if want := fmt.Sprintf("another runner (pid %d)", first); !strings.Contains(p.stderr.String(), want) {
		t.Errorf("want %q in:\n%s", want, p.stderr.String())
	}
	hello(t, h, wire.Hello{Registry: "r", Epoch: 1}) // the first is unharmed
}

func TestSocketPathTooLong(t *testing.T) {
	h := newHome(t)
	cfg := h.config(t)
	cfg.Socket = h.path(strings.Repeat("x", 120))
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "107") {
		t.Errorf("got %v", err)
	}
}

func TestHello(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	first := hello(t, h, wire.Hello{Registry: "r", Epoch: 5})
	if info, err := os.Stat(h.socket()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info, err)
	}
	refused := func(hi wire.Hello, code string) {
		t.Helper()
		c := dial(t, h)
		c.send(&wire.Message{Hello: &hi})
		m := c.next()
		if m == nil || m.Refused == nil || m.Refused.Code != code {
			t.Fatalf("got %+v", m)
		}
		if code == wire.RefusedEpoch && m.Refused.Epoch != 5 {
			t.Errorf("epoch %d", m.Refused.Epoch)
		}
		if c.next() != nil {
			t.Error("the connection stays open after a refusal")
		}
	}
	refused(wire.Hello{Proto: 1, Registry: "r", Epoch: 4}, wire.RefusedEpoch)
	refused(wire.Hello{Proto: 0, Registry: "r", Epoch: 6}, wire.RefusedProto)
	first.start(h.sh("a", "exit 1")) // still served
	first.waitExited("a")

	second := hello(t, h, wire.Hello{Proto: 7, Registry: "r", Epoch: 5})
	if second.welcome.Proto != wire.Proto {
		t.Errorf("protocol %d", second.welcome.Proto)
	}
	for first.next() != nil { // replaced: its connection is closed
	}
	second.start(h.sh("b", "exit 2"))
	second.waitExited("b")
	hello(t, h, wire.Hello{Registry: "other", Epoch: 1}) // another registry counts anew
}

func TestBrokenPeerDoesNoHarm(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	for _, text := range []string{"garbage\n", "{\"start\":[]}\n", "{}\n", "", strings.Repeat("x", 1<<20)} {
		nc, err := net.Dial("unix", h.socket())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := nc.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if n, err := nc.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.10q: got %d bytes, %v", text, n, err)
		}
		if err := nc.Close(); err != nil {
			t.Fatal(err)
		}
	}
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	c.start(h.sh("a", "exit 3"))
	c.waitExited("a")
}

func TestDuplicateStartAndRedelivery(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	path, line := fifo(t, h, "fifo")
	s := h.sh("a", "echo $$ >> "+h.path("ran")+"; read x < "+h.path("go")+"; exit 9")
	goPath, _ := fifo(t, h, "go")
	c.start(s, s)
	began := c.waitStarted("a")
	c.start(s)
	if again := c.nextEvent(); *again != *began {
		t.Errorf("sent again: %+v, was %+v", again, began)
	}
	write(t, goPath, "\n", 0o600)
	ended := c.waitExited("a")
	c.start(s, h.sh("sync", "echo > "+path))
	line()
	c.waitExited("sync")
	if n := len(c.exited["a"]); n != 2 || c.exited["a"][1].Seq != ended.Seq {
		t.Errorf("the end came %d times", n)
	}
	b, err := os.ReadFile(h.path("ran"))
	if err != nil || strings.Count(string(b), "\n") != 1 {
		t.Errorf("ran: %q, %v", b, err)
	}

	all := c.last
	for cursor := uint64(0); cursor <= all; cursor++ {
		c = hello(t, h, wire.Hello{Registry: "r", Epoch: 1, Journal: c.welcome.Journal, Cursor: cursor})
		for seq := cursor + 1; seq <= all; {
			m := c.next()
			for _, e := range m.Events {
				if e.Seq != seq {
					t.Fatalf("cursor %d: got seq %d, want %d", cursor, e.Seq, seq)
				}
				seq++
			}
		}
	}
	c.ack(1)   // lower than known
	c.ack(999) // more than there is
	c = hello(t, h, wire.Hello{Registry: "r", Epoch: 1, Journal: c.welcome.Journal, Cursor: all})
	if c.welcome.Acked != all || len(c.welcome.Runs) != 0 {
		t.Errorf("%+v", c.welcome)
	}
}

// nextEvent returns the one event of the next message.
func (c *client) nextEvent() *wire.Event {
	c.t.Helper()
	m := c.next()
	if m == nil || len(m.Events) != 1 {
		c.t.Fatalf("want one event, got %+v", m)
	}
	return &m.Events[0]
}

func TestQuit(t *testing.T) {
	h := newHome(t)
	p := startBinary(t, h, binary(t, ""))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	c.start(h.sh("a", "sleep 1000"))
	c.waitStarted("a")
	c.send(&wire.Message{Quit: &wire.Quit{}})
	if m := c.next(); m == nil || m.Bye == nil || m.Bye.Running != 1 {
		t.Fatalf("got %+v", m)
	}
	c.stop(wire.Stop{RunID: "a", Force: true})
	c.waitExited("a")
	c.send(&wire.Message{Quit: &wire.Quit{}})
	if m := c.next(); m == nil || m.Bye == nil || m.Bye.Running != 0 {
		t.Fatalf("got %+v", m)
	}
	if code := p.wait().ExitCode(); code != ExitOK {
		t.Errorf("exit code %d:\n%s", code, p.stderr.String())
	}
	if _, err := os.Stat(h.socket()); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestTerminatedRunnerStopsItsJobs(t *testing.T) {
	h := newHome(t)
	p := startBinary(t, h, binary(t, ""))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	path, line := fifo(t, h, "fifo")
	c.start(h.sh("a", "trap 'exit 6' TERM; echo > "+path+"; while :; do sleep 1000 & wait; done"))
	line()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	e := c.waitExited("a")
	if got := outcome(e); got != "stop code=6 signal=0" || e.Why != "shutdown" {
		t.Errorf("got %s, why %q", got, e.Why)
	}
	if code := p.wait().ExitCode(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestLinger(t *testing.T) {
	h := newHome(t)
	cfg := h.config(t)
	cfg.Linger = 50 * time.Millisecond
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context()); err != nil { // returns by itself
		t.Error(err)
	}
}
