// Package systemd tells systemd how the daemon is, and its journal what happens. Where systemd does
// not rule, everything here does nothing.
package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notifier speaks to the service manager that started this process; see sd_notify(3). The zero
// Notifier speaks to nobody.
type Notifier struct {
	log      *slog.Logger
	watchdog time.Duration // a sign of life is due so often; 0 = never
}

// NewNotifier returns the Notifier for the service manager that the environment names.
func NewNotifier(log *slog.Logger) *Notifier {
	n := &Notifier{log: log}
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("the watchdog's settings are not understood: it gets no sign of life", "error", err)
	}
	n.watchdog = interval
	return n
}

// Ready says that clients are served.
func (n *Notifier) Ready(status string) { n.send(daemon.SdNotifyReady + "\nSTATUS=" + status) }

// Reloading says that the settings are read again; Ready ends it.
func (n *Notifier) Reloading() {
	n.send(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping says that the daemon is ending, and by when at the latest it will have.
func (n *Notifier) Stopping(within time.Duration) {
	n.send(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d", daemon.SdNotifyStopping, within.Microseconds()))
}

func (n *Notifier) send(state string) {
	if n.log == nil {
		return
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Warn("tell systemd", "state", state, "error", err)
	}
}

// Watch gives signs of life to systemd's watchdog, where there is one, until ctx ends: each time
// alive has returned nil. One that does not return, or returns an error, is what the watchdog is for.
func (n *Notifier) Watch(ctx context.Context, alive func(context.Context) error) {
	if n.watchdog == 0 {
		return
	}
	tick := time.NewTicker(n.watchdog / 3)
	defer tick.Stop()
	for {
		if err := alive(ctx); err == nil {
			n.send(daemon.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			n.log.Error("no sign of life for the watchdog", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Supervised reports whether a service manager waits for this process to be ready.
// Inside of a job the socket is the runner's, who waits for nothing.
func Supervised() bool { return os.Getenv("NOTIFY_SOCKET") != "" && os.Getenv("QUEUEMGR_RUN_ID") == "" }

// Rules reports whether systemd is this machine's service manager; see sd_booted(3).
func Rules() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
}
