package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// machine is a folder that stands for a machine. Files, accounts and temporary folders are real and
// made by the real programs; of systemd there is what systemctl says and does, since a manager of one's
// own needs a booted machine (test/systemd).
type machine struct {
	t      *testing.T
	root   string
	source string
	out    bytes.Buffer
	units  map[string]*fakeUnit
	calls  []string
	fail   func(command string) error // injected failures, by command line
	pids   int
}

type fakeUnit struct {
	active  bool
	enabled bool
	masked  bool
	pid     int
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("owners of files and accounts can only be made by root")
	}
	m := &machine{t: t, root: t.TempDir(), source: t.TempDir(), units: map[string]*fakeUnit{daemonUnit: {}, runnerUnit: {}}}
	m.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\n")
	m.write("/etc/group", "root:x:0:\nanna:x:1000:\n")
	m.write("/etc/login.defs", "UID_MIN 1000\n")
	for _, dir := range []string{"/run/systemd/system", "/proc", "/usr/local/bin", "/usr/local/share", "/var/lib", "/var/log", "/etc/systemd/system"} {
		if err := os.MkdirAll(m.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.build("v1", "")
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(name string) string {
	m.t.Helper()
	data, err := os.ReadFile(m.path(name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(data)
}

func (m *machine) exists(name string) bool {
	_, err := os.Lstat(m.path(name))
	return err == nil
}

// build makes programs of a version; one with the word crash does not start as a daemon.
func (m *machine) build(version, word string) {
	m.t.Helper()
	for _, name := range []string{program, runnerProgram} {
		// A new file, as the linker makes one.
		path := filepath.Join(m.source, name)
		if err := removeIfThere(path); err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\n# %s\necho %s %s\n", word, name, version), 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *machine) options() Options {
	return Options{Source: m.source, Root: m.root, Exec: m.exec, Out: &m.out, Assets: Assets{
		Config: "# defaults 1\n#a = 1\n", Bash: []byte("bash"), Zsh: []byte("zsh"), Fish: []byte("fish"),
		Man: map[string][]byte{"queuemgr.1": []byte("page"), "queuemgr-job.1": []byte("page")}}}
}

// install installs and returns what was said.
func (m *machine) install(change ...func(*Options)) (string, error) {
	m.t.Helper()
	return m.do(Install, change...)
}

func (m *machine) do(action func(context.Context, Options) error, change ...func(*Options)) (string, error) {
	o := m.options()
	for _, f := range change {
		f(&o)
	}
	m.out.Reset()
	m.calls = nil
	err := action(m.t.Context(), o)
	return m.out.String(), err
}

func (m *machine) mustInstall(change ...func(*Options)) string {
	m.t.Helper()
	out, err := m.install(change...)
	if err != nil {
		m.t.Fatalf("install: %v\n%s", err, out)
	}
	return out
}

func (m *machine) exec(ctx context.Context, name string, args ...string) (string, error) {
	line := strings.Join(append([]string{name}, args...), " ")
	m.calls = append(m.calls, line)
	if m.fail != nil {
		if err := m.fail(line); err != nil {
			return "injected", err
		}
	}
	switch name {
	case "systemctl":
		return m.systemctl(args)
	case "systemd-analyze", "journalctl", "loginctl":
		return "", nil
	case "runuser": // -u queuemgr -- PROGRAM ARG...: the folder is only a test's, root may do it
		return Execute(ctx, args[3], args[4:]...)
	}
	return Execute(ctx, name, args...)
}

func (m *machine) systemctl(args []string) (string, error) {
	if args[0] == "--user" {
		args = args[1:]
	}
	verb := args[0]
	if verb == "daemon-reload" || verb == "reset-failed" {
		return "", nil
	}
	var units []string
	for _, arg := range args[1:] {
		if strings.HasSuffix(arg, ".service") {
			units = append(units, arg)
		}
	}
	for _, name := range units {
		u := m.units[name]
		if u == nil {
			return "Unit " + name + " not found.", errors.New("exit status 5")
		}
		switch verb {
		case "show":
			return u.show(), nil
		case "enable", "disable":
			u.enabled = verb == "enable"
		case "stop":
			u.active = false
		case "start", "restart":
			if u.active && verb == "start" {
				continue
			}
			u.active = false
			if err := m.startUnit(name, u); err != nil {
				return "Job for " + name + " failed.", err
			}
			if name == daemonUnit && !m.units[runnerUnit].active { // Wants=
				if err := m.startUnit(runnerUnit, m.units[runnerUnit]); err != nil {
					return "", err
				}
			}
		default:
			return "", fmt.Errorf("the test does not know systemctl %s", verb)
		}
	}
	return "", nil
}

// startUnit has a process run the program that the unit in the folder names.
func (m *machine) startUnit(name string, u *fakeUnit) error {
	data, err := os.ReadFile(m.path("/etc/systemd/system/" + name))
	if err != nil {
		return err
	}
	_, command, _ := strings.Cut(string(data), "\nExecStart=")
	file, _, _ := strings.Cut(command, " ")
	text, err := os.ReadFile(m.path(file))
	if err != nil {
		return err
	}
	if bytes.Contains(text, []byte("crash")) {
		return errors.New("exit status 1")
	}
	m.pids++
	u.active, u.pid = true, 100+m.pids
	if err := os.MkdirAll(m.path(fmt.Sprintf("/proc/%d", u.pid)), 0o755); err != nil {
		return err
	}
	return os.Link(m.path(file), m.path(fmt.Sprintf("/proc/%d/exe", u.pid)))
}

func (u *fakeUnit) show() string {
	active, file := "inactive", "disabled"
	if u.active {
		active = "active"
	}
	if u.enabled {
		file = "enabled"
	}
	if u.masked {
		file = "masked"
	}
	return fmt.Sprintf("LoadState=loaded\nActiveState=%s\nUnitFileState=%s\nMainPID=%d\nNeedDaemonReload=no\n", active, file, u.pid)
}

// snapshot describes every file of the machine but for /proc and the copies that shadow's programs leave.
func (m *machine) snapshot() map[string]string {
	m.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(m.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, m.root)
		switch {
		case name == "/proc":
			return fs.SkipDir
		case strings.HasPrefix(name, "/etc/") && strings.HasSuffix(name, "-"):
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		if st, ok := info.Sys().(*syscall.Stat_t); ok && name != "/etc/passwd" && name != "/etc/group" {
			text += fmt.Sprintf(" %d:%d", st.Uid, st.Gid)
		}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " -> " + target
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(data)
		}
		all[name] = text
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	for name, u := range m.units {
		all[name] = fmt.Sprintf("active %t, enabled %t", u.active, u.enabled)
	}
	return all
}
