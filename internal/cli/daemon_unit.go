package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/systemd"
	"github.com/queuemgr/queuemgr/job"
)

// daemonUnit is a unit whose main process is a daemon, whatever it is called. systemd would start the
// daemon again when it ended without systemd's doing.
type daemonUnit struct {
	manager systemd.Manager
	name    string
	state   systemd.Unit
}

// unitOf returns the unit that runs the daemon which answers, or where none does that which is about to
// start one; nil for none. One that systemd is stopping is left to who ends the daemon: that is the unit's
// own ExecStop=.
func (a *app) unitOf(ctx context.Context) (*daemonUnit, error) {
	status, err := a.answering(ctx)
	if err != nil {
		return nil, err
	}
	if status == nil {
		return a.waitingUnit(ctx)
	}
	m, name, u, ok := systemd.Runs(ctx, status.PID)
	if !ok || u.Active == "deactivating" {
		return nil, nil
	}
	return &daemonUnit{m, name, u}, nil
}

// waitingUnit returns queuemgr's own unit where systemd has it started though no daemon answers: that was
// killed, and systemd starts it again after RestartSec=, whatever is done without it. A command of the unit
// itself must not wait for the unit.
func (a *app) waitingUnit(ctx context.Context) (*daemonUnit, error) {
	if systemd.MemberOf(os.Getpid()).Unit == install.DaemonUnit {
		return nil, nil
	}
	r, err := a.rulerFor(ctx, config.ForDaemon)
	if err != nil || r.manager == nil || r.trouble != nil || !r.unit.Runs() {
		return nil, err
	}
	return &daemonUnit{*r.manager, install.DaemonUnit, r.unit}, nil
}

// asRuler returns u as the ruler of the service; only of queuemgr's own unit is known what its stop and its
// restart do to jobs. The verb is systemctl's.
func (a *app) asRuler(u *daemonUnit, verb string) (*ruler, error) {
	if u.name != install.DaemonUnit {
		return nil, &job.Error{Code: job.WrongState, Message: fmt.Sprintf("systemd runs the daemon as %s, a unit that queuemgr has not made; nothing was changed", u.name),
			Hint: u.manager.Command(verb, u.name)}
	}
	if !u.manager.User && os.Geteuid() != 0 {
		return nil, &job.Error{Code: job.Forbidden, Message: fmt.Sprintf("only root may %s the system's %s, which runs the daemon; nothing was changed", verb, u.name),
			Hint: "sudo " + u.manager.Command(verb, u.name)}
	}
	paths, err := config.FindPaths(a.home, a.Environ, config.ForDaemon)
	return &ruler{paths: paths, manager: &u.manager, unit: u.state}, err
}

// stopDaemonUnit is `daemon stop` of a daemon that systemd runs.
func (a *app) stopDaemonUnit(ctx context.Context, u *daemonUnit, keep bool) error {
	r, err := a.asRuler(u, "stop")
	if err != nil {
		return err
	}
	if keep {
		return &job.Error{Code: job.WrongState, Field: "keep-jobs", Message: fmt.Sprintf("systemd runs the daemon as %s: it would start it again, or stop jobs with it; nothing was changed", u.name),
			Hint: "queuemgr service restart leaves jobs running; queuemgr service stop ends them"}
	}
	return a.stopUnit(ctx, r)
}

// restartDaemonUnit is `daemon restart` of a daemon that systemd runs.
func (a *app) restartDaemonUnit(ctx context.Context, u *daemonUnit, o daemonOptions) error {
	r, err := a.asRuler(u, "restart")
	if err != nil {
		return err
	}
	return a.restartUnit(ctx, r, o)
}
