package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/systemd"
	"github.com/queuemgr/queuemgr/job"
)

// ruler is who starts and ends the service that is meant: that which this user's commands reach.
type ruler struct {
	paths   config.Paths
	manager *systemd.Manager // nil: nobody, the daemon is started and ended directly
	unit    systemd.Unit     // the daemon's, where there is a manager
	trouble error            // why the manager cannot be asked
	gone    bool             // the system's service is set up, systemd rules, and it has no unit of it
}

// ruler finds out who rules: systemd where the unit is installed, the system's or, for a service of a
// user's own, what `service install --user` has installed for that very home.
func (a *app) ruler(ctx context.Context) (*ruler, error) {
	return a.rulerFor(ctx, config.ForClient)
}

// rulerFor is ruler for the service that use leads to.
func (a *app) rulerFor(ctx context.Context, use config.Use) (*ruler, error) {
	paths, err := config.FindPaths(a.home, a.Environ, use)
	if err != nil {
		return nil, err
	}
	r := &ruler{paths: paths}
	if !systemd.Rules() || !paths.System && !install.HasUserUnit(paths.Home, a.Environ) {
		return r, nil
	}
	m := systemd.Manager{User: !paths.System}
	u, err := m.Unit(ctx, install.DaemonUnit)
	switch {
	case errors.Is(err, exec.ErrNotFound): // a machine without systemctl
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		r.manager = &m
		r.trouble = &job.Error{Code: job.Unavailable, Err: err, Message: "systemd cannot be asked for " + install.DaemonUnit + ": " + err.Error(),
			Hint: "see whether systemd is well: systemctl status"}
		if m.User {
			r.trouble = &job.Error{Code: job.Unavailable, Err: err, Message: "systemd's manager for you, which runs your service, cannot be reached: " + err.Error(),
				Hint: "log in as yourself (not by su or sudo), or have it run without a login: sudo loginctl enable-linger " + a.userName()}
		}
	case u.Known():
		r.manager, r.unit = &m, u
	default:
		r.gone = paths.System
	}
	return r, nil
}

// userName is how this user is called, as far as the environment says.
func (a *app) userName() string {
	if name := a.env("USER"); name != "" {
		return shellQuote(name)
	}
	return fmt.Sprint(os.Geteuid())
}

// forChange returns the ruler for a command that changes something, and refuses who may not.
func (a *app) forChange(ctx context.Context, verb string) (*ruler, error) {
	if err := a.notAnothers("service " + verb); err != nil {
		return nil, err
	}
	r, err := a.ruler(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.mayRule(r, verb); err != nil {
		return nil, err
	}
	return r, r.trouble
}

// mayRule refuses who has no rights over the service.
func (a *app) mayRule(r *ruler, verb string) error {
	if !r.paths.System || os.Geteuid() == 0 {
		return nil
	}
	if r.manager == nil { // the daemon's own account starts it directly, too
		if own, err := config.FindPaths(a.home, a.Environ, config.ForDaemon); err == nil && own.System {
			return nil
		}
	}
	return &job.Error{Code: job.Forbidden, Message: fmt.Sprintf("only root may %s the system's service; nothing was changed", verb),
		Hint: fmt.Sprintf("sudo queuemgr service %s; a service of your own is named by --home DIR or QUEUEMGR_HOME", verb)}
}

// name is what to call the unit.
func (r *ruler) name() string {
	if r.manager.User {
		return "your own " + install.DaemonUnit
	}
	return install.DaemonUnit
}

// command is a command of the service for this user to type.
func (r *ruler) command(words string) string {
	if r.paths.System && os.Geteuid() != 0 {
		return "sudo queuemgr service " + words
	}
	return "queuemgr service " + words
}

// look has the unit as it is now.
func (r *ruler) look(ctx context.Context) error {
	u, err := r.manager.Unit(ctx, install.DaemonUnit)
	if err == nil {
		r.unit = u
	}
	return err
}

// missing refuses to start the daemon directly in the place of a unit that is gone: as root, and without
// what the unit keeps it from.
func (r *ruler) missing() error {
	if !r.gone {
		return nil
	}
	return &job.Error{Code: job.WrongState, Message: install.DaemonUnit + " of the system's service is missing, which systemd starts it by; nothing was changed",
		Hint: "this repairs it: sudo queuemgr service install; to have the daemon in this terminal all the same, as root and without the unit's sandbox: queuemgr daemon start --foreground"}
}

// notForUnit is missing for root who is about to start the system's daemon directly. A unit that somebody has made for it may.
func (a *app) notForUnit(ctx context.Context) error {
	if os.Geteuid() != 0 || systemd.InUnit() {
		return nil
	}
	r, err := a.rulerFor(ctx, config.ForDaemon)
	if err != nil {
		return err
	}
	return r.missing()
}

// order gives the manager an order; what comes of it is told with a way on.
func (r *ruler) order(ctx context.Context, verb, unit string) error {
	err := r.manager.Systemctl(ctx, verb, unit)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	hint := "see what keeps it from that: " + r.manager.Command("status", unit)
	if verb == "enable" || verb == "disable" {
		links := "/etc/systemd/system"
		if r.manager.User {
			links = "~/.config/systemd/user"
		}
		hint = "systemd keeps that as a link below " + links + ": have it writable, then run this again"
	}
	return &job.Error{Code: job.Internal, Err: err, Message: fmt.Sprintf("systemd does not %s %s: %v", verb, unit, err), Hint: hint}
}

// masked refuses what a masked unit cannot do.
func (r *ruler) masked() error {
	if !r.unit.Masked() {
		return nil
	}
	return &job.Error{Code: job.WrongState, Message: r.name() + " is masked: it must not be started; nothing was changed",
		Hint: "if that is no longer meant: " + r.manager.Command("unmask", install.DaemonUnit)}
}
