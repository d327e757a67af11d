package tcp_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/queuemgr/queuemgr/internal/tcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// echo answers each connection with a word until ctx ends.
func echo(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		_, _ = io.WriteString(c, "here\n")
		c.Close()
	}
}

func taken(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func answers(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if text, err := io.ReadAll(c); err != nil || string(text) != "here\n" {
		t.Errorf("%s answers %q %v", addr, text, err)
	}
}

// TestPortThatIsTaken is told who has it, and gets it when that one goes.
func TestPortThatIsTaken(t *testing.T) {
	other := taken(t)
	pauses, tick := make(chan time.Duration), make(chan time.Time)
	serving := make(chan struct{})
	serve := func(ctx context.Context, l net.Listener) error {
		close(serving)
		return echo(ctx, l)
	}
	p := tcp.New(tcp.Options{Listen: other.Addr().String(), Loopback: true, Serve: serve, Log: quiet,
		After: func(d time.Duration) <-chan time.Time { pauses <- d; return tick }})
	p.Open(t.Context())
	addr, problem := p.State()
	if want := fmt.Sprintf("%s is taken by process %d (", other.Addr(), os.Getpid()); addr != nil || !strings.HasPrefix(problem, want) {
		t.Errorf("%v, %q; want %q", addr, problem, want)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); p.Run(ctx) }()
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if i > 0 {
			tick <- time.Time{}
		}
		if got := <-pauses; got != want*time.Second {
			t.Errorf("a pause of %v, want %v s", got, int(want))
		}
	}
	p.Again()
	if got := <-pauses; got != time.Second {
		t.Errorf("after it was asked for again the pause is %v", got)
	}
	other.Close()
	tick <- time.Time{}
	<-serving
	answers(t, other.Addr().String())
	if addr, problem := p.State(); addr == nil || problem != "" {
		t.Errorf("served at %v, the problem is %q", addr, problem)
	}
	stop()
	<-ended
	if addr, _ := p.State(); addr != nil {
		t.Error("it answers after its end")
	}
}

func TestBadPorts(t *testing.T) {
	for listen, want := range map[string]string{
		"192.0.2.1:0": "no address of this machine", "0.0.0.0:0": "others can reach", "[::]:0": "others can reach", ":0": "others can reach", "nosuch.invalid:0": "can't be opened",
	} {
		p := tcp.New(tcp.Options{Listen: listen, Loopback: true, Serve: echo, Log: quiet})
		p.Open(t.Context())
		if addr, problem := p.State(); addr != nil || !strings.Contains(problem, want) {
			t.Errorf("%s: %v, %q", listen, addr, problem)
		}
	}
}
