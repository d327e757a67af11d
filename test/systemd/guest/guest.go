package guest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Kind is a way to boot a system.
type Kind string

const (
	// Container shares the host's kernel (systemd-nspawn): up in a second.
	Container Kind = "container"
	// Kernel has a Linux of its own that runs as a process (user-mode Linux): real cgroup limits, reboots
	// and power cuts; slow at system calls.
	Kernel Kind = "kernel"
)

// Steps that take longer than this are stuck: they end in seconds on an idle machine.
const stuck = 4 * time.Minute

// Guest is one system with systemd as process 1. Its disk lasts over reboots and power cuts, until the
// test ends.
type Guest struct {
	Kind   Kind
	t      testing.TB
	ground *Ground
	dir    string // on the host
	link   *link
	power  *power // nil: switched off
	hangUp func() // ends the listening to the agent; nil: nobody listens
	bootID string
}

// Boot makes a guest of a kind and boots it. It is gone with all it had when the test ends.
func (g *Ground) Boot(t testing.TB, kind Kind) *Guest {
	t.Helper()
	v := &Guest{Kind: kind, t: t, ground: g}
	var err error
	if v.dir, err = os.MkdirTemp(g.dir, string(kind)+"-"); err != nil {
		t.Fatal(err)
	}
	v.link = newLink(v.shared())
	t.Cleanup(v.close)
	if err := os.Chmod(v.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(v.shared(), 0o755); err != nil {
		t.Fatal(err)
	}
	agent, err := os.ReadFile(g.tool("agent"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(v.shared(), "agent"), agent, 0o755); err != nil {
		t.Fatal(err)
	}
	switch kind {
	case Container:
		err = v.makeContainer()
	case Kernel:
		err = v.makeKernel(t.Context())
	default:
		err = fmt.Errorf("no kind of guest is called %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	v.Boot()
	return v
}

// Dir is the guest's folder on the host: nothing outside of it is the guest's.
func (v *Guest) Dir() string { return v.dir }

// BootID is another one after each boot.
func (v *Guest) BootID() string { return v.bootID }

// shared is the folder on the host that the guest sees as /ground.
func (v *Guest) shared() string { return filepath.Join(v.dir, "shared") }

// Boot switches a guest on that is off, and returns when all units are up.
func (v *Guest) Boot() {
	v.t.Helper()
	if v.power != nil {
		v.t.Fatal("the guest is on already")
	}
	var err error
	if v.Kind == Kernel {
		err = v.startKernel(v.t.Context())
	} else {
		err = v.startContainer(v.t.Context())
	}
	if err != nil {
		v.t.Fatal(err)
	}
	v.up()
}

// up waits for a boot to be over and fails the test unless every unit is well.
func (v *Guest) up() {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), stuck)
	defer cancel()
	id, err := v.link.booted(ctx, v.bootID, v.power.ended)
	if err != nil {
		v.t.Fatalf("boot: %v; the console's end:\n%s", err, v.Console(60))
	}
	v.bootID = id
	r, err := v.Exec(ctx, Command{Argv: []string{"systemctl", "is-system-running", "--wait"}})
	if err != nil {
		v.t.Fatalf("boot: %v; the console's end:\n%s", err, v.Console(60))
	}
	if strings.TrimSpace(r.Stdout) != "running" {
		units, _ := v.Exec(ctx, Command{Argv: []string{"sh", "-c", "systemctl --failed --no-legend; journalctl -b -p warning -n 50"}})
		v.t.Fatalf("the guest is %s after its boot:\n%s", strings.TrimSpace(r.Stdout), units.Stdout)
	}
}

// Reboot boots the guest again as systemctl reboot does, and returns when all units are up.
func (v *Guest) Reboot() {
	v.t.Helper()
	v.ask("reboot")
	// Both kinds leave the second half of it to whoever runs them.
	if v.Kind == Container {
		v.awaitEnd(rebootWanted)
	} else {
		v.awaitEnd(0)
	}
	v.Boot()
}

// Halt switches the guest off in good order, and returns when nothing of it is left on the host but
// its disk.
func (v *Guest) Halt() {
	v.t.Helper()
	v.ask("poweroff")
	v.awaitEnd(0)
}

// rebootWanted is the exit code of an nspawn whose container asked for a reboot.
const rebootWanted = 133

// awaitEnd waits until a guest that is going down is off, and fails the test unless it ends with code.
func (v *Guest) awaitEnd(code int) {
	v.t.Helper()
	select {
	case <-v.power.ended:
	case <-time.After(stuck):
		v.t.Fatalf("the guest did not go down within %s; the console's end:\n%s", stuck, v.Console(60))
	}
	if v.power.code != code {
		v.t.Fatalf("the guest ended with exit code %d, not %d; the console's end:\n%s", v.power.code, code, v.Console(60))
	}
	v.off()
}

// ask gives systemd an order that may end the agent before it has answered.
func (v *Guest) ask(verb string) {
	v.t.Helper()
	if v.power == nil {
		v.t.Fatalf("%s: the guest is off", verb)
	}
	r, err := v.Exec(v.t.Context(), Command{Argv: []string{"systemctl", "--no-block", verb}})
	if err == nil && r.Code != 0 {
		v.t.Fatalf("systemctl %s: exit %d: %s", verb, r.Code, r.Stderr)
	}
}

// PowerCut kills the guest as a whole, between two instructions. What a Kernel had not synced is lost; what
// a Container wrote is in the host's cache and stays.
func (v *Guest) PowerCut() {
	v.t.Helper()
	if v.power == nil {
		v.t.Fatal("power cut: the guest is off")
	}
	v.power.cut()
	v.off()
}

func (v *Guest) off() {
	v.power = nil
	if v.Kind == Kernel { // a serial line is new with each power-on, a container dials
		v.hangUp()
		v.hangUp = nil
	}
}

// Console returns the last lines of the console since the guest was switched on.
func (v *Guest) Console(lines int) string {
	if v.power == nil {
		return ""
	}
	return v.power.console.tail(lines)
}

func (v *Guest) close() {
	if v.power != nil {
		if v.t.Failed() {
			v.tell()
		}
		v.power.cut()
		v.off()
	}
	if v.hangUp != nil {
		v.hangUp()
	}
	if err := os.RemoveAll(v.dir); err != nil {
		v.t.Errorf("remove the guest's folder: %v", err)
	}
}

// tell logs what helps to see why a test failed.
func (v *Guest) tell() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := v.Exec(ctx, Command{Argv: []string{"journalctl", "-b", "-n", "100", "--no-pager"}})
	v.t.Logf("the guest's journal (%v):\n%s\nits console:\n%s", err, r.Stdout, v.Console(40))
}
