package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/internal/systemd"
	"github.com/queuemgr/queuemgr/job"
)

// whichService says in the help of each verb which service it is about.
const whichService = `It is the system's service where that is installed, and root's to do then; with --home or QUEUEMGR_HOME, and else, a service of
your own. Where systemd runs the service it is systemd that does it.`

func newServiceStartCommand(a *app) *cobra.Command {
	var o daemonOptions
	cmd := &cobra.Command{
		Use:   "start",
		Short: "start the service in the background",
		Long: `Starts the service and returns when it is ready. That it runs already is no error. Flags are for a daemon that systemd does not run.
` + whichService + "\n\n" + exitCodesHelp,
		Example: "  queuemgr service start\n  sudo queuemgr service start",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServiceStart(cmd.Context(), a, o)
		},
	}
	o.flags(cmd)
	return cmd
}

func runServiceStart(ctx context.Context, a *app, o daemonOptions) error {
	r, err := a.forChange(ctx, "start")
	if err != nil {
		return err
	}
	if r.manager != nil {
		return a.startUnit(ctx, r, o)
	}
	if err := r.missing(); err != nil {
		return err
	}
	c, err := o.load(a)
	if err != nil {
		return err
	}
	pid, running, err := a.startInBackground(ctx, c, o, true)
	if err != nil {
		return err
	}
	if running != nil {
		return a.print("the service runs already, pid %d; changed settings take effect with: queuemgr service restart\n", running.PID)
	}
	return a.print("service started, pid %d; home %s\n", pid, c.Paths.Home)
}

func newServiceStopCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "stop",
		Short: "stop the service and its jobs",
		Long: `Stops live jobs within the setting shutdown_timeout, then the daemon, and waits for its end. To leave jobs running: queuemgr service
restart, or where systemd does not run the service queuemgr daemon stop --keep-jobs. That it does not run is no error.
` + whichService + "\n\n" + exitCodesHelp,
		Example: "  queuemgr service stop\n  sudo queuemgr service stop",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServiceStop(cmd.Context(), a)
		},
	}
}

func runServiceStop(ctx context.Context, a *app) error {
	r, err := a.forChange(ctx, "stop")
	switch {
	case err != nil:
		return err
	case r.manager != nil:
		return a.stopUnit(ctx, r)
	}
	unit, err := a.unitOf(ctx)
	switch {
	case err != nil:
		return err
	case unit != nil:
		return a.stopDaemonUnit(ctx, unit, false)
	}
	stopped, err := a.stopDaemon(ctx, false)
	switch {
	case err != nil:
		return err
	case !stopped:
		return a.print("the service does not run; home %s\n", r.paths.Home)
	}
	return a.print("service stopped; home %s\n", r.paths.Home)
}

func newServiceRestartCommand(a *app) *cobra.Command {
	var o daemonOptions
	cmd := &cobra.Command{
		Use:   "restart",
		Short: "restart the service; jobs go on running",
		Long: `Restarts the daemon, or starts it where it does not run, and returns when it is ready. Jobs go on running. Where settings are wrong
nothing is ended. A daemon that systemd does not run takes, without flags of its own, those that it was started with.
` + whichService + "\n\n" + exitCodesHelp,
		Example: "  queuemgr service restart\n  sudo queuemgr service restart",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServiceRestart(cmd.Context(), a, o)
		},
	}
	o.flags(cmd)
	return cmd
}

func runServiceRestart(ctx context.Context, a *app, o daemonOptions) error {
	r, err := a.forChange(ctx, "restart")
	switch {
	case err != nil:
		return err
	case r.manager != nil:
		return a.restartUnit(ctx, r, o)
	case r.gone:
		return r.missing()
	}
	return runDaemonRestart(ctx, a, o)
}

func newServiceEnableCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "enable",
		Short: "have the service start by itself",
		Long: `Has systemd start the service with the machine; one of your own with your login or, when lingering is on, with the machine. It is not
started now. Where systemd does not run the service there is nothing to enable: exit code 4.
` + whichService + "\n\n" + exitCodesHelp,
		Example: "  sudo queuemgr service enable\n  queuemgr --home ~/queue service enable",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServiceEnable(cmd.Context(), a, true)
		},
	}
}

func newServiceDisableCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "disable",
		Short: "have the service not start by itself",
		Long: `Has systemd not start the service by itself any more. One that runs is not ended. Where systemd does not run the service there is nothing
to disable: exit code 4.
` + whichService + "\n\n" + exitCodesHelp,
		Example: "  sudo queuemgr service disable\n  queuemgr --home ~/queue service disable",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServiceEnable(cmd.Context(), a, false)
		},
	}
}

func runServiceEnable(ctx context.Context, a *app, enable bool) error {
	verb := "disable"
	if enable {
		verb = "enable"
	}
	r, err := a.forChange(ctx, verb)
	switch {
	case err != nil:
		return err
	case r.manager != nil:
		return a.enableUnit(ctx, r, enable)
	}
	e := &job.Error{Code: job.WrongState, Message: "systemd does not run the service in " + r.paths.Home + ", and nothing starts it by itself; nothing was changed"}
	switch {
	case !systemd.Rules():
		e.Message = "systemd does not run here, and what starts services on this machine is not queuemgr's to set; nothing was changed"
		e.Hint = "have that run: queuemgr --home " + shellQuote(r.paths.Home) + " daemon start --daemon"
		if r.paths.System {
			e.Hint = "have that run: queuemgr daemon start --daemon"
		}
	case r.paths.System:
		e.Hint = "hand it to systemd: sudo queuemgr service install"
	default:
		e.Hint = "hand it to systemd: queuemgr --home " + shellQuote(r.paths.Home) + " service install --user"
	}
	return e
}
