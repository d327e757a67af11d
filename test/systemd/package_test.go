//go:build systemd

package systemd_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/test/harness"
	"github.com/queuemgr/queuemgr/test/systemd/guest"
)

// packages makes the .deb and the .rpm of versions, and returns a folder with VERSION.deb and VERSION.rpm.
func packages(t *testing.T, versions ...string) string {
	t.Helper()
	root, err := harness.SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, version := range versions {
		cmd := exec.CommandContext(t.Context(), "make", "package", "VERSION="+version)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make package: %v\n%s", err, out)
		}
		for _, format := range []string{"deb", "rpm"} {
			made, err := filepath.Glob(filepath.Join(root, "dist/*."+format))
			if err != nil || len(made) != 1 {
				t.Fatalf("packages: %v, %v", made, err)
			}
			data, err := os.ReadFile(made[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, version+"."+format), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// packageManager is how a package is installed, upgraded and removed.
type packageManager struct {
	format                   string
	install, upgrade, remove []string // without the package's file, and the last without its name
	own                      []string // files and folders that are the package manager's
	kept                     []string // ours that stay after the removal: the rest goes
}

// TestPackages installs, upgrades and removes the .deb by dpkg and the .rpm by rpm. Both install the same.
func TestPackages(t *testing.T) {
	dir := packages(t, "v1.0.0", "v1.1.0")
	deb := testPackage(t, dir, packageManager{format: "deb",
		install: []string{"dpkg", "-i"}, upgrade: []string{"dpkg", "-i"}, remove: []string{"dpkg", "--remove"},
		own:  []string{"/var/lib/dpkg/", "/var/log/dpkg.log"},
		kept: []string{"/etc/logrotate.d/queuemgr", "/etc/queuemgr", "/etc/queuemgr/config.toml", "/etc/queuemgr/run-as.toml"}})
	// What rpm asks for besides is Debian's here and unknown to rpm, which Debian wants to be told that it is meant.
	rpm := testPackage(t, dir, packageManager{format: "rpm",
		install: []string{"rpm", "--force-debian", "--nodeps", "-i"}, upgrade: []string{"rpm", "--force-debian", "--nodeps", "-U"}, remove: []string{"rpm", "--force-debian", "-e"},
		own:  []string{"/var/lib/rpm/", "/root/.rpmdb"},
		kept: []string{"/etc/queuemgr", "/etc/queuemgr/config.toml.rpmsave"}})
	if diff := cmp.Diff(deb, rpm); diff != "" {
		t.Errorf("the .deb and the .rpm install different things (-deb +rpm): %s", diff)
	}
}

// testPackage takes a package through its life and returns what it has installed, with types, modes and owners.
func testPackage(t *testing.T, dir string, m packageManager) map[string]string {
	t.Helper()
	v := boot(t)
	for _, version := range []string{"v1.0.0", "v1.1.0"} {
		v.CopyIn(filepath.Join(dir, version+"."+m.format), "/root/"+version+"."+m.format)
	}
	before := others(files(v), m)
	v.Run(append(m.install, "/root/v1.0.0."+m.format)...)
	installed := ours(v)
	for unit, enabled := range map[string]string{"queuemgr.service": "enabled", "queuemgr-runner.service": "static"} {
		if got := v.Run("systemctl", "show", "--property=ActiveState,UnitFileState,FragmentPath", unit); got != "ActiveState=active\nFragmentPath=/lib/systemd/system/"+unit+"\nUnitFileState="+enabled+"\n" {
			t.Errorf("%s: %s is\n%s", m.format, unit, got)
		}
	}
	if code, bad := findings(t, v); code != 0 || len(bad) > 0 {
		t.Errorf("%s: doctor: exit %d, %+v", m.format, code, bad)
	}
	if m.format == "rpm" {
		// Only the settings differ: they are put there anew for the daemon's group, which is made with the package.
		if code, out := try(t, v, "rpm -V --nodeps queuemgr"); strings.TrimSpace(out) != "......GT.  c /etc/queuemgr/config.toml" {
			t.Errorf("rpm -V: exit %d\n%s", code, out)
		}
	}

	sleeper(v)
	job := v.Run("pgrep", "-f", "job98765")
	v.Shell(`echo 'max_concurrent_jobs = 7' >/etc/queuemgr/config.toml`)
	v.Run(append(m.upgrade, "/root/v1.1.0."+m.format)...)
	if out := v.Run("queuemgr", "service", "status"); !strings.Contains(out, "queuemgr v1.1.0 ") || !strings.Contains(out, "1 running") {
		t.Errorf("%s: status:\n%s", m.format, out)
	}
	if now := v.Run("pgrep", "-f", "job98765"); now != job {
		t.Errorf("%s: the job was %s, is %s", m.format, job, now)
	}
	if got := v.ReadFile("/etc/queuemgr/config.toml"); got != "max_concurrent_jobs = 7\n" {
		t.Errorf("%s: settings: %s", m.format, got)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(installed)), slices.Sorted(maps.Keys(ours(v)))); diff != "" {
		t.Errorf("%s: files of the upgrade: %s", m.format, diff)
	}
	// Switched off by an administrator it stays off over an upgrade.
	v.Shell("systemctl disable --now queuemgr")
	v.Run(append(m.install[:len(m.install)-1:len(m.install)-1], reinstall(m, "/root/v1.1.0.")...)...)
	if code, out := try(t, v, "systemctl is-enabled queuemgr; systemctl is-active queuemgr"); code == 0 || out != "disabled\ninactive\n" {
		t.Errorf("%s: after an upgrade of what was switched off: %s", m.format, out)
	}
	v.Shell("systemctl enable --now queuemgr")
	sleeper(v)

	v.Run(append(m.remove, "queuemgr")...)
	if left := processes(v); left != "" {
		t.Errorf("%s: processes left:\n%s", m.format, left)
	}
	if _, out := try(t, v, "systemctl list-unit-files --no-legend 'queuemgr*'"); out != "" { // its exit code is 1 for none
		t.Errorf("%s: units left: %s", m.format, out)
	}
	if left := slices.DeleteFunc(slices.Sorted(maps.Keys(ours(v))), func(name string) bool { return strings.HasPrefix(name, "/var/l") }); !slices.Equal(left, m.kept) {
		t.Errorf("%s: left are %q, want %q", m.format, left, m.kept)
	}
	v.Shell("test -s /var/lib/queuemgr/registry.db; test ! -e /run/queuemgr; test ! -e /run/queuemgr-runner; id queuemgr")
	if m.format == "deb" {
		purged(t, v, before, m)
		return installed
	}
	// rpm has no purge. Installed again it goes on with the jobs on record.
	v.Run(append(m.install, "/root/v1.1.0."+m.format)...)
	if out := v.Run("queuemgr", "job", "list", "--state", "stopped"); strings.Count(out, "job98765") != 2 {
		t.Errorf("the jobs are not on record any more, or not stopped:\n%s", out)
	}
	return installed
}

// reinstall is what installs the same version once more, without the manager's last word.
func reinstall(m packageManager, file string) []string {
	if m.format == "rpm" {
		return []string{"-U", "--replacepkgs", file + m.format}
	}
	return []string{"-i", file + m.format}
}

// purged purges a removed .deb, which leaves nothing.
func purged(t *testing.T, v *guest.Guest, before map[string]string, m packageManager) {
	t.Helper()
	v.Run("dpkg", "--purge", "queuemgr")
	after := others(files(v), m)
	for name := range after {
		if _, was := before[name]; !was && strings.Contains(name, "queuemgr") {
			t.Errorf("left behind: %s", name)
		}
	}
	for _, name := range []string{"/etc/passwd", "/etc/group"} {
		if strings.Contains(after[name], "queuemgr") {
			t.Errorf("accounts left in %s", name)
		}
	}
}

// others returns files without the package manager's own.
func others(list map[string]string, m packageManager) map[string]string {
	maps.DeleteFunc(list, func(name, _ string) bool {
		return slices.ContainsFunc(m.own, func(own string) bool { return strings.HasPrefix(name, own) })
	})
	return list
}

// ours lists what is queuemgr's in the guest, with type, mode, owner and where a link leads. What the service itself writes is left out.
func ours(v *guest.Guest) map[string]string {
	list := map[string]string{}
	for line := range strings.Lines(v.Shell(`find /etc /opt /usr /var -xdev \( -path /var/lib/dpkg -o -path /var/lib/rpm -o -path /var/log/journal -o -path /var/tmp -o -path '/var/lib/queuemgr*/*' -o -path '/var/log/queuemgr/*' \) -prune \
		-o -path '*queuemgr*' -printf '%p %y %m %u:%g %l\n' || true`)) { // dpkg takes an empty /opt along
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		list[name] = rest
	}
	return list
}
