package wire

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns two ends of a connection.
func pair(t *testing.T) (*Conn, net.Conn) {
	t.Helper()
	a, b := net.Pipe()
	c := NewConn(a)
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	})
	return c, b
}

func TestRoundTrip(t *testing.T) {
	a, nc := pair(t)
	b := NewConn(nc)
	umask, grace, code, root, none := uint32(0o22), int64(5), 0, uint32(0), int64(0)
	for _, want := range []*Message{
		{Hello: &Hello{Proto: 1, Version: "v", Registry: "r", Epoch: 1 << 60, Journal: "j", Cursor: 3}},
		{Start: []Start{{RunID: "a", JobID: 1, Fence: 2, Argv: []string{"<&>", "ü"}, Env: []string{"A=\n"}, Umask: &umask}}},
		{Start: []Start{{RunID: "a", User: "anna", By: &root}}},
		{Hello: &Hello{Proto: 1, ShutdownTimeoutMS: &none}},
		{Welcome: &Welcome{Proto: 1, Drops: true}},
		{Stop: []Stop{{RunID: "a", Why: "user", GraceMS: &grace, Force: true}}},
		{Ack: &Ack{Cursor: 7}}, {Quit: &Quit{}}, {Bye: &Bye{Running: 2}},
		{Welcome: &Welcome{Proto: 1, Runs: []Run{{RunID: "a", State: RunStarted, PID: 3}}}},
		{Refused: &Refused{Code: RefusedEpoch, Epoch: 4}},
		{Events: []Event{{Seq: 1, Kind: Exited, At: time.Unix(1, 2).UTC(), ExitCode: &code, Usage: &Usage{MaxRSS: 1}}}},
		{Start: []Start{{RunID: "big", Env: []string{strings.Repeat("x", 3<<20)}}}},
	} {
		var sending sync.WaitGroup
		sending.Go(func() {
			if err := a.Send(want); err != nil {
				t.Error(err)
			}
		})
		got, err := b.Receive()
		sending.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestReceive(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		check      func(*Message, error) bool
	}{
		{"fields of a later version", `{"ack":{"cursor":1,"new":2},"other":[]}` + "\n", func(m *Message, err error) bool { return err == nil && m.Ack.Cursor == 1 }},
		{"not JSON", "hello\n", func(_ *Message, err error) bool { return err != nil && strings.Contains(err.Error(), "decode") }},
		{"closed between messages", "", func(_ *Message, err error) bool { return errors.Is(err, io.EOF) }},
		{"closed inside a message", `{"ack"`, func(_ *Message, err error) bool { return err != nil }},
	} {
		c, nc := pair(t)
		var sending sync.WaitGroup
		sending.Go(func() {
			_, err := io.WriteString(nc, tt.text)
			if err = errors.Join(err, nc.Close()); err != nil {
				t.Error(err)
			}
		})
		m, err := c.Receive()
		sending.Wait()
		if !tt.check(m, err) {
			t.Errorf("%s: got %+v, %v", tt.name, m, err)
		}
	}
}

func TestTooLong(t *testing.T) {
	c, nc := pair(t)
	huge := &Message{Start: []Start{{Cwd: strings.Repeat("x", MaxMessage)}}}
	if err := c.Send(huge); !errors.Is(err, ErrTooLong) {
		t.Errorf("sent: %v", err)
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		part := []byte(strings.Repeat("x", 1<<20))
		for range MaxMessage>>20 + 1 {
			if _, err := nc.Write(part); err != nil {
				return // the other side has had enough
			}
		}
	})
	if _, err := c.Receive(); !errors.Is(err, ErrTooLong) {
		t.Errorf("received: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	sending.Wait()
}
