package systemd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// manager listens as a service manager does.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

func next(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestNotify(t *testing.T) {
	c := manager(t)
	n := NewNotifier(slog.New(slog.DiscardHandler))
	n.Ready("serving")
	if got := next(t, c); got != "READY=1\nSTATUS=serving" {
		t.Errorf("ready: %q", got)
	}
	n.Reloading()
	if got := next(t, c); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("reloading: %q", got)
	}
	n.Stopping(90 * time.Second)
	if got := next(t, c); got != "STOPPING=1\nEXTEND_TIMEOUT_USEC=90000000" {
		t.Errorf("stopping: %q", got)
	}
}

// TestWatch checks that signs of life come for as long as, and only when, the daemon is alive.
func TestWatch(t *testing.T) {
	c := manager(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	n := NewNotifier(slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	asked, dead, done := make(chan struct{}), errors.New("stuck"), make(chan struct{})
	answers := []error{nil, dead, nil}
	go func() {
		defer close(done)
		n.Watch(ctx, func(context.Context) error {
			if len(answers) == 0 {
				stop()
				return nil
			}
			err := answers[0]
			answers = answers[1:]
			asked <- struct{}{}
			return err
		})
	}()
	for range 3 {
		<-asked
	}
	<-done
	// Two answers of three, and the last one, which ended the watch.
	for i := range 3 {
		if got := next(t, c); got != "WATCHDOG=1" {
			t.Errorf("sign %d: %q", i, got)
		}
	}
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	if k, err := c.Read(buf); err == nil {
		t.Errorf("a sign of life while stuck: %q", buf[:k])
	}
}

// TestUnsupervised checks that nothing happens where no service manager waits.
func TestUnsupervised(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if Supervised() {
		t.Error("supervised without a NOTIFY_SOCKET")
	}
	n := NewNotifier(slog.New(slog.DiscardHandler))
	n.Ready("serving")
	n.Watch(t.Context(), func(context.Context) error { t.Error("asked for a sign of life"); return nil })
}
