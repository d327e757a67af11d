package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/client"
	"github.com/queuemgr/queuemgr/job"
)

type logsOptions struct {
	sel     selection
	follow  bool
	tail    int
	stream  string
	attempt int
}

func newJobLogsCommand(a *app) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs [flags] JOB",
		Short: "print what a job wrote",
		Long: `Prints what a job wrote to standard output and standard error, in order; of a job added with --split one of the two.
JOB is a number, last or a key.

` + exitCodesHelp,
		Example: `  queuemgr job logs -f last
  queuemgr job logs --tail 20 7`,
		ValidArgsFunction: a.completeJobs(),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.sel.words = args
			if cmd.Flags().Changed("tail") && o.tail < 1 {
				return usage(fmt.Sprintf("--tail: bad number %d", o.tail), "give a number of lines from 1, or leave --tail out for all")
			}
			return runJobLogs(cmd.Context(), a, o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.follow, "follow", "f", false, "go on until the job has ended")
	f.IntVarP(&o.tail, "tail", "n", 0, "only the last `N` lines")
	f.StringVar(&o.stream, "stream", "", "`STREAM` of a job added with --split: stdout or stderr")
	f.IntVar(&o.attempt, "attempt", 0, "of attempt `N` (default the newest)")
	completeFlag(cmd, "stream", fixed("stdout", "stderr"))
	return cmd
}

func runJobLogs(ctx context.Context, a *app, o logsOptions) error {
	if o.stream != "" && o.stream != "stdout" && o.stream != "stderr" {
		return usage(fmt.Sprintf("--stream: there is no stream %q", o.stream), "give stdout or stderr")
	}
	if o.follow {
		a.patience = client.Forever
	}
	if err := a.needJob(ctx, &o.sel, "logs"); err != nil {
		return err
	}
	filter, err := o.sel.filter()
	if err != nil {
		return err
	}
	svc, err := a.svc()
	if err != nil {
		return err
	}
	list, err := jobs(ctx, svc, filter)
	if err != nil {
		return err
	}
	if len(list) != 1 {
		return usage(fmt.Sprintf("%s selected, and logs are printed of one", plural(int64(len(list)), "job")), "give a number, last or a key")
	}
	log, err := svc.Logs(ctx, list[0].ID, job.LogOptions{Attempt: o.attempt, Stream: o.stream, Tail: o.tail, Follow: o.follow})
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // only read; what matters comes from Copy
	n, err := io.Copy(a.Stdout, log)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && n == 0 {
		return a.tellNoOutput(ctx, svc, list[0].ID, o)
	}
	return err
}

// tellNoOutput says on standard error why nothing was printed.
func (a *app) tellNoOutput(ctx context.Context, svc job.Service, id int64, o logsOptions) error {
	j, err := svc.Job(ctx, id)
	if err != nil {
		return err
	}
	what := "nothing"
	if o.stream != "" {
		what += " to " + o.stream
	}
	switch {
	case o.attempt == 0 && j.StartedAt.IsZero():
		a.warn("job %d has not started: it is %s", id, j.State)
	case o.attempt == 0 && j.State.Live():
		a.warn("job %d has written %s yet", id, what)
	default:
		a.warn("job %d wrote %s", id, what)
	}
	return nil
}
