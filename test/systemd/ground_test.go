//go:build systemd

package systemd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/test/systemd/guest"
)

// each runs a test of the ground itself on both kinds of guest.
func each(t *testing.T, f func(t *testing.T, v *guest.Guest)) {
	for _, kind := range []guest.Kind{guest.Container, guest.Kernel} {
		t.Run(string(kind), func(t *testing.T) {
			began := time.Now()
			v := ground.Boot(t, kind)
			t.Logf("up after %s", time.Since(began).Round(time.Millisecond))
			f(t, v)
		})
	}
}

func TestUnitAndJournal(t *testing.T) {
	each(t, func(t *testing.T, v *guest.Guest) {
		v.WriteFile("/etc/systemd/system/hello.service", "0644",
			"[Service]\nType=oneshot\nExecStart=/bin/echo the unit says hello\n")
		v.Run("systemctl", "daemon-reload")
		v.Run("systemctl", "start", "hello.service")
		v.Run("journalctl", "--sync")
		if got := v.Run("journalctl", "-u", "hello.service", "-o", "cat"); !strings.Contains(got, "the unit says hello\n") {
			t.Errorf("journal of the unit: %q", got)
		}
		began := time.Now()
		v.Halt()
		t.Logf("halted after %s", time.Since(began).Round(time.Millisecond))
	})
}
