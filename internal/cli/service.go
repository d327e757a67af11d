package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

func newServiceCommand(a *app) *cobra.Command {
	return group("service", "the service: its state, start and stop",
		newServiceStatusCommand(a), newServiceStartCommand(a), newServiceStopCommand(a), newServiceRestartCommand(a),
		newServiceInstallCommand(a), newServiceUninstallCommand(a))
}

func newServiceStatusCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "show the service's state, queues and numbers of jobs",
		Long:    "Shows whether the service runs, its queues and the numbers of its jobs.\n\n" + exitCodesHelp,
		Example: "  queuemgr service status\n  queuemgr service status --json | jq .jobs",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServiceStatus(cmd.Context(), a, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func runServiceStatus(ctx context.Context, a *app, asJSON bool) error {
	svc, err := a.svc()
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
	if err := a.writeStatus(a.Stdout, s); err != nil {
		return err
	}
	if _, err := io.WriteString(a.Stdout, "\n"); err != nil {
		return err
	}
	return a.queueTable(s.Queues).write(a.Stdout, a.width())
}

// writeStatus writes the service at a glance.
func (a *app) writeStatus(w io.Writer, s *job.Status) error {
	runner := "not connected"
	if s.Runner.PID > 0 {
		runner = fmt.Sprintf("pid %d, %s running", s.Runner.PID, plural(int64(s.Runner.Running), "job"))
	}
	lines := [][2]string{
		{"queuemgr", fmt.Sprintf("%s on %s: running, pid %d, up %s", s.Version, printable(s.Node), s.PID, elapsed(a.now().Sub(s.StartedAt)))},
		{"runner", runner}, {"jobs", countsText(s.Jobs)}, {"home", printable(s.Home)},
	}
	if s.Web != nil {
		page := s.Web.URL
		if s.Web.Problem != "" {
			page = "not served: " + s.Web.Problem
		}
		lines = append(lines, [2]string{"page", printable(page)})
		if s.Web.Fingerprint != "" {
			lines = append(lines, [2]string{"", "SHA-256 " + s.Web.Fingerprint})
		}
	}
	for _, p := range s.Problems {
		lines = append(lines, [2]string{"problem", printable(p)})
	}
	for _, l := range lines {
		if l[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-8s %s\n", l[0], l[1]); err != nil {
			return err
		}
	}
	return nil
}

// countsText says how many jobs there are in each state that has any.
func countsText(counts map[job.State]int64) string {
	var parts []string
	for _, s := range job.States {
		if n := counts[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func newServiceStartCommand(a *app) *cobra.Command {
	var o daemonOptions
	cmd := &cobra.Command{
		Use:     "start",
		Short:   "start the service in the background",
		Long:    "Starts the daemon in the background and returns when it is ready. That it runs already is no error.\n\n" + exitCodesHelp,
		Example: "  queuemgr service start",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServiceStart(cmd.Context(), a, o)
		},
	}
	o.flags(cmd)
	return cmd
}

func runServiceStart(ctx context.Context, a *app, o daemonOptions) error {
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
	cmd := newStopCommand(a, new(bool))
	cmd.Short = "stop the service and its jobs"
	cmd.Long = `Stops live jobs within the setting shutdown_timeout, then the daemon, and waits for its end. To leave jobs running:
queuemgr daemon stop --keep-jobs. That it does not run is no error.

` + exitCodesHelp
	cmd.Example = "  queuemgr service stop"
	return cmd
}

func newServiceRestartCommand(a *app) *cobra.Command {
	cmd := newDaemonRestartCommand(a)
	cmd.Short = "restart the service; jobs go on running"
	cmd.Example = "  queuemgr service restart"
	return cmd
}
