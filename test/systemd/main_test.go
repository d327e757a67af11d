//go:build systemd

// Package systemd_test runs what only a booted systemd can prove; `make test-systemd`.
package systemd_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/queuemgr/queuemgr/test/systemd/guest"
)

var ground *guest.Ground

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	ground, err = guest.Prepare(ctx, func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) })
	stop() // from here on an interrupt ends this process, and the guests with it
	if err != nil {
		fmt.Fprintf(os.Stderr, "prepare the test guests: %v\n", err)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := ground.Close(); err != nil {
		fmt.Fprintf(os.Stderr, "clean up after the test guests: %v\n", err)
		return 1
	}
	return code
}
