package cli

import (
	"bufio"
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

type overviewOptions struct{ json bool }

func (o *overviewOptions) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.json, "json", false, "print the service's state as JSON")
}

// runOverview shows what is going on: service, queues, running and last jobs.
func runOverview(ctx context.Context, a *app, o overviewOptions) error {
	svc, err := a.svc()
	if err != nil {
		return err
	}
	s, err := svc.Status(ctx)
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(s)
	}
	out := bufio.NewWriter(a.Stdout)
	if err := a.writeOverview(ctx, out, svc, s, a.width(), 20, 5); err != nil {
		return err
	}
	return out.Flush()
}

// writeOverview writes the service's state, its queues, up to live running and up to last ended
// jobs.
func (a *app) writeOverview(ctx context.Context, w io.Writer, svc job.Service, s *job.Status, width, live, last int) error {
	if err := a.writeStatus(w, s); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	if err := a.queueTable(s.Queues).write(w, width); err != nil {
		return err
	}
	for _, part := range []struct {
		title  string
		filter job.Filter
	}{
		{"Running", job.Filter{States: []job.State{job.Starting, job.Running, job.Paused, job.Stopping}, Limit: live}},
		{"Last ended", job.Filter{States: []job.State{job.Completed, job.Failed, job.Stopped, job.Skipped}, Limit: last}},
	} {
		page, err := svc.ListJobs(ctx, part.filter)
		if err != nil {
			return err
		}
		if len(page.Jobs) == 0 {
			continue
		}
		more := ""
		if page.NextCursor != "" {
			more = " (the newest)"
		}
		if _, err := io.WriteString(w, "\n"+part.title+more+"\n"); err != nil {
			return err
		}
		if err := a.liveTable(page.Jobs).write(w, width); err != nil {
			return err
		}
	}
	return nil
}
