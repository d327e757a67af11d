package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/regular"
)

// unit is what systemd knows of a unit, by property.
type unit map[string]string

// properties are those that are asked for. systemd passes over what its version does not have.
var properties = []string{"LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload", "FragmentPath", "DropInPaths", "MainPID", "ControlGroup",
	"PrivateUsers", "RuntimeDirectory", "User", "DynamicUser", "KillMode", "Delegate", "StopPropagatedFrom", "PartOf", "BindsTo", "Requires",
	"ReadWritePaths", "ProtectSystem", "MemoryMax", "MemoryHigh", "CPUWeight", "CPUQuotaPerSecUSec", "TasksMax", "IOWeight", "Result"}

func (u unit) runs() bool {
	return u["ActiveState"] == "active" || u["ActiveState"] == "activating" || u["ActiveState"] == "reloading"
}

func (u unit) pid() int {
	n, err := strconv.Atoi(u["MainPID"])
	if err != nil {
		return 0
	}
	return n
}

// booted reports whether systemd rules this machine.
func (e *exam) booted() bool { return e.isThere("/run/systemd/system") }

// userUnits reports whether it is a user's own service that systemd runs.
func (e *exam) userUnits() bool { return !e.system() && e.underSystemd() }

// underSystemd reports whether systemd runs the service, or should.
func (e *exam) underSystemd() bool {
	return e.booted() && (e.system() || e.inst.Installed)
}

// askSystemd learns what systemd knows.
func (e *exam) askSystemd(ctx context.Context) {
	if !e.underSystemd() {
		return
	}
	e.units = map[string]unit{}
	for _, name := range []string{install.DaemonUnit, install.RunnerUnit} {
		args := []string{"show", "--property=" + strings.Join(properties, ","), name}
		if !e.system() {
			args = append([]string{"--user"}, args...)
		}
		out, err := e.Exec(ctx, "systemctl", args...)
		if err != nil {
			e.units, e.noUnits = nil, fmt.Errorf("%w: %s", err, firstLine(out))
			return
		}
		u := unit{}
		for line := range strings.Lines(out) {
			if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
				u[key] = value
			}
		}
		e.units[name] = u
	}
}

// unitFiles looks whether the units are those of this version, known to systemd as they are, and enabled.
func (e *exam) unitFiles(context.Context) {
	for _, name := range []string{install.DaemonUnit, install.RunnerUnit} {
		e.unitFile(name)
	}
	if e.units == nil {
		remedy := "look whether systemd is well: systemctl status"
		if !e.system() {
			remedy = "log in as yourself (not by su or sudo), or: export XDG_RUNTIME_DIR=/run/user/$(id -u)"
		}
		e.warn("", remedy, "systemd can't be asked about the units: %v", e.noUnits)
		return
	}
	for _, name := range []string{install.DaemonUnit, install.RunnerUnit} {
		if u := e.units[name]; u["NeedDaemonReload"] == "yes" {
			e.warn(name, e.sudo(e.systemctl("daemon-reload")), "the unit or a drop-in has changed, and systemd has not read it")
		}
		if u := e.units[name]; u["LoadState"] == "masked" || u["UnitFileState"] == "masked" {
			e.problem(name, e.sudo(e.systemctl("unmask "+name)), "the unit is masked: it can't be started")
		}
	}
	switch state := e.units[install.DaemonUnit]["UnitFileState"]; state {
	case "enabled":
		e.ok(install.DaemonUnit, "it starts with the machine")
	case "masked", "": // said already, or there is no unit
	default:
		e.warn(install.DaemonUnit, e.sudo(e.systemctl("enable "+install.DaemonUnit)), "it does not start with the machine: it is %s", state)
	}
}

func (e *exam) unitFile(name string) {
	file := filepath.Join(e.inst.UnitDir, name)
	data, err := regular.ReadFile(e.path(file))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !e.system() {
			e.problem(file, e.repair(), "the unit is missing")
		} // installation says so
	case err != nil:
		e.skip(file, err, "the unit can't be read: %v", reason(err))
	case !bytes.Equal(data, e.inst.Units[name]):
		e.warn(file, e.repair(), "the unit is not that of version %s: it was changed, or is of another version. Changes belong into a drop-in: %s",
			e.Version, e.sudo(e.systemctl("edit "+strings.TrimSuffix(name, ".service"))))
	default:
		e.ok(file, "the unit is that of this version")
	}
}

// lingering looks whether a user's service goes on without a login.
func (e *exam) lingering(ctx context.Context) {
	out, err := e.Exec(ctx, "loginctl", "show-user", strconv.Itoa(e.UID), "--property=Linger")
	switch {
	case err != nil:
		e.skip("", err, "loginctl can't say whether you linger: %s", firstLine(out))
	case strings.TrimSpace(out) == "Linger=no":
		e.warn("", "loginctl enable-linger", "lingering is off: your service and its jobs end when you log out, and do not start with the machine")
	default:
		e.ok("", "lingering is on: your service goes on when you log out")
	}
}
