package doctor

import (
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/internal/install"
)

// TestSharedDropIns: what holds for other services, too, is never moved or changed.
func TestSharedDropIns(t *testing.T) {
	const limits, breaks = "/etc/systemd/system/service.d/limits.conf", "/etc/systemd/system/queuemgr-.service.d/k.conf"
	w := systemWorld(t)
	w.write(limits, "[Service]\nMemoryMax=1G\n", 0o644)
	w.units[install.DaemonUnit]["DropInPaths"] = limits
	if bad, _ := w.look(); len(bad) > 0 {
		t.Errorf("limits of every service: %+v", bad)
	}
	w.write(breaks, "[Service]\nKillMode=mixed\n", 0o644)
	w.units[install.RunnerUnit]["DropInPaths"] = limits + " " + breaks
	w.units[install.RunnerUnit]["KillMode"] = "mixed"
	bad, _ := w.look()
	if len(bad) != 1 || bad[0].Where != breaks || bad[0].Level != Problem || !strings.Contains(bad[0].What, "kills all jobs") ||
		bad[0].Remedy != "overrule it for this service alone: systemctl edit queuemgr-runner" {
		t.Errorf("got %+v", bad)
	}
}

// TestOverriddenDropIn: where systemd has read a drop-in, what is in force is judged.
func TestOverriddenDropIn(t *testing.T) {
	const file = "/etc/systemd/system/queuemgr.service.d/p.conf"
	w := systemWorld(t)
	w.write(file, "[Service]\nPrivateUsers=yes\nPrivateUsers=no\n", 0o644)
	w.units[install.DaemonUnit]["DropInPaths"] = file
	if bad, _ := w.look(); len(bad) > 0 {
		t.Errorf("what is overridden breaks nothing: %+v", bad)
	}
	w.units[install.DaemonUnit]["PrivateUsers"] = "yes"
	if bad, _ := w.look(); len(bad) != 1 || bad[0].Where != file {
		t.Errorf("got %+v", bad)
	}
}

// TestWritablePathQuoted: a shell and systemd take the path of the remedy as it is.
func TestWritablePathQuoted(t *testing.T) {
	w := systemWorld(t)
	w.in.Config.RegistryPath = "/srv/a b%/registry.jsonl"
	const want = `printf '%s\n' '[Service]' 'ReadWritePaths=/srv/a\ b%%' | tee `
	if bad, _ := w.look(); len(bad) != 1 || !strings.Contains(bad[0].Remedy, want) || !strings.Contains(bad[0].Remedy, "mkdir -p '/srv/a b%' ") {
		t.Errorf("got %+v", bad)
	}
}
