package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/job"
)

// startUnit has systemd start the service, and returns when it is ready.
func (a *app) startUnit(ctx context.Context, r *ruler, o daemonOptions) error {
	if err := r.noFlags(o); err != nil {
		return err
	}
	if err := r.masked(); err != nil {
		return err
	}
	ran := r.unit.Active == "active"
	if !r.unit.Runs() {
		if err := a.noStranger(ctx, r); err != nil {
			return err
		}
	}
	if err := a.orderStart(ctx, r, "start"); err != nil {
		return err
	}
	if ran {
		return a.print("%s runs already, pid %d; changed settings take effect with: queuemgr service restart\n", r.name(), r.unit.MainPID)
	}
	return a.print("%s started by systemd; pid %d\n", r.name(), r.unit.MainPID)
}

// restartUnit has systemd restart the daemon, and returns when it is ready.
func (a *app) restartUnit(ctx context.Context, r *ruler, o daemonOptions) error {
	if err := r.noFlags(o); err != nil {
		return err
	}
	if err := r.masked(); err != nil {
		return err
	}
	ran := r.unit.Runs()
	if !ran {
		if err := a.noStranger(ctx, r); err != nil {
			return err
		}
	}
	// The daemon that runs is not ended for one that could not start. Variables of this shell are not the unit's.
	s := config.Sources{Use: config.ForDaemon}
	if !r.paths.System {
		s.Home = r.paths.Home
	}
	if _, err := config.Load(s); err != nil {
		return err
	}
	if err := a.orderStart(ctx, r, "restart"); err != nil {
		return err
	}
	if !ran {
		return a.print("%s did not run; started by systemd, pid %d\n", r.name(), r.unit.MainPID)
	}
	return a.print("%s restarted by systemd; pid %d; jobs go on running\n", r.name(), r.unit.MainPID)
}

// orderStart orders start or restart and waits for it, and for the runner, which the daemon's unit only wishes for.
func (a *app) orderStart(ctx context.Context, r *ruler, verb string) error {
	// The limit on starts in a row is for what starts by itself. It fails for units that never failed, which is as well.
	_ = r.manager.Systemctl(ctx, "reset-failed", install.DaemonUnit)
	err := r.manager.Systemctl(ctx, verb, install.DaemonUnit)
	if err == nil {
		err = r.look(ctx)
	}
	if err == nil && r.unit.Active != "active" {
		err = fmt.Errorf("it is %s", r.unit.Active)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return &job.Error{Code: job.Internal, Err: err, Message: fmt.Sprintf("%s did not become ready: %v%s", r.name(), err, r.manager.LastWords(ctx, install.DaemonUnit)),
			Hint: "the whole log: queuemgr service logs. systemd tries again by itself until: queuemgr service stop"}
	}
	runner, err := r.manager.Unit(ctx, install.RunnerUnit)
	if err != nil || !runner.Known() || runner.Active == "active" {
		return err
	}
	if err := r.manager.Systemctl(ctx, "start", install.RunnerUnit); err != nil {
		return &job.Error{Code: job.Internal, Err: err, Message: fmt.Sprintf("the daemon runs, and its runner does not: %v%s", err, r.manager.LastWords(ctx, install.RunnerUnit)),
			Hint: "jobs wait until it does; then: queuemgr service start"}
	}
	return nil
}

// noFlags refuses flags that only who starts the daemon directly can give it.
func (r *ruler) noFlags(o daemonOptions) error {
	flag := ""
	switch {
	case o.config != "":
		flag = "config"
	case o.pidfile != "":
		flag = "pidfile"
	case len(o.set) > 0:
		for _, s := range config.Flags() {
			if _, given := o.set[s.Key]; given {
				flag = s.Name
				break
			}
		}
	default:
		return nil
	}
	return &job.Error{Code: job.Invalid, Field: flag, Message: fmt.Sprintf("--%s cannot be given to a daemon that systemd starts; nothing was changed", flag),
		Hint: fmt.Sprintf("settings belong into %s; how the daemon is started into the unit: %s", r.paths.Config, r.manager.Command("edit", install.DaemonUnit))}
}

// noStranger refuses to have systemd start a daemon beside one that somebody started by hand.
func (a *app) noStranger(ctx context.Context, r *ruler) error {
	status, err := a.answering(ctx)
	if err != nil || status == nil {
		return err
	}
	return &job.Error{Code: job.WrongState, Message: fmt.Sprintf("a daemon that systemd did not start runs already, pid %d; nothing was changed", status.PID),
		Hint: "end it with its jobs, then run this again: queuemgr daemon stop"}
}

// stopUnit has systemd stop the daemon, which does not start it again then, and the runner with all jobs.
func (a *app) stopUnit(ctx context.Context, r *ruler) error {
	runner, err := r.manager.Unit(ctx, install.RunnerUnit)
	if err != nil {
		return err
	}
	ran := r.unit.Runs() || r.unit.Active == "deactivating"
	if !ran {
		// One that was started by hand, in the unit's place.
		stopped, err := a.stopDaemon(ctx, false)
		switch {
		case err != nil:
			return err
		case stopped && !runner.Runs():
			return a.print("daemon stopped, which systemd did not run\n")
		}
		ran = stopped
	} else {
		a.tellStop(ctx)
		if err := r.order(ctx, "stop", install.DaemonUnit); err != nil {
			return err
		}
	}
	// Where the daemon was not there to have it stopped.
	if runner, err = r.manager.Unit(ctx, install.RunnerUnit); err == nil && runner.Runs() {
		ran = true
		err = r.order(ctx, "stop", install.RunnerUnit)
	}
	switch {
	case err != nil:
		return err
	case !ran:
		return a.print("%s does not run\n", r.name())
	}
	return a.print("%s stopped by systemd, with its jobs\n", r.name())
}

// tellStop says what a stop waits for, where there is something and the daemon can be asked.
func (a *app) tellStop(ctx context.Context) {
	svc, err := a.ownDaemon()
	if err != nil {
		return
	}
	if s, err := svc.Status(ctx); err == nil && s.Runner.Running > 0 {
		a.warn("stopping %s, which may take up to %s", plural(int64(s.Runner.Running), "job"), elapsed(time.Duration(s.ShutdownTimeout)))
	}
}

// enableUnit has systemd start the service by itself, or no longer.
func (a *app) enableUnit(ctx context.Context, r *ruler, enable bool) error {
	if enable {
		if err := r.masked(); err != nil {
			return err
		}
	}
	verb, when := "disable", "with the machine"
	if enable {
		verb = "enable"
	}
	if r.manager.User {
		when = "with your login"
		if lingers, known := r.manager.Lingers(ctx, os.Geteuid()); known && lingers {
			when = "with the machine"
		} else if known && enable {
			defer a.warn("%s", install.LingeringIsOff)
		}
	}
	was := r.unit.Enabled()
	if was != enable || r.unit.File != "enabled" && r.unit.File != "disabled" {
		if err := r.order(ctx, verb, install.DaemonUnit); err != nil {
			return err
		}
		if err := r.look(ctx); err != nil {
			return err
		}
	}
	already := ""
	if was == enable {
		already = " already"
	}
	if enable {
		return a.print("%s is enabled%s: systemd starts it %s\n", r.name(), already, when)
	}
	rest := ""
	if r.unit.Runs() {
		rest = "; it runs on until: queuemgr service stop"
	}
	return a.print("%s is disabled%s: systemd does not start it %s%s\n", r.name(), already, when, rest)
}
