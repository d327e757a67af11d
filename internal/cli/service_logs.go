package cli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/job"
)

type serviceLogsOptions struct {
	follow bool
	tail   int // 0 = all
	job    int64
}

// followTail is from how many lines on a log is followed unless told otherwise.
const followTail = 10

func newServiceLogsCommand(a *app) *cobra.Command {
	var o serviceLogsOptions
	var id string
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "print what the service has logged",
		Long: `Prints what daemon and runner have logged: from systemd's journal where systemd runs the service, else from daemon.log and runner.log of the
home, in order of time. What jobs write themselves is printed by job logs.

` + exitCodesHelp,
		Example: "  queuemgr service logs -f\n  sudo queuemgr service logs -n 50\n  sudo queuemgr service logs --job 7",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("tail") && o.tail < 1 {
				return usage(fmt.Sprintf("--tail: bad number %d", o.tail), "give a number of lines from 1, or leave --tail out for all")
			}
			if cmd.Flags().Changed("job") {
				n, err := strconv.ParseInt(id, 10, 64)
				if err != nil || n < 1 {
					return usage(fmt.Sprintf("--job: %q is not a job's number", id), "give a number: queuemgr service logs --job 7")
				}
				o.job = n
			}
			return runServiceLogs(cmd.Context(), a, o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with what is logged from now on, from the last 10 lines unless -n says otherwise")
	f.IntVarP(&o.tail, "tail", "n", 0, "only the last `N` lines")
	f.StringVar(&id, "job", "", "only what is about the job with the number `ID`")
	completeFlag(cmd, "job", a.completeJobNumber)
	return cmd
}

func runServiceLogs(ctx context.Context, a *app, o serviceLogsOptions) error {
	if o.follow && o.tail == 0 {
		o.tail = followTail
	}
	r, err := a.ruler(ctx)
	if err != nil {
		return err
	}
	if r.manager == nil {
		return a.textLogs(ctx, r, o)
	}
	if r.unit.Type == "forking" {
		a.warn("the unit is of Type=forking, whose daemon logs into %s", r.paths.DaemonLog())
	}
	return a.journal(ctx, r, o)
}

// journals are where the journal of a machine is.
var journals = []string{"/var/log/journal/*/system.journal", "/run/log/journal/*/system.journal"}

// journal has journalctl print what the units have logged.
func (a *app) journal(ctx context.Context, r *ruler, o serviceLogsOptions) error {
	if !r.manager.User && !readableAny(journals) {
		return &job.Error{Code: job.Forbidden, Message: "the system's journal may be read by root and the groups adm and systemd-journal alone",
			Hint: "sudo queuemgr service logs"}
	}
	args := r.manager.Args("--no-pager", "-u", install.DaemonUnit, "-u", install.RunnerUnit)
	if o.follow {
		args = append(args, "--follow")
	}
	if o.tail > 0 {
		args = append(args, "--lines="+strconv.Itoa(o.tail))
	}
	if o.job > 0 {
		args = append(args, "JOB_ID="+strconv.FormatInt(o.job, 10))
	}
	cmd := exec.CommandContext(ctx, "journalctl", args...)
	cmd.Env = a.Environ
	cmd.Stdout, cmd.Stderr = a.Stdout, a.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return &job.Error{Code: job.NotFound, Message: "journalctl is not installed", Err: err, Hint: "the daemon logs into " + r.paths.DaemonLog() + ", too"}
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGPIPE:
		return syscall.EPIPE
	case err != nil:
		return &job.Error{Code: job.Internal, Message: fmt.Sprintf("journalctl failed: %v", err), Err: err, Hint: "the daemon logs into " + r.paths.DaemonLog() + ", too"}
	}
	return nil
}

// readableAny reports whether one of the files may be read, or none is there.
func readableAny(patterns []string) bool {
	there := false
	for _, pattern := range patterns {
		names, _ := filepath.Glob(pattern) // the pattern is a good one
		for _, name := range names {
			if unix.Access(name, unix.R_OK) == nil {
				return true
			}
			there = true
		}
	}
	return !there
}
