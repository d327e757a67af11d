package doctor

import (
	"slices"
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
		bad[0].Remedy != "systemctl edit queuemgr-runner" || bad[0].Note != "overrule it for this service alone" {
		t.Errorf("got %+v", bad)
	}
}

// TestOverriddenDropIn: where systemd has read a drop-in, what is in force is judged; else what systemd will make of the lines.
func TestOverriddenDropIn(t *testing.T) {
	const dir = "/etc/systemd/system/queuemgr.service.d/"
	for _, c := range []struct {
		name  string
		files [][2]string // name, lines
		read  bool        // by systemd, which has made no= of it
		where string      // of the only problem; "" = there is none
		what  string
	}{
		{"read", [][2]string{{dir + "p.conf", "PrivateUsers=yes\nPrivateUsers=no\n"}}, true, "", ""},
		{"overridden by a later file", [][2]string{{dir + "10-a.conf", "PrivateUsers=yes\n"}, {dir + "20-b.conf", "PrivateUsers=no\n"}}, false, "", ""},
		{"the later file breaks it", [][2]string{{dir + "10-a.conf", "PrivateUsers=no\n"}, {dir + "20-b.conf", "PrivateUsers=Yes\n"}}, false, dir + "20-b.conf", "PrivateUsers=Yes"},
		{"both break it", [][2]string{{dir + "10-a.conf", "PrivateUsers=yes\n"}, {dir + "20-b.conf", "PrivateUsers=full\n"}}, false, dir + "20-b.conf", "PrivateUsers=full"},
		{"a list that is emptied", [][2]string{{dir + "10-a.conf", "RuntimeDirectory=queuemgr\nRuntimeDirectory=\n"}}, false, "", ""},
		{"a list that is lengthened", [][2]string{{dir + "10-a.conf", "RuntimeDirectory=\nRuntimeDirectory=queuemgr\n"}}, false, dir + "10-a.conf", "RuntimeDirectory=queuemgr"},
		{"a limit that is taken back", [][2]string{{dir + "10-a.conf", "MemoryMax=1G\n"}, {dir + "20-b.conf", "MemoryMax=infinity\n"}}, true, "", ""},
		{"a limit that is set anew", [][2]string{{dir + "10-a.conf", "MemoryMax=1G\n"}, {dir + "20-b.conf", "MemoryMax=2G\n"}}, true, dir + "20-b.conf", "MemoryMax="},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := systemWorld(t)
			var names []string
			for _, f := range c.files {
				w.write(f[0], "[Service]\n"+f[1], 0o644)
				names = append(names, f[0])
			}
			if u := w.units[install.DaemonUnit]; c.read {
				u["DropInPaths"] = strings.Join(names, " ")
			} else {
				u["NeedDaemonReload"] = "yes"
			}
			bad, _ := w.look()
			bad = slices.DeleteFunc(bad, func(f Finding) bool { return f.Check == "units" }) // that it is to be read
			switch {
			case c.where == "" && len(bad) > 0:
				t.Errorf("got %+v", bad)
			case c.where != "" && (len(bad) != 1 || bad[0].Check != "drop-ins" || bad[0].Where != c.where || !strings.HasPrefix(bad[0].What, c.what)):
				t.Errorf("want %s in %s alone, got %+v", c.what, c.where, bad)
			}
		})
	}
}

// TestDependenciesStay: a dependency can't be taken back by an empty line; drop-ins are read by name, whatever their folders.
func TestDependenciesStay(t *testing.T) {
	const first, second = "/etc/systemd/system/queuemgr-runner.service.d/10-a.conf", "/run/systemd/system/queuemgr-runner.service.d/20-b.conf"
	w := systemWorld(t)
	w.write(first, "[Unit]\nPartOf=queuemgr.service\n[Service]\nKillMode=process\n", 0o644)
	w.write(second, "[Unit]\nPartOf=\n[Service]\nKillMode=control-group\n", 0o644)
	u := w.units[install.RunnerUnit]
	u["DropInPaths"], u["PartOf"], u["KillMode"] = second+" "+first, "queuemgr.service", "control-group"
	bad, _ := w.look()
	if len(bad) != 2 || bad[0].Where != second || !strings.HasPrefix(bad[0].What, "KillMode=control-group") || bad[1].Where != first || !strings.HasPrefix(bad[1].What, "PartOf=queuemgr.service") {
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
