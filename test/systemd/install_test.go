//go:build systemd

package systemd_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/test/harness"
	"github.com/queuemgr/queuemgr/test/systemd/guest"
)

// crashing is the program of a release whose daemon does not start.
const crashing = `package main

import (
	"os"

	"github.com/queuemgr/queuemgr"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "daemon" && os.Args[2] == "start" {
		panic("this release does not start")
	}
	os.Exit(queuemgr.New().Main())
}
`

// release returns a folder on the host with the unpacked release of a version; one called crash does not start.
func release(t *testing.T, version string) string {
	t.Helper()
	root, err := harness.SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), version)
	args := []string{"build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(dir, "bin") + "/",
		fmt.Sprintf("-ldflags=-s -w -X github.com/queuemgr/queuemgr.version=%s -X github.com/queuemgr/queuemgr/internal/runner.Version=%[1]s", version)}
	if version == "crash" {
		main := filepath.Join(t.TempDir(), "main.go")
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "cmd/queuemgr/main.go"): main}})
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string][]byte{main: []byte(crashing), main + ".json": overlay} {
			if err := os.WriteFile(name, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		args = append(args, "-overlay="+main+".json")
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./cmd/queuemgr", "./cmd/queuemgr-runner")...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build release %s: %v\n%s", version, err, out)
	}
	script, err := os.ReadFile(filepath.Join(root, "install.sh"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "install.sh"), script, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// boot boots a container with the unpacked releases in /root/VERSION.
func boot(t *testing.T, versions ...string) *guest.Guest {
	t.Helper()
	v := ground.Boot(t, guest.Container)
	for _, version := range versions {
		v.CopyIn(release(t, version), "/root/"+version)
	}
	return v
}

// try runs a script as root and returns its exit code and all that it wrote.
func try(t *testing.T, v *guest.Guest, script string) (int, string) {
	t.Helper()
	r, err := v.Exec(t.Context(), guest.Command{Argv: []string{"sh", "-uc", script}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Code, r.Stdout + r.Stderr
}

// files lists what an installation could change, with owner, mode, size and, for files, the time of the last change.
func files(v *guest.Guest) map[string]string {
	list := map[string]string{}
	// What comes and goes meanwhile makes find fail.
	for line := range strings.Lines(v.Shell(`find /etc /opt /usr /var/lib /var/log -xdev \
		\( -path /var/log/journal -o -path /var/lib/systemd -o -path '/etc/*-' -o -path /etc/.pwd.lock -o -path '/var/lib/queuemgr/*' -o -path /var/log/queuemgr/daemon.log \) -prune -o \
		-type d -printf '%p %y %m %U:%G\n' -o -printf '%p %y %m %U:%G %s %T@ %l\n' || true`)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		list[name] = rest
	}
	for _, name := range []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"} {
		list[name] = v.ReadFile(name) // a removed user leaves another time
	}
	return list
}

// processes lists those of the service and its jobs.
func processes(v *guest.Guest) string {
	return v.Shell(`ps -eo pid=,user=,args= | grep -E 'queuemgr|job98765' | grep -v grep || true`)
}

// sleeper adds a job that waits for ever, and returns when it runs. Its process is recognized by the word job98765.
func sleeper(v *guest.Guest) {
	// Root's job runs as another user, which has no way into /root.
	v.Shell(`cd /; rm -f /run/up /run/never; mkfifo -m 666 /run/up /run/never
		queuemgr job add -- sh -c 'echo up >/run/up; read -r x </run/never' job98765
		timeout 30 sh -c 'read -r up </run/up'`)
}

func TestInstallTwice(t *testing.T) {
	v := boot(t, "v1.0.0")
	v.Run("/root/v1.0.0/install.sh")
	for _, unit := range []string{"queuemgr.service", "queuemgr-runner.service"} {
		if got := v.Run("systemctl", "show", "--property=ActiveState", "--value", unit); got != "active\n" {
			t.Fatalf("%s is %s", unit, got)
		}
	}
	if code, out := try(t, v, `systemd-analyze verify --man=no /etc/systemd/system/queuemgr.service /etc/systemd/system/queuemgr-runner.service`); code != 0 || strings.Contains(out, "queuemgr") {
		t.Errorf("systemd-analyze verify: exit %d\n%s", code, out)
	}
	if code, out := try(t, v, `systemd-analyze security --no-pager --threshold=20 queuemgr.service`); code != 0 {
		t.Errorf("systemd-analyze security: exit %d\n%s", code, out)
	}
	before, pid := files(v), v.Run("systemctl", "show", "--property=MainPID", "queuemgr.service", "queuemgr-runner.service")
	if out := v.Run("/root/v1.0.0/install.sh"); !strings.Contains(out, "nothing to change") {
		t.Errorf("it said:\n%s", out)
	}
	if diff := cmp.Diff(before, files(v)); diff != "" {
		t.Errorf("the second run changed: %s", diff)
	}
	if now := v.Run("systemctl", "show", "--property=MainPID", "queuemgr.service", "queuemgr-runner.service"); now != pid {
		t.Errorf("processes were %s, are %s", pid, now)
	}
	v.Shell(`useradd -m -G queuemgr anna; useradd -m otto`)
	v.RunAs("anna", "queuemgr", "job", "add", "--wait", "--", "sh", "-c", "id -un >~/who")
	if who := v.ReadFile("/home/anna/who"); who != "anna\n" {
		t.Errorf("the job of anna ran as %s", who)
	}
	r, err := v.Exec(t.Context(), guest.Command{User: "otto", Argv: []string{"queuemgr", "job", "add", "true"}})
	if err != nil || r.Code == 0 {
		t.Errorf("who is not in the group added a job: %v %+v", err, r)
	}
}

func TestUninstallLeavesNothing(t *testing.T) {
	v := boot(t, "v1.0.0")
	before := files(v)
	v.Run("/root/v1.0.0/install.sh")
	sleeper(v)
	v.Run("/root/v1.0.0/install.sh", "--uninstall")
	if left := processes(v); left != "" {
		t.Errorf("processes left:\n%s", left)
	}
	if _, out := try(t, v, "systemctl list-unit-files --no-legend 'queuemgr*'"); out != "" { // its exit code is 1 for none
		t.Errorf("units left: %s", out)
	}
	v.Run("test", "-s", "/var/lib/queuemgr/registry.db")
	v.Run("/root/v1.0.0/install.sh")
	if out := v.Run("queuemgr", "job", "list", "--state", "stopped"); !strings.Contains(out, "job98765") {
		t.Errorf("the job is not on record any more, or not stopped:\n%s", out)
	}
	v.Run("/root/v1.0.0/install.sh", "--uninstall", "--purge")
	after := files(v)
	// Folders that this Debian lacks and a shell or man looks into stay; the programs of systemd and shadow write the others.
	for name := range after {
		if _, was := before[name]; !was && !strings.Contains(name, "queuemgr") {
			t.Logf("there now: %s %s", name, after[name])
			delete(after, name)
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("left behind: %s", diff)
	}
}

// TestOldRemoval is the removal by hand that the README of the Python service told.
func TestOldRemoval(t *testing.T) {
	v := boot(t, "v1.0.0")
	v.Run("/root/v1.0.0/install.sh")
	sleeper(v)
	v.Shell(`systemctl stop queuemgr
systemctl disable queuemgr
rm /etc/systemd/system/queuemgr.service
systemctl daemon-reload
rm -rf /opt/queuemgr`)
	if left := processes(v); left != "" {
		t.Errorf("processes left:\n%s", left)
	}
	if code, out := try(t, v, "systemctl cat queuemgr.service 2>&1"); code == 0 {
		t.Errorf("the unit is still known:\n%s", out)
	}
	if out := v.Run("/root/v1.0.0/install.sh"); !strings.Contains(out, "an installation that is not whole is completed") {
		t.Errorf("it said:\n%s", out)
	}
	v.Shell("cd /; queuemgr job add --wait true")
}

// TestCrashOfTheDaemon has systemd start it again: a crash must not look like a stop to the runner's unit.
func TestCrashOfTheDaemon(t *testing.T) {
	v := boot(t, "v1.0.0")
	v.Run("/root/v1.0.0/install.sh")
	sleeper(v)
	before := v.Run("pgrep", "-f", "job98765|queuemgr-runner")
	v.Shell(`journalctl --sync; journalctl --follow --lines=0 -u queuemgr.service >/run/said & reader=$!
		kill -9 $(systemctl show --property=MainPID --value queuemgr.service)
		timeout 60 sh -c 'tail -n +1 -f /run/said | grep -q -m1 "daemon ready"'; kill $reader`)
	if now := v.Run("pgrep", "-f", "job98765|queuemgr-runner"); now != before {
		t.Errorf("runner and job were %s, are %s", before, now)
	}
	if out := v.Run("queuemgr", "job", "list", "--state", "running"); !strings.Contains(out, "job98765") {
		t.Errorf("running:\n%s", out)
	}
}

func TestUpgradeThatCrashes(t *testing.T) {
	v := boot(t, "v1.0.0", "v1.1.0", "crash")
	v.Run("/root/v1.0.0/install.sh")
	for range 3 {
		sleeper(v)
	}
	jobs := func() string { return v.Shell(`ps -eo pid=,lstart=,args= | grep '[j]ob98765'`) }
	before := jobs()
	code, out := try(t, v, "/root/crash/install.sh --upgrade")
	if code != 1 || !strings.Contains(out, "the service runs as before, and its jobs went on") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if got := v.Run("queuemgr", "version"); !strings.HasPrefix(got, "queuemgr v1.0.0 ") {
		t.Errorf("installed is %s", got)
	}
	if out := v.Run("queuemgr", "service", "status"); !strings.Contains(out, "3 running") {
		t.Errorf("status:\n%s", out)
	}
	v.Run("/root/v1.1.0/install.sh", "--upgrade")
	if out := v.Run("queuemgr", "service", "status"); !strings.Contains(out, "queuemgr v1.1.0 ") || !strings.Contains(out, "3 running") {
		t.Errorf("status:\n%s", out)
	}
	if now := jobs(); now != before {
		t.Errorf("jobs were\n%sare\n%s", before, now)
	}
}

func TestBadInput(t *testing.T) {
	v := boot(t, "v1.0.0", "v1.1.0")
	v.Shell(`cp -r /root/v1.0.0 /srv/q; useradd -m otto`)
	unchanged := func(what string, code int, want, script string) {
		t.Helper()
		before := files(v)
		got, out := try(t, v, script)
		if got != code || !strings.Contains(out, want) || !strings.Contains(out, "hint: ") {
			t.Errorf("%s: exit %d, want %d with %q\n%s", what, got, code, want, out)
		}
		if diff := cmp.Diff(before, files(v)); diff != "" {
			t.Errorf("%s changed: %s", what, diff)
		}
	}
	unchanged("no root", 6, "only root may", `runuser -u otto -- /srv/q/install.sh`)
	unchanged("unknown option", 2, "unknown option --frobnicate", `/srv/q/install.sh --frobnicate`)
	unchanged("option behind", 2, "unknown option --frobnicate", `/srv/q/install.sh --no-start --frobnicate`)
	unchanged("upgrade of nothing", 3, "not installed here", `/srv/q/install.sh --upgrade`)
	unchanged("no systemd", 2, "systemd does not run here", `unshare --mount sh -c 'mount -t tmpfs none /run/systemd && exec /srv/q/install.sh'`)
	unchanged("read-only /etc", 6, "read-only", `unshare --mount sh -c 'mount --bind /etc /etc && mount -o remount,bind,ro /etc && exec /srv/q/install.sh'`)
	unchanged("small disk", 1, "KiB are needed", `mkdir -p /mnt/small && unshare --mount sh -c 'mount -t tmpfs -o size=8M none /mnt/small && exec /srv/q/install.sh --prefix /mnt/small/queue'; code=$?; rmdir /mnt/small; exit $code`)

	v.Run("systemd-run", "--unit=other", "--socket-property=ListenStream=127.0.0.1:5000", "/bin/cat")
	if out := v.Run("/srv/q/install.sh", "--dry-run"); !strings.Contains(out, "warning: another program has the port") {
		t.Errorf("the port is taken, and it said:\n%s", out)
	}
	v.Run("systemctl", "stop", "other.socket")

	v.Run("/srv/q/install.sh")
	unchanged("disk full during an upgrade", 1, "KiB are needed",
		`unshare --mount sh -c 'mount -t tmpfs -o size=24M none /mnt && cp -a /opt/queuemgr /mnt/ && mount --bind /mnt /opt && exec /root/v1.1.0/install.sh'`)
	v.Shell("cd /; queuemgr job add --wait true")
}
