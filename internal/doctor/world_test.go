package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/job"
)

// world is a machine in a folder, with a service that is well, to be broken.
type world struct {
	t         *testing.T
	in        Input
	status    *job.Status // nil = no daemon answers
	statusErr error
	units     map[string]map[string]string
	linger    string
	programs  map[string]string // versions by name
	synced    bool
	syncedErr error
	schema    int64
	schemaErr error
	holder    string // of the page's port
	noSystemd error
	daemonUID int
	daemonGID int
	members   int // gid of the group
}

const (
	daemonPID = 4001
	runnerPID = 4002
	version   = "v1.2.3"
)

func (w *world) path(name string) string { return filepath.Join(w.in.Root, name) }

// write makes a file with its folders.
func (w *world) write(name, text string, mode fs.FileMode) {
	w.t.Helper()
	path := w.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		w.t.Fatal(err)
	}
	w.chmod(name, mode)
}

func (w *world) chmod(name string, mode fs.FileMode) {
	w.t.Helper()
	if err := os.Chmod(w.path(name), mode); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) chown(name string, uid, gid int) {
	w.t.Helper()
	if err := os.Lchown(w.path(name), uid, gid); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.RemoveAll(w.path(name)); err != nil {
		w.t.Fatal(err)
	}
}

// listen makes a socket.
func (w *world) listen(name string, mode fs.FileMode) {
	w.t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Chdir(filepath.Dir(w.path(name))) // a socket's path is limited
	l, err := (&net.ListenConfig{}).Listen(w.t.Context(), "unix", filepath.Base(name))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	w.t.Chdir(wd)
	w.chmod(name, mode)
}

// exec stands for the programs of the machine.
func (w *world) exec(_ context.Context, name string, args ...string) (string, error) {
	line := strings.Join(append([]string{filepath.Base(name)}, args...), " ")
	switch {
	case strings.HasPrefix(line, "systemctl ") && strings.Contains(line, "show "):
		if w.noSystemd != nil {
			return "", w.noSystemd
		}
		var b strings.Builder
		for key, value := range w.units[args[len(args)-1]] {
			fmt.Fprintf(&b, "%s=%s\n", key, value)
		}
		return b.String(), nil
	case strings.HasPrefix(line, "loginctl show-user "):
		return "Linger=" + w.linger + "\n", nil
	case strings.HasSuffix(line, " version") || strings.HasSuffix(line, " --version"):
		return filepath.Base(name) + " " + w.programs[filepath.Base(name)] + "\n", nil
	}
	return "", fmt.Errorf("%s is not of this world", line)
}

// newWorld makes what is common to both kinds.
func newWorld(t *testing.T, kind install.Kind, paths config.Paths) *world {
	t.Helper()
	w := &world{t: t, synced: true, schema: 1, linger: "yes", programs: map[string]string{"queuemgr": version, "queuemgr-runner": version},
		status: &job.Status{Version: version, PID: daemonPID, Uptime: job.Duration(time.Hour), Runner: job.RunnerStatus{PID: runnerPID, Version: version}, Web: &job.WebStatus{Listen: "127.0.0.1:5000", URL: "http://127.0.0.1:5000/"}}}
	w.in = Input{Root: t.TempDir(), Kind: kind, Paths: paths, Loaded: Loaded{Config: config.Defaults(paths), Command: "queuemgr"}, Version: version, UID: os.Geteuid(),
		Now: time.Now(), Exec: w.exec,
		Ask:          func(context.Context) (*job.Status, error) { return w.status, w.statusErr },
		Registry:     func(context.Context, string) (int64, int64, error) { return w.schema, 1, w.schemaErr },
		Holder:       func(string) string { return w.holder },
		Synchronized: func() (bool, error) { return w.synced, w.syncedErr }}
	w.units = map[string]map[string]string{
		install.DaemonUnit: {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no", "MainPID": fmt.Sprint(daemonPID),
			"PrivateUsers": "no", "ProtectSystem": "strict", "ReadWritePaths": "/var/lib/queuemgr /var/log/queuemgr /run/queuemgr", "FragmentPath": "/etc/systemd/system/queuemgr.service"},
		install.RunnerUnit: {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "static", "NeedDaemonReload": "no", "MainPID": fmt.Sprint(runnerPID),
			"KillMode": "process", "Delegate": "yes", "MemoryMax": "infinity", "CPUWeight": "[not set]", "TasksMax": "infinity", "ControlGroup": "/system.slice/queuemgr-runner.service"},
	}
	w.write("/proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", 0o644)
	w.write("/sys/fs/cgroup/system.slice/queuemgr-runner.service/cgroup.controllers", "cpu memory pids\n", 0o644)
	w.write("/proc/sys/kernel/pid_max", "4194304\n", 0o644)
	w.write(fmt.Sprintf("/proc/%d/limits", runnerPID), "Limit Soft Limit Hard Limit Units\nMax processes             4096                 4096                 processes\nMax open files            65536                65536                files\n", 0o644)
	w.write(fmt.Sprintf("/proc/%d/cmdline", daemonPID), "queuemgr\x00daemon\x00start\x00", 0o644)
	w.write("/proc/locks", "1: POSIX  ADVISORY  WRITE 1 fe:00:1 0 EOF\n", 0o644)
	return w
}

// systemWorld has the system's service. Only root can make it: its files are several accounts'.
func systemWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: files of several accounts are made")
	}
	paths := config.SystemPaths()
	w := newWorld(t, install.System, paths)
	w.daemonUID, w.daemonGID, w.members = 990, 991, 994
	w.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nqueuemgr:x:990:991::/var/lib/queuemgr:/usr/sbin/nologin\nqueuemgr-job:x:992:993::/:/usr/sbin/nologin\n", 0o644)
	w.write("/etc/group", "root:x:0:\nqueuemgr-daemon:x:991:\nqueuemgr:x:994:queuemgr,anna\nqueuemgr-job:x:993:\n", 0o644)
	w.write("/run/systemd/system/x", "", 0o644)
	inst, err := install.Examine(t.Context(), install.Options{Root: w.in.Root, Exec: w.exec})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range inst.Folders {
		if err := os.MkdirAll(w.path(f.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		w.chown(f.Name, f.UID, f.GID)
		w.chmod(f.Name, f.Mode)
	}
	for _, name := range inst.Files {
		w.write(name, "", 0o644)
	}
	for name, text := range inst.Units {
		w.write(filepath.Join(inst.UnitDir, name), string(text), 0o644)
	}
	for _, name := range []string{"queuemgr", "queuemgr-runner"} {
		w.write(filepath.Join(inst.Bin, name), "", 0o755)
	}
	w.in.Program = filepath.Join(inst.Bin, "queuemgr")
	if err := os.MkdirAll(filepath.Dir(w.path(inst.Link)), 0o755); err != nil {
		t.Fatal(err)
	}
	w.in.Environ = []string{"PATH=/usr/local/sbin:/usr/local/bin"}
	if err := os.Symlink(w.in.Program, w.path(inst.Link)); err != nil {
		t.Fatal(err)
	}
	w.state()
	return w
}

// userWorld has a service in a user's home, without systemd.
func userWorld(t *testing.T) *world {
	t.Helper()
	home := "/home/anna/q"
	w := newWorld(t, install.User, config.InHome(home))
	w.daemonUID, w.daemonGID, w.members = os.Geteuid(), os.Getegid(), os.Getegid()
	w.in.Environ = []string{"HOME=/home/anna", "PATH=/home/anna/bin"}
	for _, name := range []string{"queuemgr", "queuemgr-runner"} {
		w.write("/home/anna/bin/"+name, "", 0o755)
	}
	w.in.Program = "/home/anna/bin/queuemgr"
	for _, dir := range []string{home + "/lib", home + "/run", home + "/log"} {
		if err := os.MkdirAll(w.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.chmod(home, 0o700)
	w.state()
	return w
}

// state makes the files of a service that runs.
func (w *world) state() {
	p := w.in.Paths
	for _, name := range []string{p.Database(), p.Database() + "-wal", p.Database() + "-ballast", w.in.Config.RegistryPath, p.RegistryLock(), p.DaemonLog()} {
		w.write(name, "x", 0o600)
		w.chown(name, w.daemonUID, w.daemonGID)
	}
	w.write(p.RunnerJournal(), "x", 0o600)
	w.write(p.RunnerLock(), "", 0o600)
	w.write(p.PIDFile(), fmt.Sprintf("%d\n", daemonPID), 0o644)
	mode := fs.FileMode(0o600)
	if p.System {
		mode = 0o660
	}
	w.listen(p.Socket(), mode)
	w.chown(p.Socket(), w.daemonUID, w.members)
}

// look examines the world and returns what is not in order.
func (w *world) look() (bad []Finding, all []Finding) {
	w.t.Helper()
	all, err := Examine(w.t.Context(), w.in)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range all {
		if f.Level != OK {
			bad = append(bad, f)
		}
	}
	return bad, all
}

// dead is the state of a machine whose daemon was killed.
func (w *world) dead() {
	w.status, w.statusErr = nil, &job.Error{Code: job.Unavailable, Message: "no daemon answers"}
}
