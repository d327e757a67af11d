package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

// daemonOptions are the flags of commands that start a daemon.
type daemonOptions struct {
	detach     bool
	foreground bool // stay, whatever should start the daemon here
	config     string
	pidfile    string
	set        map[string]string // settings given as flags, by key
	ready      int               // descriptor on which a detached daemon reports, 0 for none
}

func (o *daemonOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "settings `FILE` to read in place of the home's config.toml")
	f.StringVar(&o.pidfile, "pidfile", "", "`FILE` to write the process number to (default daemon.pid of the home)")
	o.set = map[string]string{}
	for _, s := range config.Flags() {
		f.Func(s.Name, "setting `VALUE`: "+s.About, func(text string) error {
			o.set[s.Key] = text
			return nil
		})
	}
}

// load reads the settings.
func (o *daemonOptions) load(a *app) (*config.Config, error) {
	c, err := config.Load(config.Sources{Home: a.home, PIDFile: o.pidfile, File: o.config, Environ: a.Environ, Flags: o.set, Use: config.ForDaemon})
	if err != nil {
		return nil, err
	}
	return c, checkSocket(c.Paths.Socket())
}

func newDaemonCommand(a *app) *cobra.Command {
	return group("daemon", "run and end the daemon", newDaemonStartCommand(a), newDaemonStopCommand(a), newDaemonRestartCommand(a), newDaemonReloadCommand(a), newDaemonStatusCommand(a))
}

func newDaemonStartCommand(a *app) *cobra.Command {
	var o daemonOptions
	cmd := &cobra.Command{
		Use:   "start",
		Short: "run the daemon",
		Long: `Runs the daemon in the foreground, or with --daemon in the background: then it returns when the daemon is ready, or
says why it is not. SIGTERM and SIGINT end the daemon and leave its jobs running. Where systemd is to run the system's service and its
unit is gone, root is asked to repair that; --foreground starts the daemon all the same, without the unit's sandbox.

` + exitCodesHelp,
		Example: `  queuemgr daemon start --daemon
  queuemgr --home /srv/queue daemon start --config /etc/queue.toml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemonStart(cmd.Context(), a, o)
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.detach, "daemon", false, "run in the background")
	cmd.Flags().BoolVar(&o.foreground, "foreground", false, "run in the foreground (the default), also where systemd should run the daemon")
	cmd.Flags().IntVar(&o.ready, "ready-fd", 0, "descriptor to report on")
	if err := cmd.Flags().MarkHidden("ready-fd"); err != nil {
		panic(err) // the flag is declared above
	}
	return cmd
}

func runDaemonStart(ctx context.Context, a *app, o daemonOptions) (err error) {
	command := "daemon start"
	if o.detach {
		command += " --daemon"
	}
	if o.detach && o.foreground {
		return usage("--daemon and --foreground exclude each other", "give one of them")
	}
	err = a.notAnothers(command)
	if err == nil && !o.foreground && o.ready == 0 { // a detached one was let pass by who started it
		err = a.notForUnit(ctx)
	}
	var c *config.Config
	if err == nil {
		c, err = o.load(a)
	}
	switch {
	case o.ready > 0:
		return a.runDetached(ctx, c, err, o)
	case err != nil:
		return err
	case o.detach:
		pid, _, err := a.startInBackground(ctx, c, o, false)
		if err != nil {
			return err
		}
		return a.print("daemon started, pid %d; log %s\n", pid, c.Paths.DaemonLog())
	}
	log, err := openDaemonLog(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	// A reader of standard error that went away must not end the daemon. Ignoring the signal would
	// hand that down to jobs; one that is caught is not handed down.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	return a.Backend.RunDaemon(ctx, Daemon{Config: c, Reload: func() (*config.Config, error) { return o.load(a) }, Log: log, Console: a.Stderr, Ready: func() {}})
}

// startInBackground starts a daemon in the background, once one that is ending has ended, and
// returns its process number. Where one runs already it is left alone and its status returned, if
// so wanted; else its lock refuses another.
func (a *app) startInBackground(ctx context.Context, c *config.Config, o daemonOptions, leave bool) (int, *job.Status, error) {
	status, err := a.answering(ctx)
	if err != nil || status != nil && leave {
		return 0, status, err
	}
	pid, err := a.startDetached(ctx, c, o)
	return pid, nil, err
}

// runDetached is the daemon in the background: standard error is its log, and ready the end of a
// pipe on which who started it waits for "ready" or an error.
func (a *app) runDetached(ctx context.Context, c *config.Config, err error, o daemonOptions) error {
	syscall.CloseOnExec(o.ready) // a runner that had it would keep the other side waiting
	report := os.NewFile(uintptr(o.ready), "ready")
	if err == nil {
		log := &daemonLog{path: c.Paths.DaemonLog(), f: os.Stderr, standard: true}
		err = a.Backend.RunDaemon(ctx, Daemon{Config: c, Reload: func() (*config.Config, error) { return o.load(a) }, Log: log, Ready: func() {
			// Who waited may be gone: that is no reason not to serve.
			_, _ = io.WriteString(report, readyWord)
			_ = report.Close()
			report = nil
		}})
	}
	if err != nil && report != nil {
		var e *job.Error
		if !errors.As(err, &e) {
			e = &job.Error{Code: job.Internal, Message: err.Error()}
		}
		return errors.Join(err, json.NewEncoder(report).Encode(e))
	}
	return err
}

func newDaemonStopCommand(a *app) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "end the daemon and its jobs",
		Long: `Ends the daemon and waits for its end. Live jobs are stopped first, within the setting shutdown_timeout; with --keep-jobs they
go on running and the next daemon accounts for them. That no daemon runs is no error. A daemon that systemd runs as queuemgr.service is
stopped by systemd, which else would start it again; --keep-jobs is refused then: queuemgr service restart leaves jobs running.

` + exitCodesHelp,
		Example: "  queuemgr daemon stop\n  queuemgr daemon stop --keep-jobs",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemonStop(cmd.Context(), a, keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep-jobs", false, "leave jobs running")
	return cmd
}

func runDaemonStop(ctx context.Context, a *app, keep bool) error {
	command := "daemon stop"
	if keep {
		command += " --keep-jobs"
	}
	if err := a.notAnothers(command); err != nil {
		return err
	}
	unit, err := a.unitOf(ctx)
	switch {
	case err != nil:
		return err
	case unit != nil:
		return a.stopDaemonUnit(ctx, unit, keep)
	}
	stopped, err := a.stopDaemon(ctx, keep)
	switch {
	case err != nil:
		return err
	case !stopped:
		return a.print("no daemon runs\n")
	case keep:
		return a.print("daemon stopped; jobs go on running\n")
	default:
		return a.print("daemon stopped\n")
	}
}

func newDaemonRestartCommand(a *app) *cobra.Command {
	var o daemonOptions
	cmd := &cobra.Command{
		Use:   "restart",
		Short: "end the daemon and start it again; jobs go on running",
		Long: `Ends the daemon, where one runs, and starts one in the background. Jobs go on running. Without flags of its own it takes those
that the daemon was started with. A daemon that systemd runs as queuemgr.service is restarted by systemd.

` + exitCodesHelp,
		Example: "  queuemgr daemon restart",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemonRestart(cmd.Context(), a, o)
		},
	}
	o.flags(cmd)
	return cmd
}

func runDaemonRestart(ctx context.Context, a *app, o daemonOptions) error {
	if err := a.notAnothers("daemon restart"); err != nil {
		return err
	}
	unit, err := a.unitOf(ctx)
	switch {
	case err != nil:
		return err
	case unit != nil:
		return a.restartDaemonUnit(ctx, unit, o)
	}
	if err := a.notForUnit(ctx); err != nil {
		return err
	}
	if o.config == "" && o.pidfile == "" && len(o.set) == 0 {
		if err := a.formerFlags(ctx, &o); err != nil {
			return err
		}
	}
	c, err := o.load(a)
	if err != nil {
		return err // the daemon that runs is not ended for one that could not start
	}
	ran, err := a.stopDaemon(ctx, true)
	if err != nil {
		return err
	}
	pid, err := a.startDetached(ctx, c, o)
	if err != nil {
		return err
	}
	if !ran {
		return a.print("no daemon ran; daemon started, pid %d; home %s\n", pid, c.Paths.Home)
	}
	return a.print("daemon restarted, pid %d; home %s; jobs go on running\n", pid, c.Paths.Home)
}

// formerFlags fills o with the flags of the daemon that runs, where it can be told.
func (a *app) formerFlags(ctx context.Context, o *daemonOptions) error {
	svc, err := a.ownDaemon()
	if err != nil {
		return err
	}
	status, err := svc.Status(ctx)
	if job.CodeOf(err) == job.Unavailable {
		return nil // no daemon: nothing to take over
	}
	if err != nil {
		return err
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", status.PID))
	if err != nil {
		return nil //nolint:nilerr // it has just ended, or is another user's: defaults it is
	}
	var had daemonOptions
	if !had.parse(strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")) {
		return nil
	}
	for _, file := range []*string{&had.config, &had.pidfile} {
		if *file == "" || filepath.IsAbs(*file) {
			continue
		}
		// One in the foreground is where it was started, and means its files from there.
		dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", status.PID))
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		*file = filepath.Join(dir, *file)
	}
	*o = had
	return nil
}

// parse reads the command line of a daemon and reports whether it is one.
func (o *daemonOptions) parse(args []string) bool {
	start := slices.Index(args, "start")
	if start < 0 {
		return false // foreign words: another program's way to run a daemon
	}
	cmd := &cobra.Command{FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true}}
	o.flags(cmd)
	return cmd.ParseFlags(args[start+1:]) == nil
}

func newDaemonStatusCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "say whether the daemon runs",
		Long:  "Says whether the daemon runs: exit code 0 when it does, 5 when it does not. More is told by service status.\n\n" + exitCodesHelp,
		Example: `  queuemgr daemon status
  queuemgr daemon status >/dev/null || queuemgr daemon start --daemon`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemonStatus(cmd.Context(), a, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as service status does")
	return cmd
}

func runDaemonStatus(ctx context.Context, a *app, asJSON bool) error {
	svc, err := a.ownDaemon()
	if err != nil {
		return err
	}
	s, err := svc.Status(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(s)
	}
	return a.print("running, pid %d, up %s\n", s.PID, elapsed(a.now().Sub(s.StartedAt)))
}
