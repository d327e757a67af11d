package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

func newServiceCommand(a *app) *cobra.Command {
	return group("service", "the service: its state, start and stop",
		newServiceStatusCommand(a), newServiceStartCommand(a), newServiceStopCommand(a), newServiceRestartCommand(a),
		newServiceEnableCommand(a), newServiceDisableCommand(a), newServiceLogsCommand(a),
		newServiceInstallCommand(a), newServiceUninstallCommand(a))
}

// writeStatus writes the service at a glance; more are lines that stand below the first.
func (a *app) writeStatus(w io.Writer, s *job.Status, more ...[2]string) error {
	runner := "not connected"
	if s.Runner.PID > 0 {
		runner = fmt.Sprintf("pid %d, %s running", s.Runner.PID, plural(int64(s.Runner.Running), "job"))
	}
	lines := [][2]string{
		{"queuemgr", fmt.Sprintf("%s on %s: running, pid %d, up %s", s.Version, printable(s.Node), s.PID, elapsed(a.now().Sub(s.StartedAt)))},
	}
	lines = append(append(lines, more...), [][2]string{{"runner", runner}, {"jobs", countsText(s.Jobs)}, {"home", printable(s.Home)}}...)
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
