package doctor

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/regular"
	"github.com/queuemgr/queuemgr/internal/systemd"
)

// unit is what systemd knows of a unit.
type unit = systemd.Properties

// properties are those that are asked for beside the unit's state.
var properties = []string{"SubState", "FragmentPath", "DropInPaths", "ControlGroup",
	"PrivateUsers", "RuntimeDirectory", "User", "DynamicUser", "KillMode", "Delegate", "StopPropagatedFrom", "PartOf", "BindsTo", "Requires",
	"ReadWritePaths", "ProtectSystem", "MemoryMax", "MemoryHigh", "CPUWeight", "CPUQuotaPerSecUSec", "TasksMax", "IOWeight", "Result"}

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
		u, err := e.manager().Properties(ctx, name, properties...)
		if err != nil {
			e.units, e.noUnits = nil, err
			return
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
		f := e.warn("", "systemctl status", "systemd can't be asked about the units: %v", e.noUnits)
		if e.system() {
			f.note("says whether systemd is well")
		} else {
			f.Remedy = "export XDG_RUNTIME_DIR=/run/user/$(id -u)"
			f.note("or log in as yourself (not by su or sudo)")
		}
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
		e.warn(file, e.repair(), "the unit is not that of version %s: it was changed, or is of another version", e.Version).
			or("changes belong into a drop-in", e.sudo(e.systemctl("edit "+strings.TrimSuffix(name, ".service"))))
	default:
		e.ok(file, "the unit is that of this version")
	}
}

// lingering looks whether a user's service goes on without a login.
func (e *exam) lingering(ctx context.Context) {
	switch lingers, known := e.manager().Lingers(ctx, e.UID); {
	case !known:
		e.skip("", nil, "loginctl can't say whether you linger")
	case !lingers:
		e.warn("", "loginctl enable-linger", "lingering is off: your service and its jobs end when you log out, and do not start with the machine")
	default:
		e.ok("", "lingering is on: your service goes on when you log out")
	}
}
