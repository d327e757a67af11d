//go:build systemd

package systemd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

func TestGuest(t *testing.T) {
	each(t, func(t *testing.T, v *guest.Guest) {
		t.Run("unit and journal", func(t *testing.T) { testUnit(t, v) })
		t.Run("commands", func(t *testing.T) { testCommands(t, v) })
		t.Run("a user's session", func(t *testing.T) { testLogin(t, v) })
		t.Run("memory limit", func(t *testing.T) { testMemoryMax(t, v) })
		t.Run("reboot", func(t *testing.T) { testReboot(t, v) })
		t.Run("power cut", func(t *testing.T) { testPowerCut(t, v) })
		began := time.Now()
		v.Halt()
		t.Logf("halted after %s", time.Since(began).Round(time.Millisecond))
		if left := leftOf(t, v.Dir()); left != "" {
			t.Errorf("left on the host after the halt: %s", left)
		}
	})
}

func testUnit(t *testing.T, v *guest.Guest) {
	v.WriteFile("/etc/systemd/system/hello.service", "0644",
		"[Service]\nType=oneshot\nExecStart=/bin/echo the unit says hello\n")
	v.Run("systemctl", "daemon-reload")
	v.Run("systemctl", "start", "hello.service")
	v.Run("journalctl", "--sync")
	if got := v.Run("journalctl", "-u", "hello.service", "-o", "cat"); !strings.Contains(got, "the unit says hello\n") {
		t.Errorf("journal of the unit: %q", got)
	}
	v.Run("systemctl", "daemon-reexec")
	if got := v.Run("systemctl", "is-system-running"); got != "running\n" {
		t.Errorf("after daemon-reexec the system is %q", got)
	}
}

func testCommands(t *testing.T, v *guest.Guest) {
	r, err := v.Exec(t.Context(), guest.Command{Argv: []string{"sh", "-c", "echo out; echo err >&2; exit 7"}})
	if err != nil || r != (guest.Result{Stdout: "out\n", Stderr: "err\n", Code: 7}) {
		t.Errorf("output and exit code: %+v, %v", r, err)
	}
	if r, err := v.Exec(t.Context(), guest.Command{Argv: []string{"sh", "-c", "kill -9 $$"}}); err != nil || r.Code != 128+9 {
		t.Errorf("killed by a signal: %+v, %v", r, err)
	}
	if _, err := v.Exec(t.Context(), guest.Command{Argv: []string{"/no/such/program"}}); err == nil {
		t.Error("a program that does not exist was started")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	v.Run("mkfifo", "/run/begun")
	var waiting sync.WaitGroup
	waiting.Go(func() {
		v.Run("cat", "/run/begun") // its end says that the command runs
		cancel(enough)
	})
	if _, err := v.Exec(ctx, guest.Command{Argv: []string{"sh", "-c", ": >/run/begun; exec sleep 1000"}}); !errors.Is(err, enough) {
		t.Errorf("a command whose context has ended: %v", err)
	}
	waiting.Wait()
	if r, err := v.Exec(t.Context(), guest.Command{Argv: []string{"pgrep", "-f", "sleep 1000"}}); err != nil || r.Code != 1 {
		t.Errorf("the command whose context has ended lives: %+v, %v", r, err)
	}

	// Long input, and after it the channel still works.
	big := strings.Repeat("0123456789abcde\n", 1<<16)
	v.WriteFile("/var/tmp/big", "0640", big)
	if got := v.ReadFile("/var/tmp/big"); got != big {
		t.Errorf("of %d bytes written, %d others were read", len(big), len(got))
	}
	v.CopyIn(filepath.Join("guest", "debian.sh"), "/var/tmp/new/debian.sh")
	if want, err := os.ReadFile(filepath.Join("guest", "debian.sh")); err != nil || v.ReadFile("/var/tmp/new/debian.sh") != string(want) {
		t.Errorf("the file copied in is another (%v)", err)
	}

	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			r, err := v.Exec(t.Context(), guest.Command{Argv: []string{"echo", fmt.Sprint(i)}})
			if err != nil || r.Stdout != fmt.Sprintln(i) {
				t.Errorf("command %d of 20 at once: %+v, %v", i, r, err)
			}
		})
	}
	all.Wait()
}

func testLogin(t *testing.T, v *guest.Guest) {
	v.Run("useradd", "--create-home", "--groups", "adm", "alice")
	if got := v.RunAs("alice", "id", "-nG"); got != "alice adm\n" {
		t.Errorf("groups without a login: %q", got)
	}
	login := func(argv ...string) string {
		r, err := v.Exec(t.Context(), guest.Command{User: "alice", Login: true, Argv: argv})
		if err != nil || r.Code != 0 {
			t.Errorf("%q after a login: %+v, %v", argv, r, err)
		}
		return strings.TrimSpace(r.Stdout)
	}
	if got := login("sh", "-c", `systemctl --user is-system-running --wait; systemd-run --user --wait --pipe --quiet sh -c 'id -un; cat /proc/self/cgroup'`); !strings.HasPrefix(got, "running\nalice\n") || !strings.Contains(got, "/user.slice/user-1000.slice/user@1000.service/") {
		t.Errorf("the user's service manager: %q", got)
	}
	if got := login("printf", "%s", `it's "quoted" $HOME`); got != `it's "quoted" $HOME` {
		t.Errorf("an argument after a login became %q", got)
	}
	v.Run("loginctl", "enable-linger", "alice")
	if got := v.Run("loginctl", "show-user", "alice", "-p", "Linger"); got != "Linger=yes\n" {
		t.Errorf("lingering: %q", got)
	}
}

// testMemoryMax holds a guest to what README.md says of its kind.
func testMemoryMax(t *testing.T, v *guest.Guest) {
	enforced := strings.Contains(v.ReadFile("/sys/fs/cgroup/cgroup.controllers"), "memory")
	if v.Kind == guest.Kernel && !enforced {
		t.Error("the guest kernel has no memory controller")
	}
	r, err := v.Exec(t.Context(), guest.Command{Argv: []string{"systemd-run", "--unit=eater", "--wait", "--quiet",
		"-p", "MemoryMax=20M", "-p", "MemorySwapMax=0", "dd", "if=/dev/zero", "of=/dev/null", "bs=60M", "count=1"}})
	if err != nil {
		t.Fatal(err)
	}
	if died := r.Code != 0; died != enforced {
		t.Errorf("60 MiB under MemoryMax=20M: exit %d, with the memory controller there: %v\n%s", r.Code, enforced, r.Stderr)
	}
	if enforced {
		if got := v.Run("systemctl", "show", "eater.service", "-p", "Result"); got != "Result=oom-kill\n" {
			t.Errorf("why the unit ended: %q", got)
		}
		v.Run("systemctl", "reset-failed", "eater.service")
	}
}

func testReboot(t *testing.T, v *guest.Guest) {
	v.WriteFile("/var/tmp/before", "0644", "kept\n")
	v.WriteFile("/run/before", "0644", "gone\n")
	before, began := v.BootID(), time.Now()
	v.Reboot()
	t.Logf("rebooted in %s", time.Since(began).Round(time.Millisecond))
	if v.BootID() == before {
		t.Error("the boot id is the same after a reboot")
	}
	if got := v.ReadFile("/var/tmp/before"); got != "kept\n" {
		t.Errorf("a file on disk after the reboot: %q", got)
	}
	v.Run("test", "!", "-e", "/run/before")
	if got := v.Run("journalctl", "-q", "--list-boots", "--no-pager"); strings.Count(got, "\n") != 2 {
		t.Errorf("boots in the journal:\n%s", got)
	}
}

func testPowerCut(t *testing.T, v *guest.Guest) {
	v.Shell(`echo synced >/var/tmp/synced; sync; sync -d /var/tmp; echo unsynced >/var/tmp/unsynced`)
	v.PowerCut()
	if left := leftOf(t, v.Dir()); left != "" {
		t.Errorf("left on the host after the power cut: %s", left)
	}
	v.Boot()
	if got := v.ReadFile("/var/tmp/synced"); got != "synced\n" {
		t.Errorf("a synced file after the power cut: %q", got)
	}
	r, err := v.Exec(t.Context(), guest.Command{Argv: []string{"cat", "/var/tmp/unsynced"}})
	if err != nil {
		t.Fatal(err)
	}
	if lost := r.Stdout != "unsynced\n"; lost != (v.Kind == guest.Kernel) {
		t.Errorf("the unsynced file after the power cut: %+v", r)
	}
}
