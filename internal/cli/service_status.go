package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/systemd"
	"github.com/queuemgr/queuemgr/job"
)

func newServiceStatusCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "show the service's state, queues and numbers of jobs",
		Long: `Shows whether the service runs and who runs it, its queues and the numbers of its jobs. When the daemon does not answer it says who would
run it, and the exit code is 5.

` + exitCodesHelp,
		Example: "  queuemgr service status\n  queuemgr service status --json | jq .jobs\n  queuemgr service status --json | jq -r .service.manager",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServiceStatus(cmd.Context(), a, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// serviceInfo is who runs the service.
type serviceInfo struct {
	Manager string `json:"manager"`        // systemd, or none: the daemon is started directly
	Scope   string `json:"scope"`          // system, or user: somebody's own
	Unit    string `json:"unit,omitempty"` // this and the following of systemd
	Enabled *bool  `json:"enabled,omitempty"`
	Active  *bool  `json:"active,omitempty"`
	State   string `json:"state,omitempty"` // systemd's word for it: active, failed, ...
	// Lingering says whether a user's own unit runs without a login; absent where that is not known.
	Lingering *bool  `json:"lingering,omitempty"`
	Home      string `json:"home"`

	notes []string // for people
}

// info describes r, with the daemon that answers where there is one.
func (r *ruler) info(ctx context.Context, daemon *job.Status) serviceInfo {
	i := serviceInfo{Manager: "none", Scope: "user", Home: r.paths.Home}
	if r.paths.System {
		i.Scope = "system"
	}
	m, name, u := r.manager, install.DaemonUnit, r.unit
	var runs bool
	if daemon != nil {
		var of systemd.Manager
		var found string
		var state systemd.Unit
		if of, found, state, runs = systemd.Runs(ctx, daemon.PID); runs && m == nil {
			m, name, u = &of, found, state
		}
	}
	if m == nil {
		return i
	}
	i.Manager, i.Unit = "systemd", name
	if r.trouble != nil {
		i.notes = append(i.notes, "systemd cannot be asked")
		return i
	}
	enabled, active := u.Enabled(), u.Active == "active"
	i.Enabled, i.Active, i.State = &enabled, &active, u.Active
	if u.File != "" {
		i.notes = append(i.notes, u.File)
	}
	if !active {
		i.notes = append(i.notes, u.Active)
	}
	if daemon != nil && !runs && u.MainPID != daemon.PID {
		i.notes = append(i.notes, fmt.Sprintf("but the daemon that answers, pid %d, is not run by it", daemon.PID))
	}
	if m.User {
		if lingers, known := m.Lingers(ctx, os.Geteuid()); known {
			i.Lingering = &lingers
			if !lingers {
				i.notes = append(i.notes, "lingering is off (loginctl enable-linger)")
			}
		}
	}
	return i
}

// text is who runs the service in a line.
func (i serviceInfo) text() string {
	var text string
	switch {
	case i.Manager == "systemd" && i.Scope == "system":
		text = "systemd unit " + i.Unit
	case i.Manager == "systemd":
		text = "your own systemd unit " + i.Unit
	case i.Scope == "system":
		text = "the system's daemon, not run by systemd"
	default:
		text = "your own daemon, not run by systemd"
	}
	for _, n := range i.notes {
		text += ", " + n
	}
	return text
}

// asleep gives err, which says that no daemon answers, the hint for who runs the service.
func (r *ruler) asleep(err error) error {
	var e *job.Error
	if job.CodeOf(err) != job.Unavailable || !errors.As(err, &e) {
		return err
	}
	told := *e
	start := r.command("start")
	switch {
	case r.trouble != nil:
		var t *job.Error
		if errors.As(r.trouble, &t) {
			told.Hint = t.Hint
		}
	case r.gone:
		told.Hint = "its unit is missing, which this repairs: sudo queuemgr service install"
	case r.manager == nil:
		told.Hint = "start it: " + start
	case r.unit.Masked():
		told.Hint = "its unit is masked; if that is no longer meant: " + r.manager.Command("unmask", install.DaemonUnit)
	case r.unit.Active == "failed" || r.unit.Active == "activating":
		told.Hint = "see why: " + r.command("logs -n 20") + "; start it: " + start
	default:
		told.Hint = "start it: " + start
	}
	return &told
}

func runServiceStatus(ctx context.Context, a *app, asJSON bool) error {
	r, err := a.ruler(ctx)
	if err != nil {
		return err
	}
	svc, err := a.svc()
	if err != nil {
		return err
	}
	s, err := svc.Status(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		info := r.info(ctx, nil)
		if asJSON {
			return errors.Join(a.printJSON(map[string]serviceInfo{"service": info}), r.asleep(err))
		}
		return errors.Join(a.print("%-8s %s\n", "service", printable(info.text())), r.asleep(err))
	}
	info := r.info(ctx, s)
	if asJSON {
		return a.printJSON(struct {
			*job.Status
			Service serviceInfo `json:"service"`
		}{s, info})
	}
	if err := a.writeStatus(a.Stdout, s, [2]string{"service", printable(info.text())}); err != nil {
		return err
	}
	if _, err := io.WriteString(a.Stdout, "\n"); err != nil {
		return err
	}
	return a.queueTable(s.Queues).write(a.Stdout, a.width())
}
