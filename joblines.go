package queuemgr

import (
	"context"
	"log/slog"

	"github.com/queuemgr/queuemgr/job"
)

// logJobs tells the log of each job's way, so that the journal has it by job and queue:
// journalctl -u queuemgr JOB_ID=7. It ends with ctx.
func (d *daemon) logJobs(ctx context.Context) {
	after := d.store.Seq()
	for ctx.Err() == nil {
		for c, err := range d.engine.Events(ctx, job.EventOptions{After: &after}) {
			if err != nil {
				if ctx.Err() == nil {
					d.log.Warn("changes of jobs are missing in the log", "error", err)
				}
				after = d.store.Seq()
				break
			}
			after = c.Seq
			d.logJob(ctx, c)
		}
	}
}

func (d *daemon) logJob(ctx context.Context, c job.Change) {
	if c.Kind != job.JobAdded && c.Kind != job.JobChanged {
		return
	}
	j, err := c.Job()
	if err != nil {
		d.log.Warn("a job's change can't be read", "job", c.JobID, "error", err)
		return
	}
	attrs := []slog.Attr{slog.Int64("job", c.JobID), slog.String("queue", j.Queue)}
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	message := "job " + string(j.State)
	if c.Kind == job.JobAdded {
		message = "job added"
		text("owner", j.Owner)
		text("name", j.Name)
	}
	text("user", j.User)
	text("reason", string(j.Reason))
	if j.ExitCode != nil {
		attrs = append(attrs, slog.Int("exit_code", *j.ExitCode))
	}
	if j.Signal != 0 {
		attrs = append(attrs, slog.Int("signal", j.Signal))
	}
	if j.PID != 0 {
		attrs = append(attrs, slog.Int("job_pid", j.PID))
	}
	text("run_id", j.RunID)
	text("error", j.Error)
	d.log.LogAttrs(ctx, slog.LevelInfo, message, attrs...)
}
