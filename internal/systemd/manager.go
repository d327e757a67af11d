package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Exec runs a program to its end and returns what it wrote to standard output and error.
type Exec func(ctx context.Context, name string, args ...string) (string, error)

// waitDelay is how long a program's children may hold its output when it has ended or was to end.
const waitDelay = 2 * time.Second

// Execute is Exec on this machine.
func Execute(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = Environ(os.Environ())
	cmd.WaitDelay = waitDelay
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended well itself
	}
	return string(out), err
}

// Environ returns env as systemd's programs are to have it: speaking plainly and, where somebody has
// become a user without a login (su, cron), with the way to that user's manager.
func Environ(env []string) []string {
	env = append(env[:len(env):len(env)], "LC_ALL=C", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0")
	for _, e := range env {
		if strings.HasPrefix(e, "XDG_RUNTIME_DIR=") && len(e) > len("XDG_RUNTIME_DIR=") {
			return env
		}
	}
	dir := "/run/user/" + strconv.Itoa(os.Geteuid())
	if _, err := os.Stat(dir); err == nil {
		env = append(env, "XDG_RUNTIME_DIR="+dir)
	}
	return env
}

// Manager is a service manager: the system's, or one user's own.
type Manager struct {
	User bool
	Exec Exec // nil = really
}

// Args returns arguments of systemctl, journalctl and systemd-analyze as this manager wants them.
func (m Manager) Args(args ...string) []string {
	if m.User {
		return append([]string{"--user"}, args...)
	}
	return args
}

// Command is a systemctl command line for people to type.
func (m Manager) Command(args ...string) string {
	return strings.Join(append([]string{"systemctl"}, m.Args(args...)...), " ")
}

func (m Manager) exec(ctx context.Context, name string, args ...string) (string, error) {
	if m.Exec != nil {
		return m.Exec(ctx, name, args...)
	}
	return Execute(ctx, name, args...)
}

// Systemctl gives the manager an order and waits until it is done. The error has what systemctl said.
func (m Manager) Systemctl(ctx context.Context, args ...string) error {
	out, err := m.exec(ctx, "systemctl", m.Args(args...)...)
	if err != nil {
		return fmt.Errorf("%s: %w%s", m.Command(args...), err, Tail(out))
	}
	return nil
}

// Unit is what a manager knows of a unit.
type Unit struct {
	Load    string // loaded, not-found, masked, ...
	Active  string // active, activating, deactivating, inactive, failed, ...
	File    string // enabled, disabled, masked, static, ...; "" where there is no file
	Type    string // of a service: notify, forking, ...
	MainPID int    // 0 = none
	Stale   bool   // its file has changed since the manager read it
}

// Known reports whether there is such a unit.
func (u Unit) Known() bool { return u.Load != "" && u.Load != "not-found" }

// Runs reports whether the unit is started, or about to be.
func (u Unit) Runs() bool {
	return u.Active == "active" || u.Active == "activating" || u.Active == "reloading"
}

// Enabled reports whether the unit is started with the machine or with its user's login.
func (u Unit) Enabled() bool { return u.File == "enabled" }

// Masked reports whether the unit must not be started.
func (u Unit) Masked() bool { return u.File == "masked" || u.Load == "masked" }

// Properties are what a manager says of a unit, by systemd's names for them.
type Properties map[string]string

// Unit is the part of them that says how a unit is.
func (p Properties) Unit() Unit {
	pid, _ := strconv.Atoi(p["MainPID"]) // of systemd: a number, where it was asked for
	return Unit{Load: p["LoadState"], Active: p["ActiveState"], File: p["UnitFileState"], Type: p["Type"], MainPID: pid, Stale: p["NeedDaemonReload"] == "yes"}
}

// stateProperties are those that Unit is made of.
var stateProperties = []string{"LoadState", "ActiveState", "UnitFileState", "Type", "MainPID", "NeedDaemonReload"}

// Unit asks for a unit. One that there is not is no error; see Known.
func (m Manager) Unit(ctx context.Context, name string) (Unit, error) {
	p, err := m.Properties(ctx, name)
	return p.Unit(), err
}

// Properties asks for a unit's state and more of its properties. systemd passes over those that its version does not have.
func (m Manager) Properties(ctx context.Context, name string, more ...string) (Properties, error) {
	names := slices.Concat(stateProperties, more)
	out, err := m.exec(ctx, "systemctl", m.Args("show", "--property="+strings.Join(names, ","), name)...)
	if err != nil {
		return nil, fmt.Errorf("asking systemd for %s: %w%s", name, err, Tail(out))
	}
	p := Properties{}
	for line := range strings.Lines(out) {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			p[key] = value
		}
	}
	return p, nil
}

// LastWords returns the end of what a unit has logged, on lines of its own; "" where nothing is to be had.
func (m Manager) LastWords(ctx context.Context, unit string) string {
	out, err := m.exec(ctx, "journalctl", m.Args("--no-pager", "--output=cat", "--lines=8", "-u", unit)...)
	if err != nil {
		return ""
	}
	return Tail(out)
}

// Lingers reports whether a user's manager runs without a login of that user; known is false where that
// cannot be told.
func (m Manager) Lingers(ctx context.Context, uid int) (lingers, known bool) {
	out, err := m.exec(ctx, "loginctl", "show-user", strconv.Itoa(uid), "--property=Linger")
	switch strings.TrimSpace(out) {
	case "Linger=yes":
		return true, err == nil
	case "Linger=no":
		return false, err == nil
	}
	return false, false
}

// Tail is the end of what a program said, on lines of its own.
func Tail(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if lines[0] == "" {
		return ""
	}
	const most = 12
	return "\n  " + strings.Join(lines[max(len(lines)-most, 0):], "\n  ")
}
