package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/job"
)

// broken is one thing that is wrong in a world.
type broken struct {
	name   string
	breaks func(w *world)
	check  string
	level  Level
	what   string // a part of it
	remedy string // the whole of it; "" = not looked at
}

func (b broken) run(t *testing.T, w *world) {
	b.breaks(w)
	bad, _ := w.look()
	if len(bad) != 1 || bad[0].Check != b.check || bad[0].Level != b.level || !strings.Contains(bad[0].What, b.what) || b.remedy != "" && bad[0].Remedy != b.remedy {
		t.Errorf("want only a %s of %s with %q, remedy %q; got\n%+v", b.level, b.check, b.what, b.remedy, bad)
	}
	if len(bad) > 0 && bad[0].Remedy == "" && bad[0].Note == "" && b.level != Skipped {
		t.Errorf("no remedy: %+v", bad[0])
	}
	if len(bad) > 0 {
		commands := []string{bad[0].Remedy}
		for _, way := range bad[0].Or {
			commands = append(commands, way.Command)
		}
		for _, command := range commands {
			for _, part := range regexp.MustCompile(` (?:&&|\|) `).Split(command, -1) {
				word, _, _ := strings.Cut(strings.TrimPrefix(part, "sudo "), " ")
				if command != "" && !slices.Contains(programsOfRemedies, word) {
					t.Errorf("%q is no command: a shell can't take %q as it is", part, command)
				}
			}
		}
	}
}

// programsOfRemedies are what commands begin with: everything else is words.
var programsOfRemedies = strings.Fields("queuemgr systemctl systemd-tmpfiles journalctl loginctl chmod chown chgrp mkdir mv rm ln sed printf tee ps tail cat make newgrp usermod sysctl timedatectl mount dmesg du export ./install.sh")

func TestHealthy(t *testing.T) {
	for name, world := range map[string]func(*testing.T) *world{"system": systemWorld, "user": userWorld} {
		t.Run(name, func(t *testing.T) {
			bad, all := world(t).look()
			if len(bad) > 0 {
				t.Errorf("not in order: %+v", bad)
			}
			looked := map[string]bool{}
			for _, f := range all {
				looked[f.Check] = true
			}
			for _, c := range checks {
				if (c.of == nil || name == "system" && c.name != "lingering") && !looked[c.name] {
					t.Errorf("%s found nothing in order, though all is", c.name)
				}
			}
		})
	}
}

func TestUsersService(t *testing.T) {
	const home = "/home/anna/q"
	for _, b := range []broken{
		{"bad settings", func(w *world) {
			w.in.ConfigErr = &job.Error{Code: job.Invalid, Message: "config.toml:1:1: unknown setting", Hint: "did you mean x?"}
		}, "settings", Problem, "unknown setting", ""},
		{"others may write", func(w *world) { w.chmod(home+"/lib", 0o770) }, "folders", Problem, "others than you may change", "chmod go-w /home/anna/q/lib"},
		{"no way in", func(w *world) { w.chmod(home+"/log", 0o300) }, "folders", Problem, "you may not work in it", "chmod u+rwx /home/anna/q/log"},
		{"readable registry", func(w *world) { w.chmod(home+"/lib/registry.db", 0o640) }, "rights", Problem, "mode 0640", "chmod 0600 /home/anna/q/lib/registry.db"},
		{"open socket", func(w *world) { w.chmod(home+"/run/queuemgr.sock", 0o666) }, "rights", Problem, "mode is 0666 and must be 0600", "chmod 0600 /home/anna/q/run/queuemgr.sock"},
		{"page not served", func(w *world) { w.status.Web.Problem = "port 5000 is taken" }, "page", Problem, "not served: port 5000 is taken", ""},
		{"page wanted since", func(w *world) { w.status.Web = nil }, "page", Warning, "serves none", "queuemgr service restart"},
		{"no daemon", func(w *world) { w.dead(); w.remove(home + "/run/daemon.pid") }, "service", Warning, "does not run", "queuemgr service start"},
		{"killed", func(w *world) { w.dead(); w.remove(home + "/run/queuemgr.sock") }, "", "", "", ""},
		{"a home that can't be written", func(w *world) { w.chmod(home, 0o500) }, "folders", Problem, "you may not work in it", "chmod u+rwx /home/anna/q"},
		{"pid file of another", func(w *world) { w.write(home+"/run/daemon.pid", "7\n", 0o644) }, "service", Warning, "names process 7, and the daemon is 4001", ""},
		{"pid file damaged", func(w *world) { w.write(home+"/run/daemon.pid", "x\n", 0o644) }, "service", Warning, "no number", ""},
		{"pid file a pipe", func(w *world) {
			w.remove(home + "/run/daemon.pid")
			if err := syscall.Mkfifo(w.path(home+"/run/daemon.pid"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "service", Skipped, "the PID file can't be read: it is no regular file", ""},
		{"pid file gone", func(w *world) { w.remove(home + "/run/daemon.pid") }, "service", Warning, "PID file is gone", ""},
		{"old runner program", func(w *world) { w.programs["queuemgr-runner"] = "v1.0.0" }, "programs", Problem, "v1.0.0, the daemon's v1.2.3", ""},
		{"old daemon", func(w *world) { w.status.Version = "v1.0.0" }, "programs", Warning, "the daemon that runs is v1.0.0", "queuemgr service restart"},
		{"old runner", func(w *world) { w.status.Runner.Version = "v1.0.0" }, "programs", Warning, "the runner that runs is v1.0.0", "queuemgr service stop && queuemgr service start"},
		{"daemon's program replaced", func(w *world) {
			if err := os.Symlink("/home/anna/bin/queuemgr (deleted)", w.path("/proc/4001/exe")); err != nil {
				t.Fatal(err)
			}
		}, "programs", Warning, "has been replaced", ""},
		{"the daemon's own word", func(w *world) { w.status.Problems = []string{"registry.jsonl: no space left"} }, "service", Problem, "the daemon says: registry.jsonl: no space left", ""},
		{"damaged registry", func(w *world) {
			w.schemaErr = &job.Error{Code: job.Internal, Message: "it is damaged", Hint: "restore it"}
		}, "registry", Problem, "it is damaged", "queuemgr registry check"},
		{"newer registry", func(w *world) { w.schema = 9 }, "registry", Problem, "its schema is 9, this program knows 1", ""},
		{"unreadable registry", func(w *world) { w.schemaErr = fs.ErrPermission }, "registry", Skipped, "may not be read", ""},
		{"no ballast", func(w *world) { w.remove(home + "/lib/registry.db-ballast") }, "registry", Warning, "room that is kept", ""},
		{"lost registry", func(w *world) {
			for _, ending := range []string{"", "-wal", "-ballast"} {
				w.remove(home + "/lib/registry.db" + ending)
			}
		}, "registry", Problem, "its journal /home/anna/q/lib/registry.jsonl is there", "queuemgr registry import /home/anna/q/lib/registry.jsonl"},
		{"few descriptors", func(w *world) {
			w.in.Config.MaxConcurrentJobs = 70_000
			w.write("/proc/4002/limits", "Max open files 1024 4096 files\n", 0o644)
		}, "limits", Warning, "the bound of 1024 open files", "queuemgr service stop && queuemgr service start"},
		{"few processes", func(w *world) { w.write("/proc/4002/limits", "Max processes 100 100 processes\n", 0o644) }, "limits", Warning, "the bound of 100 processes", ""},
		{"few numbers", func(w *world) { w.write("/proc/sys/kernel/pid_max", "300\n", 0o644) }, "limits", Warning, "numbers for 300 processes",
			"sudo sysctl -w kernel.pid_max=32768"},
		{"clock set back", func(w *world) { w.in.Now = w.in.Now.Add(-time.Hour) }, "clock", Warning, "ahead of the clock", ""},
		{"clock not synchronized", func(w *world) { w.synced = false }, "clock", Warning, "not synchronized", "sudo timedatectl set-ntp true"},
		{"clock not told", func(w *world) { w.syncedErr, w.synced = errors.New("no"), false }, "clock", Skipped, "does not say", ""},
		{"floor above what is free", func(w *world) { w.in.Config.MinFreeSpace = 1 << 60 }, "", "", "", ""},
	} {
		t.Run(b.name, func(t *testing.T) {
			w := userWorld(t)
			if b.check == "" {
				b.breaks(w)
				bad, _ := w.look()
				if b.name == "killed" {
					if len(bad) != 2 || bad[1].Level != Problem || !strings.Contains(bad[1].What, "the last one was killed") || bad[1].Remedy != "queuemgr service start" {
						t.Errorf("got %+v", bad)
					}
					return
				}
				if len(bad) != 3 || bad[0].Check != "disk" || bad[0].Level != Problem || !strings.Contains(bad[0].What, "jobs are not added any more") {
					t.Errorf("got %+v", bad)
				}
				return
			}
			b.run(t, w)
		})
	}
}

// TestPort: without a daemon it is seen who else has the page's port; where no page is wanted, nobody cares.
func TestPort(t *testing.T) {
	w := userWorld(t)
	w.dead()
	w.remove(w.in.Paths.PIDFile())
	w.holder = "nginx (pid 7)"
	bad, _ := w.look()
	if len(bad) != 2 || bad[1].Check != "page" || bad[1].Level != Problem || !strings.Contains(bad[1].What, "nginx (pid 7)") || !strings.HasSuffix(bad[1].Remedy, "queuemgr service restart") {
		t.Errorf("got %+v", bad)
	}
	w.in.Config.Web.Listen = ""
	if bad, _ := w.look(); len(bad) != 1 || bad[0].Check != "service" {
		t.Errorf("got %+v", bad)
	}
}

// TestHeldRegistry: the kernel's table of locks says who holds the registry, and nobody tries the lock.
func TestHeldRegistry(t *testing.T) {
	w := userWorld(t)
	w.dead()
	var st syscall.Stat_t
	if err := syscall.Stat(w.path(w.in.Paths.RegistryLock()), &st); err != nil {
		t.Fatal(err)
	}
	w.write("/proc/locks", fmt.Sprintf("1: -> FLOCK ADVISORY WRITE 5 fe:00:%d 0 EOF\n2: FLOCK  ADVISORY  WRITE %d fe:00:%[1]d 0 EOF\n", st.Ino, daemonPID), 0o644)
	opened := w.path(fmt.Sprintf("/proc/%d/fd", daemonPID))
	if err := errors.Join(os.MkdirAll(opened, 0o700), os.Symlink(w.path(w.in.Paths.RegistryLock()), filepath.Join(opened, "5"))); err != nil {
		t.Fatal(err)
	}
	bad, _ := w.look()
	if len(bad) != 1 || bad[0].Level != Problem || !strings.Contains(bad[0].What, fmt.Sprintf("process %d holds the registry", daemonPID)) {
		t.Errorf("got %+v", bad)
	}
	w.write("/proc/locks", "", 0o644)
	bad, _ = w.look()
	if len(bad) != 2 || !strings.Contains(bad[1].What, fmt.Sprintf("names process %d, and no daemon runs", daemonPID)) {
		t.Errorf("got %+v", bad)
	}
}

func TestSystemService(t *testing.T) {
	const dropIns = "/etc/systemd/system/queuemgr.service.d"
	const runnerDropIns = "/etc/systemd/system/queuemgr-runner.service.d"
	for _, b := range []broken{
		{"no user", func(w *world) {
			w.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nqueuemgr:x:990:991::/:/bin/sh\n", 0o644)
		}, "accounts", Problem, "user queuemgr-job", "queuemgr service install"},
		{"not in the group", func(w *world) {
			w.write("/etc/group", "queuemgr-daemon:x:991:\nqueuemgr:x:994:\nqueuemgr-job:x:993:\n", 0o644)
		}, "accounts", Problem, "can't give its socket", "queuemgr service install"},
		{"folder missing", func(w *world) { w.remove("/var/lib/queuemgr-job") }, "folders", Problem, "missing", "queuemgr service install"},
		{"run folder missing", func(w *world) { w.remove("/run/queuemgr-runner") }, "folders", Problem, "missing", "systemd-tmpfiles --create queuemgr.conf"},
		{"folder's owner", func(w *world) { w.chown("/var/log/queuemgr", 0, 0) }, "folders", Problem, "must be queuemgr:queuemgr-daemon", "chown queuemgr:queuemgr-daemon /var/log/queuemgr"},
		{"folder's mode", func(w *world) { w.chmod("/var/lib/queuemgr", 0o777) }, "folders", Problem, "others may change", "chmod 0750 /var/lib/queuemgr"},
		{"registry's owner", func(w *world) { w.chown("/var/lib/queuemgr/registry.db", 0, 0) }, "rights", Problem, "must be queuemgr's", "chown queuemgr: /var/lib/queuemgr/registry.db"},
		{"journal's mode", func(w *world) { w.chmod("/var/lib/queuemgr-runner/runner.journal", 0o644) }, "rights", Problem, "mode 0644", "chmod 0600 /var/lib/queuemgr-runner/runner.journal"},
		{"socket's group", func(w *world) { w.chown("/run/queuemgr/queuemgr.sock", 990, 991) }, "rights", Problem, "can't connect", "chgrp queuemgr /run/queuemgr/queuemgr.sock"},
		{"program's owner", func(w *world) { w.chown("/opt/queuemgr/bin/queuemgr", 1000, 0) }, "rights", Problem, "could change", ""},
		{"settings writable", func(w *world) { w.chmod("/etc/queuemgr/config.toml", 0o666) }, "rights", Problem, "could change", "chmod go-w /etc/queuemgr/config.toml"},
		{"policy writable", func(w *world) { w.chmod(install.RunAsFile, 0o666) }, "policy", Problem, "could change who jobs run as", "chmod go-w /etc/queuemgr/run-as.toml"},
		{"policy wrong", func(w *world) { w.write(install.RunAsFile, "accounts = 5\n", 0o644) }, "policy", Problem, "run-as.toml:1", ""},
		{"unit missing", func(w *world) { w.remove("/etc/logrotate.d/queuemgr") }, "installation", Problem, "missing are /etc/logrotate.d/queuemgr",
			"queuemgr service install"},
		{"no runner", func(w *world) { w.remove("/opt/queuemgr/bin/queuemgr-runner") }, "installation", Problem, "missing are /opt/queuemgr/bin/queuemgr-runner",
			"./install.sh"},
		{"no link", func(w *world) { w.remove("/usr/local/bin/queuemgr") }, "programs", Problem, "PATH is missing", "ln -sfn /opt/queuemgr/bin/queuemgr /usr/local/bin/queuemgr"},
		{"unit changed", func(w *world) { w.write("/etc/systemd/system/queuemgr.service", "# Installed by queuemgr\n", 0o644) }, "units", Warning, "not that of version v1.2.3", "queuemgr service install"},
		{"no reload", func(w *world) { w.units[install.RunnerUnit]["NeedDaemonReload"] = "yes" }, "units", Warning, "has not read it", "systemctl daemon-reload"},
		{"disabled", func(w *world) { w.units[install.DaemonUnit]["UnitFileState"] = "disabled" }, "units", Warning, "does not start with the machine", "systemctl enable queuemgr.service"},
		{"systemd silent", func(w *world) { w.noSystemd = errors.New("no bus") }, "units", Warning, "no bus", ""},
		{"runner failed", func(w *world) { w.units[install.RunnerUnit]["ActiveState"] = "failed" }, "runner", Problem, "the runner has failed", ""},
		{"limit on the daemon", func(w *world) { w.write(dropIns+"/l.conf", "[Service]\n# no\nMemoryMax = 1G\n", 0o644) }, "drop-ins", Warning, "MemoryMax= on queuemgr.service bounds the daemon",
			"mkdir -p " + runnerDropIns + " && mv " + dropIns + "/l.conf " + runnerDropIns + "/l.conf && systemctl daemon-reload"},
		{"limit among others", func(w *world) { w.write(dropIns+"/l.conf", "[Service]\nMemoryMax=1G\nEnvironment=A=b\n", 0o644) }, "drop-ins", Warning, "MemoryMax=", "systemctl edit queuemgr-runner"},
		{"PrivateUsers", func(w *world) { w.write(dropIns+"/p.conf", "[Service]\nPrivateUsers=yes\n", 0o644) }, "drop-ins", Problem, "can't tell who connects",
			`sed -i '/^PrivateUsers[ \t]*=/d' ` + dropIns + "/p.conf && systemctl daemon-reload && systemctl restart queuemgr"},
		{"RuntimeDirectory", func(w *world) { w.write(dropIns+"/p.conf", "[Service]\nRuntimeDirectory=queuemgr\n", 0o644) }, "drop-ins", Problem, "removes that folder", ""},
		{"ExecStop", func(w *world) { w.write(dropIns+"/p.conf", "[Service]\nExecStop=\n", 0o644) }, "drop-ins", Warning, "ExecStop=", ""},
		{"KillMode in force", func(w *world) { w.units[install.RunnerUnit]["KillMode"] = "mixed" }, "drop-ins", Problem, "kills all jobs", "queuemgr service install"},
		{"Delegate", func(w *world) { w.write(runnerDropIns+"/d.conf", "[Service]\nDelegate=no\n", 0o644) }, "drop-ins", Problem, "Delegate=no", ""},
		{"StopPropagatedFrom", func(w *world) { w.units[install.RunnerUnit]["StopPropagatedFrom"] = "queuemgr.service" }, "drop-ins", Problem, "stops all jobs", ""},
		{"User", func(w *world) { w.write(runnerDropIns+"/d.conf", "[Service]\nUser=queuemgr\n", 0o644) }, "drop-ins", Problem, "must be root", ""},
		{"registry elsewhere", func(w *world) { w.in.Config.RegistryPath = "/srv/q/registry.jsonl" }, "paths", Problem, "registry_path lies where",
			`mkdir -p /srv/q ` + dropIns + ` && chown queuemgr:queuemgr-daemon /srv/q && printf '%s\n' '[Service]' ReadWritePaths=/srv/q | tee ` + dropIns + `/registry-path.conf && systemctl daemon-reload && systemctl restart queuemgr`},
		{"foreign daemon", func(w *world) { w.units[install.DaemonUnit]["MainPID"] = "0" }, "service", Warning, "is not systemd's", "queuemgr daemon stop --keep-jobs && systemctl start queuemgr"},
		{"stopped", func(w *world) {
			w.dead()
			w.remove("/run/queuemgr/daemon.pid")
			w.units[install.DaemonUnit]["ActiveState"] = "inactive"
		}, "service", Problem, "the service is stopped", "systemctl start queuemgr"},
		{"failed", func(w *world) {
			w.dead()
			w.remove("/run/queuemgr/daemon.pid")
			w.units[install.DaemonUnit]["ActiveState"], w.units[install.DaemonUnit]["Result"] = "failed", "watchdog"
		}, "service", Problem, "the daemon has failed (watchdog)", ""},
		{"TasksMax", func(w *world) { w.units[install.RunnerUnit]["TasksMax"] = "100" }, "limits", Warning, "TasksMax=100", ""},
		{"no controller", func(w *world) { w.units[install.RunnerUnit]["IOWeight"] = "50" }, "cgroup", Warning, "the controller io is not there", ""},
		{"mixed control groups", func(w *world) {
			w.write("/proc/mounts", "c /sys/fs/cgroup/memory cgroup rw 0 0\nc /sys/fs/cgroup/unified cgroup2 rw 0 0\n", 0o644)
		}, "cgroup", Warning, "1 and 2 mixed", ""},
		{"no control groups", func(w *world) { w.write("/proc/mounts", "", 0o644) }, "cgroup", Warning, "no control groups of version 2", ""},
	} {
		t.Run(b.name, func(t *testing.T) { b.run(t, systemWorld(t)) })
	}
}

// TestUnprivileged is a user of the system's service who is not root.
func TestUnprivileged(t *testing.T) {
	for _, b := range []struct {
		name, user string
		gids       []int
		what       string // "" = in order
		remedy     string
	}{
		{"member", "anna", []int{1000, 994}, "", ""},
		{"not in this login", "anna", []int{1000}, "this login does not know yet", "newgrp queuemgr"},
		{"not in the group", "otto", []int{1001}, "you are not in the group", `sudo usermod -aG queuemgr "$(id -un)"`},
	} {
		t.Run(b.name, func(t *testing.T) {
			w := systemWorld(t)
			w.in.UID, w.in.GIDs, w.in.Environ = 1000, b.gids, []string{"USER=" + b.user, "PATH=/usr/local/bin"}
			w.chmod("/var/lib/queuemgr", 0o755) // and what has to be mended is root's to mend
			bad, _ := w.look()
			if len(bad) == 0 || bad[0].Check == "folders" && b.what != "" {
				t.Fatalf("got %+v", bad)
			}
			if b.what != "" && (!strings.Contains(bad[0].What, b.what) || bad[0].Remedy != b.remedy) {
				t.Errorf("got %+v", bad[0])
			}
			if last := bad[len(bad)-1]; last.Remedy != "sudo chmod 0750 /var/lib/queuemgr" {
				t.Errorf("the remedy of another's is %q", last.Remedy)
			}
		})
	}
	e := &exam{Input: Input{UID: 1000, Loaded: Loaded{Command: "queuemgr"}}}
	e.skip("/x", &fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}, "no")
	if f := e.findings[0]; f.Level != Skipped || f.Remedy != "sudo queuemgr doctor" {
		t.Errorf("what only root can look at: %+v", f)
	}
}

// TestLeftOver: a removal that was begun by hand, and one that left what is kept.
func TestLeftOver(t *testing.T) {
	w := systemWorld(t)
	w.dead()
	for _, name := range []string{"/opt/queuemgr", "/etc/systemd/system/queuemgr.service", "/etc/systemd/system/queuemgr-runner.service", "/usr/local/bin/queuemgr", "/run/queuemgr/daemon.pid"} {
		w.remove(name)
	}
	w.in.Program = "/root/queuemgr"
	w.units = map[string]map[string]string{install.DaemonUnit: {"LoadState": "not-found", "ActiveState": "inactive"}, install.RunnerUnit: {"LoadState": "not-found"}}
	bad, _ := w.look()
	if len(bad) != 1 || bad[0].Check != "installation" || !strings.Contains(bad[0].What, "is not installed") || len(bad[0].Or) != 1 || bad[0].Or[0].Command != "queuemgr service uninstall --purge" {
		t.Errorf("got %+v", bad)
	}
}

// TestUserUnits is a user's own service that systemd runs.
func TestUserUnits(t *testing.T) {
	w := userWorld(t)
	w.write("/run/systemd/system/x", "", 0o644)
	const unit = "/home/anna/.config/systemd/user/queuemgr.service"
	w.write(unit, "# Installed by queuemgr\nExecStart=/home/anna/bin/queuemgr --home /home/anna/q daemon start\n", 0o644)
	inst, err := install.Examine(t.Context(), install.Options{Kind: install.User, Root: w.in.Root, Home: "/home/anna/q", Source: "/home/anna/bin", Environ: w.in.Environ, Exec: w.exec})
	if err != nil || !inst.Installed {
		t.Fatal(inst, err)
	}
	for name, text := range inst.Units {
		w.write("/home/anna/.config/systemd/user/"+name, string(text), 0o644)
	}
	delete(w.units[install.DaemonUnit], "ProtectSystem")
	if bad, _ := w.look(); len(bad) > 0 {
		t.Errorf("not in order: %+v", bad)
	}
	broken{"lingering", func(w *world) { w.linger = "no" }, "lingering", Warning, "lingering is off", "loginctl enable-linger"}.run(t, w)
	w.linger = "yes"
	broken{"disabled", func(w *world) { w.units[install.DaemonUnit]["UnitFileState"] = "disabled" }, "units", Warning, "disabled", "systemctl --user enable queuemgr.service"}.run(t, w)
}

func TestFileSystems(t *testing.T) {
	for _, f := range []struct {
		name  string
		flags int64
		kind  uint64
		level Level // "" = nothing is said
		what  string
	}{
		{"/lib", 0, 0xef53, "", ""},
		{"/lib", 0, 0x6969, Warning, "on NFS"},
		{"/lib", 0, 0x01021994, Warning, "in memory (tmpfs)"},
		{"/log", 0, 0x01021994, "", ""},
		{"/lib", 0, layered, "", ""}, // no container here
		{"/log", 1, 0xef53, Problem, "read-only"},
	} {
		e := &exam{Input: Input{Root: t.TempDir()}}
		e.Paths.Lib = "/lib"
		e.fileSystem(f.name, f.flags, f.kind)
		switch {
		case f.level == "" && len(e.findings) > 0:
			t.Errorf("%s %#x: %+v", f.name, f.kind, e.findings)
		case f.level != "" && (len(e.findings) != 1 || e.findings[0].Level != f.level || !strings.Contains(e.findings[0].What, f.what)):
			t.Errorf("%s %#x: %+v", f.name, f.kind, e.findings)
		}
	}
}

func TestRoom(t *testing.T) {
	w := userWorld(t)
	for _, r := range []struct {
		free             int64
		inodes, freeOnes uint64
		level            Level
	}{{63 << 20, 100, 100, Problem}, {100 << 20, 0, 0, Warning}, {1 << 40, 1 << 20, 5, Problem}, {1 << 40, 1 << 20, 1 << 19, OK}, {1 << 40, 0, 0, OK}} {
		e := &exam{Input: w.in}
		e.room(w.in.Paths.Lib, r.free, r.inodes, r.freeOnes)
		if e.findings[0].Level != r.level {
			t.Errorf("%+v: %+v", r, e.findings)
		}
	}
}

func TestQuote(t *testing.T) {
	for word, want := range map[string]string{"/a/b-c.d": "/a/b-c.d", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'"} {
		if got := Quote(word); got != want {
			t.Errorf("%q is quoted as %s, want %s", word, got, want)
		}
	}
}
