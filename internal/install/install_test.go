package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/job"
)

func TestInstall(t *testing.T) {
	m := newMachine(t)
	out := m.mustInstall()
	r := &run{Options: m.options()}
	for _, want := range []struct {
		name string
		mode os.FileMode
		own  owner
	}{
		{"/etc/queuemgr", 0o755, owner{}},
		{"/etc/queuemgr/config.toml", 0o640, owner{group: daemonGroup}},
		{"/etc/queuemgr/run-as.toml", 0o644, owner{}},
		{"/var/lib/queuemgr", 0o750, owner{daemonUser, daemonGroup}},
		{"/var/lib/queuemgr-runner", 0o700, owner{}},
		{"/var/lib/queuemgr-job", 0o750, owner{jobUser, jobUser}},
		{"/var/log/queuemgr", 0o751, owner{daemonUser, daemonGroup}},
		{"/var/log/queuemgr/jobs", 0o751, owner{daemonUser, daemonGroup}},
		{"/run/queuemgr", 0o755, owner{daemonUser, daemonGroup}},
		{"/run/queuemgr-runner", 0o755, owner{}},
		{"/opt/queuemgr/bin/queuemgr", 0o755, owner{}},
		{"/opt/queuemgr/bin/queuemgr-runner", 0o755, owner{}},
		{"/etc/systemd/system/queuemgr.service", 0o644, owner{}},
		{"/etc/systemd/system/queuemgr-runner.service", 0o644, owner{}},
		{"/etc/tmpfiles.d/queuemgr.conf", 0o644, owner{}},
		{"/etc/logrotate.d/queuemgr", 0o644, owner{}},
		{"/usr/local/share/man/man1/queuemgr-job.1", 0o644, owner{}},
		{"/usr/local/share/bash-completion/completions/queuemgr", 0o644, owner{}},
		{"/usr/local/share/zsh/site-functions/_queuemgr", 0o644, owner{}},
		{"/usr/local/share/fish/vendor_completions.d/queuemgr.fish", 0o644, owner{}},
	} {
		if !r.rightful(m.path(want.name), want.mode, want.own) {
			info, err := os.Lstat(m.path(want.name))
			t.Errorf("%s should be %s %04o: %v %v", want.name, want.own, want.mode, info, err)
		}
	}
	if target, err := os.Readlink(m.path("/usr/local/bin/queuemgr")); err != nil || target != "/opt/queuemgr/bin/queuemgr" {
		t.Errorf("the link in PATH: %q, %v", target, err)
	}
	if unit := m.read("/etc/systemd/system/queuemgr.service"); !strings.Contains(unit, "\nExecStart=/opt/queuemgr/bin/queuemgr daemon start\n") || strings.Contains(unit, "@") && !strings.Contains(unit, "@system-service") {
		t.Errorf("unit:\n%s", unit)
	}
	passwd, group := m.read("/etc/passwd"), m.read("/etc/group")
	if !strings.Contains(passwd, ":/var/lib/queuemgr:/usr/sbin/nologin\n") || !strings.Contains(passwd, ":/var/lib/queuemgr-job:/usr/sbin/nologin\n") {
		t.Errorf("passwd:\n%s", passwd)
	}
	if !strings.Contains(group, ":queuemgr\n") {
		t.Errorf("the daemon's user is not in the group queuemgr:\n%s", group)
	}
	for name, u := range m.units {
		if !u.active || u.enabled != (name == daemonUnit) {
			t.Errorf("%s: %+v", name, u)
		}
	}
	if !strings.Contains(out, "usermod -aG queuemgr NAME") || !strings.Contains(out, "runs, and starts with the machine") {
		t.Errorf("it said:\n%s", out)
	}
}

func TestAgainChangesNothing(t *testing.T) {
	m := newMachine(t)
	m.mustInstall()
	before := m.snapshot()
	pid := m.units[daemonUnit].pid
	out := m.mustInstall()
	if !strings.Contains(out, "nothing to change") || strings.Count(out, "\n") > 1+strings.Count(out, "warning:") {
		t.Errorf("it said:\n%s", out)
	}
	if diff := cmp.Diff(before, m.snapshot()); diff != "" || m.units[daemonUnit].pid != pid {
		t.Errorf("changed: %s", diff)
	}
	for _, call := range m.calls {
		for _, verb := range []string{"useradd", "groupadd", "usermod", "systemd-tmpfiles", "systemctl start", "systemctl restart", "daemon-reload"} {
			if strings.Contains(call, verb) {
				t.Errorf("called: %s", call)
			}
		}
	}
}

func TestDryRun(t *testing.T) {
	m := newMachine(t)
	before := m.snapshot()
	told := m.mustInstall(func(o *Options) { o.DryRun = true })
	if diff := cmp.Diff(before, m.snapshot()); diff != "" {
		t.Errorf("a dry run changed: %s", diff)
	}
	done := m.mustInstall()
	var want []string
	for line := range strings.Lines(told) {
		if step, ok := strings.CutPrefix(line, "would "); ok {
			want = append(want, step)
		}
	}
	var got []string
	for line := range strings.Lines(done) {
		if line == "\n" || strings.HasPrefix(line, "queuemgr is installed") || strings.HasPrefix(line, "warning:") {
			break
		}
		got = append(got, line)
	}
	// What the daemon's start brings along cannot be known before.
	want = without(want, "see to it that queuemgr-runner.service runs\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told and done differ: %s", diff)
	}
}

func without(list []string, word string) []string {
	var rest []string
	for _, s := range list {
		if s != word {
			rest = append(rest, s)
		}
	}
	return rest
}

var errInjected = errors.New("no space left on device")

// TestFailureIsUndone breaks an installation off after each of its steps that changed something.
func TestFailureIsUndone(t *testing.T) {
	for kind, prepare := range map[string]func(m *machine){
		"first": func(*machine) {},
		"upgrade": func(m *machine) {
			m.mustInstall()
			m.build("v2", "")
			m.write("/etc/systemd/system/queuemgr.service", "# Installed by queuemgr\n[Service]\nExecStart=/opt/queuemgr/bin/queuemgr daemon start --old\n")
		},
		"completion": func(m *machine) {
			m.mustInstall()
			for _, name := range []string{"/etc/logrotate.d/queuemgr", "/usr/local/bin/queuemgr", "/etc/systemd/system/queuemgr-runner.service"} {
				if err := os.Remove(m.path(name)); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(kind, func(t *testing.T) {
			for at, last := 1, false; !last; at++ {
				m := newMachine(t)
				prepare(m)
				before := m.snapshot()
				r, err := newRun(m.options())
				if err != nil {
					t.Fatal(err)
				}
				if err := r.check(t.Context()); err != nil {
					t.Fatal(err)
				}
				steps := r.systemSteps()
				n := 0
				for i := range steps {
					do := steps[i].do
					steps[i].do = func(ctx context.Context) (func(context.Context) error, error) {
						if n++; n > at {
							return nil, errInjected
						}
						return do(ctx)
					}
				}
				steps = append(steps, step{ // after the last one, too
					todo: func(context.Context) (string, error) { return "fail", nil },
					do:   func(context.Context) (func(context.Context) error, error) { last = true; return nil, errInjected },
				})
				err = r.apply(t.Context(), steps)
				if !errors.Is(err, errInjected) || strings.Contains(err.Error(), "not undone") {
					t.Fatalf("after %d steps: %v", at, err)
				}
				if diff := cmp.Diff(before, m.snapshot()); diff != "" {
					t.Fatalf("after %d steps (-before +after): %s\n%s", at, diff, m.out.String())
				}
			}
		})
	}
}

// TestCommandFailureIsUndone has each program that an installation runs fail.
func TestCommandFailureIsUndone(t *testing.T) {
	reference := newMachine(t)
	reference.mustInstall()
	for i, call := range reference.calls {
		if strings.HasPrefix(call, "systemd-analyze") || strings.Contains(call, "--help") {
			continue
		}
		m := newMachine(t)
		before := m.snapshot()
		n := -1
		m.fail = func(string) error {
			if n++; n == i {
				return errInjected
			}
			return nil
		}
		out, err := m.install()
		if err == nil {
			t.Fatalf("%s failed, and the installation did not:\n%s", call, out)
		}
		if diff := cmp.Diff(before, m.snapshot()); diff != "" {
			t.Errorf("after %s failed (-before +after): %s\n%s", call, diff, out)
		}
	}
}

func TestUpgrade(t *testing.T) {
	m := newMachine(t)
	m.mustInstall()
	runner := m.units[runnerUnit].pid
	m.build("v2", "")
	out := m.mustInstall(func(o *Options) { o.Upgrade = true })
	if !strings.Contains(m.read("/opt/queuemgr/bin/queuemgr"), "v2") || !strings.Contains(m.read("/opt/queuemgr/bin/queuemgr.previous"), "v1") {
		t.Errorf("programs were not swapped:\n%s", out)
	}
	if m.units[runnerUnit].pid != runner || m.units[daemonUnit].pid <= runner {
		t.Errorf("daemon %+v, runner %+v, which was %d", m.units[daemonUnit], m.units[runnerUnit], runner)
	}
	if !strings.Contains(out, "jobs went on") {
		t.Errorf("it said:\n%s", out)
	}
	if out := m.mustInstall(); !strings.Contains(out, "nothing to change") {
		t.Errorf("it said:\n%s", out)
	}
}

func TestUpgradeThatCrashesGoesBack(t *testing.T) {
	m := newMachine(t)
	m.mustInstall()
	before, runner := m.snapshot(), m.units[runnerUnit].pid
	m.build("v2", "crash")
	out, err := m.install()
	if err == nil || job.CodeOf(err) != job.Internal || !strings.Contains(err.Error(), "the service runs as before, and its jobs went on") {
		t.Errorf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(before, m.snapshot()); diff != "" {
		t.Errorf("(-before +after): %s", diff)
	}
	if m.units[runnerUnit].pid != runner {
		t.Error("the runner was restarted")
	}
}

// TestRestartThatFails has nothing to be done but a restart, which fails: the daemon is started again.
func TestRestartThatFails(t *testing.T) {
	m := newMachine(t)
	m.mustInstall()
	if err := removeIfThere(m.path(fmt.Sprintf("/proc/%d/exe", m.units[daemonUnit].pid))); err != nil {
		t.Fatal(err)
	}
	m.write(fmt.Sprintf("/proc/%d/exe", m.units[daemonUnit].pid), "another program")
	failed := false
	m.fail = func(line string) error {
		if strings.HasPrefix(line, "systemctl restart "+daemonUnit) && !failed {
			failed, m.units[daemonUnit].active = true, false
			return errors.New("exit status 1")
		}
		return nil
	}
	out, err := m.install()
	if err == nil || !failed || strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), "the service runs as before") {
		t.Errorf("%v\n%s", err, out)
	}
	if !m.units[daemonUnit].active {
		t.Errorf("the daemon does not run:\n%s", out)
	}
}

// backsUp makes the program of a version that is built know how to copy the registry.
func (m *machine) backsUp(version string) {
	m.t.Helper()
	m.build(version, "")
	text := `#!/bin/sh
case "$1 $2 $3" in
"registry backup --help") echo "usage: queuemgr registry backup FILE";;
"registry backup "*) [ ! -e "$3" ] && echo copy of ` + version + ` >"$3";;
*) echo queuemgr ` + version + `
esac
`
	if err := os.WriteFile(filepath.Join(m.source, program), []byte(text), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

// TestCopyBeforeAnUpgrade takes the place of the one before when the new daemon is tried, not sooner.
func TestCopyBeforeAnUpgrade(t *testing.T) {
	m := newMachine(t)
	m.backsUp("v1")
	m.mustInstall()
	m.write(libDir+"/registry.db", "the registry")
	m.backsUp("v2")
	m.mustInstall()
	if got := m.read(backupFile); got != "copy of v1\n" {
		t.Fatalf("the copy is %q", got)
	}

	m.backsUp("v3")
	m.fail = func(line string) error {
		if strings.HasSuffix(line, " daemon-reload") {
			m.fail = nil
			return errors.New("exit status 1")
		}
		return nil
	}
	// The unit differs, so that there is something to be loaded.
	unit := m.read("/etc/systemd/system/" + daemonUnit)
	m.write("/etc/systemd/system/"+daemonUnit, unit+"# more\n")
	if out, err := m.install(); err == nil || !strings.Contains(out, "back up the registry") {
		t.Fatalf("%v\n%s", err, out)
	}
	if m.read(backupFile) != "copy of v1\n" || m.exists(newBackup) {
		t.Errorf("it failed before the daemon was tried, and the copy is %q", m.read(backupFile))
	}
	if out := m.mustInstall(func(o *Options) { o.NoStart = true }); m.read(backupFile) != "copy of v2\n" || m.exists(newBackup) {
		t.Errorf("the copy is %q:\n%s", m.read(backupFile), out)
	}
}

// TestRoomForTheRegistry wants room for two copies of the registry and its log.
func TestRoomForTheRegistry(t *testing.T) {
	m := newMachine(t)
	m.mustInstall()
	m.build("v2", "")
	var fs unix.Statfs_t
	if err := unix.Statfs(m.root, &fs); err != nil {
		t.Fatal(err)
	}
	free := int64(fs.Bavail) * fs.Bsize
	for _, name := range []string{"/registry.db", "/registry.db-wal"} {
		m.write(libDir+name, "")
		if err := os.Truncate(m.path(libDir+name), free/3*2); err != nil { // a hole, which takes no room
			t.Fatal(err)
		}
		if _, err := m.install(); job.CodeOf(err) != job.Exhausted || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: %v", name, err)
		}
		if text := m.read("/opt/queuemgr/bin/queuemgr"); !strings.Contains(text, "v1") {
			t.Errorf("%s: the program is %s", name, text)
		}
		if err := os.Remove(m.path(libDir + name)); err != nil {
			t.Fatal(err)
		}
	}
	m.mustInstall()
}

// TestInPlace has the prefix be the checkout: the build replaces the programs that run.
func TestInPlace(t *testing.T) {
	m := newMachine(t)
	m.source = m.path("/opt/queuemgr/bin")
	m.write("/opt/queuemgr/install.sh", "")
	if err := os.MkdirAll(m.source, 0o755); err != nil {
		t.Fatal(err)
	}
	m.build("v1", "")
	m.mustInstall()
	first := m.units[daemonUnit].pid
	if out := m.mustInstall(); !strings.Contains(out, "nothing to change") {
		t.Errorf("it said:\n%s", out)
	}
	m.build("v2", "")
	if out := m.mustInstall(); m.units[daemonUnit].pid == first {
		t.Errorf("the new program does not run:\n%s", out)
	}
	if m.read("/opt/queuemgr/bin/queuemgr.previous") != m.read("/opt/queuemgr/bin/queuemgr") {
		t.Error("what runs is not kept for the next upgrade")
	}
	m.build("v3", "crash")
	out, err := m.install()
	if err == nil || !strings.Contains(m.read("/opt/queuemgr/bin/queuemgr"), "v2") || !m.units[daemonUnit].active {
		t.Errorf("%v, runs %s\n%s", err, m.read("/opt/queuemgr/bin/queuemgr"), out)
	}
	// The old way: stop, pull, build, install.
	m.units[daemonUnit].active = false
	m.build("v4", "crash")
	if out, err := m.install(); err == nil || !strings.Contains(m.read("/opt/queuemgr/bin/queuemgr"), "v2") {
		t.Errorf("%v, there is %s\n%s", err, m.read("/opt/queuemgr/bin/queuemgr"), out)
	}
}

func TestSettingsStay(t *testing.T) {
	m := newMachine(t)
	m.mustInstall()
	m.write(configFile, "max_concurrent_jobs = 7\n")
	m.write(runAsFile, "accounts = [\"root\"]\n")
	if out := m.mustInstall(); m.exists(configFile + ".new") {
		t.Errorf("no default is new, and yet:\n%s", out)
	}
	newer := func(o *Options) { o.Assets.Config = "# defaults 2\n#a = 2\n" }
	out := m.mustInstall(newer)
	if m.read(configFile) != "max_concurrent_jobs = 7\n" || m.read(runAsFile) != "accounts = [\"root\"]\n" {
		t.Error("settings were written over")
	}
	if m.read(configFile+".new") != "# defaults 2\n#a = 2\n" || !strings.Contains(out, "-# defaults 1\n-#a = 1\n+# defaults 2\n+#a = 2\n") {
		t.Errorf("the difference was not shown:\n%s", out)
	}
	if out := m.mustInstall(newer); !strings.Contains(out, "nothing to change") {
		t.Errorf("it said:\n%s", out)
	}
}

func TestUninstall(t *testing.T) {
	for _, purge := range []bool{false, true} {
		t.Run(fmt.Sprint("purge ", purge), func(t *testing.T) {
			m := newMachine(t)
			before := m.snapshot()
			m.mustInstall()
			m.build("v2", "")
			m.mustInstall()
			m.write("/var/lib/queuemgr/registry.db", "jobs")
			// Somebody began a removal by hand.
			if err := os.Remove(m.path("/etc/systemd/system/queuemgr.service")); err != nil {
				t.Fatal(err)
			}
			out, err := m.do(Uninstall, func(o *Options) { o.Purge = purge })
			if err != nil {
				t.Fatal(err)
			}
			after := m.snapshot()
			if purge {
				for _, dir := range emptyParents {
					delete(after, dir)
				}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("left behind: %s\n%s", diff, out)
				}
			} else {
				if m.read("/var/lib/queuemgr/registry.db") != "jobs" || !m.exists(configFile) || !strings.Contains(m.read("/etc/passwd"), "queuemgr-job:") {
					t.Error("more was removed than was asked for")
				}
				for name := range after {
					if strings.HasPrefix(name, "/opt/") || strings.HasPrefix(name, "/etc/systemd/system/") || strings.HasPrefix(name, "/usr") && strings.Contains(name, "queuemgr") {
						t.Errorf("left behind: %s", name)
					}
				}
			}
			if m.units[daemonUnit].active || m.units[runnerUnit].active || m.units[daemonUnit].enabled {
				t.Error("the service still runs")
			}
			if out, err := m.do(Uninstall, func(o *Options) { o.Purge = purge }); err != nil || !strings.Contains(out, "nothing to remove") {
				t.Errorf("again: %v\n%s", err, out)
			}
		})
	}
}

// emptyParents are folders of the system that a bare machine may lack; they stay.
var emptyParents = []string{"/opt", "/etc/tmpfiles.d", "/etc/logrotate.d",
	"/usr/local/share/man", "/usr/local/share/man/man1", "/usr/local/share/bash-completion", "/usr/local/share/bash-completion/completions",
	"/usr/local/share/zsh", "/usr/local/share/zsh/site-functions", "/usr/local/share/fish", "/usr/local/share/fish/vendor_completions.d"}

// TestRefusals shows each thing that stops an installation before anything is changed.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name   string
		set    func(m *machine)
		change func(*Options)
		code   job.Code
		want   string
	}{
		{"no root", nil, func(o *Options) { o.UID = 1000 }, job.Forbidden, "sudo"},
		{"no systemd", func(m *machine) { os.RemoveAll(m.path("/run/systemd")) }, nil, job.Invalid, "daemon start --daemon"},
		{"upgrade of nothing", nil, func(o *Options) { o.Upgrade = true }, job.NotFound, "not installed here"},
		{"no programs", func(m *machine) { os.Remove(filepath.Join(m.source, runnerProgram)) }, nil, job.NotFound, "make build"},
		{"a program of another machine", func(m *machine) {
			os.WriteFile(filepath.Join(m.source, program), []byte("\x7fELF"), 0o755)
		}, nil, job.Invalid, "architecture"},
		{"a person's account", func(m *machine) {
			m.write("/etc/passwd", "root:x:0:0::/:/bin/sh\nqueuemgr:x:1001:1001::/home/q:/bin/sh\n")
		}, nil, job.Conflict, "uid 1001"},
		{"masked", func(m *machine) { m.units[daemonUnit].masked = true }, nil, job.Conflict, "systemctl unmask queuemgr.service"},
		{"a package", func(m *machine) { m.write("/usr/lib/systemd/system/queuemgr.service", "") }, nil, job.Conflict, "apt or dnf"},
		{"relative prefix", nil, func(o *Options) { o.Prefix = "opt" }, job.Invalid, "absolute path"},
		{"prefix of words", nil, func(o *Options) { o.Prefix = "/opt/a b" }, job.Invalid, "absolute path"},
		{"prefix in a home", nil, func(o *Options) { o.Prefix = "/home/anna/q" }, job.Invalid, "out of reach"},
		{"prefix /", nil, func(o *Options) { o.Prefix = "/" }, job.Invalid, "absolute path"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			if test.set != nil {
				test.set(m)
			}
			before := m.snapshot()
			if test.change == nil {
				test.change = func(*Options) {}
			}
			_, err := m.install(test.change)
			if job.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v (%s), want %s with %q", err, job.CodeOf(err), test.code, test.want)
			}
			if diff := cmp.Diff(before, m.snapshot()); diff != "" {
				t.Errorf("changed: %s", diff)
			}
		})
	}
}

func TestOtherPrefix(t *testing.T) {
	m := newMachine(t)
	m.mustInstall(func(o *Options) { o.Prefix = "/srv/queue" })
	if !strings.Contains(m.read("/etc/systemd/system/queuemgr-runner.service"), "ExecStart=/srv/queue/bin/queuemgr-runner") {
		t.Error("the unit knows nothing of the prefix")
	}
	if out := m.mustInstall(); !strings.Contains(out, "nothing to change") {
		t.Errorf("without --prefix it is that of the installation:\n%s", out)
	}
	if _, err := m.install(func(o *Options) { o.Prefix = "/opt/queuemgr" }); job.CodeOf(err) != job.Conflict {
		t.Errorf("another prefix: %v", err)
	}
}

// TestForeignUnit keeps the unit of the Python service that is replaced.
func TestForeignUnit(t *testing.T) {
	m := newMachine(t)
	python := "[Service]\nExecStart=/usr/bin/python3 /opt/queuemgr/queuemgr.py\n"
	m.write("/etc/systemd/system/queuemgr.service", python)
	m.units[daemonUnit].active = true
	m.mustInstall()
	if m.read("/etc/systemd/system/queuemgr.service.old") != python {
		t.Error("the old unit is not kept")
	}
	if !m.units[runnerUnit].active {
		t.Error("the new service was not started")
	}
}

func TestUserService(t *testing.T) {
	m := newMachine(t)
	home := m.t.TempDir() + "/a 100% home"
	user := func(o *Options) {
		o.Kind, o.UID, o.Home = User, 1000, "/home/anna/.local/share/queuemgr"
		o.Environ = []string{"HOME=/home/anna"}
	}
	m.write("/home/anna/.bashrc", "")
	// Its units are elsewhere than the system's, which the machine's systemd reads.
	m.fail = func(line string) error {
		if line == "systemctl --user enable queuemgr.service" {
			for _, name := range []string{daemonUnit, runnerUnit} {
				m.write("/etc/systemd/system/"+name, strings.ReplaceAll(m.read("/home/anna/.config/systemd/user/"+name), m.source, "/bin"))
			}
			for _, name := range []string{program, runnerProgram} {
				m.write("/bin/"+name, "")
			}
		}
		return nil
	}
	out := m.mustInstall(user)
	unit := m.read("/home/anna/.config/systemd/user/queuemgr.service")
	if !strings.Contains(unit, "ExecStart="+m.source+"/queuemgr --home /home/anna/.local/share/queuemgr daemon start\n") {
		t.Errorf("unit:\n%s", unit)
	}
	if !m.units[daemonUnit].active || !strings.Contains(out, "your own queuemgr runs") || m.exists("/etc/queuemgr") || strings.Contains(m.read("/etc/passwd"), "queuemgr") {
		t.Errorf("it said:\n%s", out)
	}
	if got, want := unitPath(home), strings.ReplaceAll(strings.ReplaceAll(home, " ", `\x20`), "%", "%%"); got != want {
		t.Errorf("a home of words: %s, want %s", got, want)
	}
	own := []string{"HOME=" + m.path("/home/anna")}
	for at, want := range map[string]bool{"/home/anna/.local/share/queuemgr": true, "/home/anna/.local/share": false, "/home/anna/.local/share/queuemgr2": false} {
		if got := HasUserUnit(at, own); got != want {
			t.Errorf("a unit for %s: %t", at, got)
		}
	}
	if HasUserUnit("/home/anna/.local/share/queuemgr", []string{"HOME=" + m.path("/home/bert")}) || HasUserUnit("/home/anna/.local/share/queuemgr", nil) {
		t.Error("a unit of anna's is taken for another's")
	}
	if _, err := m.install(user, func(o *Options) { o.UID = 0 }); job.CodeOf(err) != job.Invalid {
		t.Errorf("root's own: %v", err)
	}
	out, err := m.do(Uninstall, user)
	if err != nil || m.exists("/home/anna/.config/systemd/user/queuemgr.service") || !m.exists("/home/anna/.local/share/queuemgr/lib") {
		t.Errorf("uninstall: %v\n%s", err, out)
	}
}
