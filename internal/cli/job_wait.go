package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/client"
	"github.com/queuemgr/queuemgr/job"
)

type waitOptions struct {
	sel     selection
	timeout string
	json    bool
}

func newJobWaitCommand(a *app) *cobra.Command {
	var o waitOptions
	cmd := &cobra.Command{
		Use:   "wait SELECTOR...",
		Short: "wait until jobs have ended, and exit as the job did",
		Long:  "Waits until every selected job has ended.\n\n" + selectorHelp + "\n\n" + exitJobHelp,
		Example: `  queuemgr job wait 7; echo $?
  queuemgr job wait --timeout 1h last
  queuemgr job wait --queue nightly`,
		ValidArgsFunction: a.completeJobs(job.Held, job.Scheduled, job.Blocked, job.Queued, job.Starting, job.Running, job.Paused, job.Stopping),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.sel.words = args
			return asWait(runJobWait(cmd.Context(), a, o))
		},
	}
	o.sel.flags(a, cmd)
	cmd.Flags().StringVar(&o.timeout, "timeout", "", "give up after this `TIME` (exit 124): seconds, or 1h30m; 0 for never")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the ended jobs as JSON: one object for one job, else an array")
	return cmd
}

func runJobWait(ctx context.Context, a *app, o waitOptions) error {
	limit, err := durationFlag("timeout", o.timeout)
	if err != nil {
		return err
	}
	a.patience = client.Forever
	if err := a.needJob(ctx, &o.sel, "wait", job.Queued, job.Starting, job.Running, job.Stopping, job.Held); err != nil {
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
	if err := knownQueues(ctx, svc, filter.Queues); err != nil {
		return err
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(limit))
		defer cancel()
	}
	list, err := jobs(ctx, svc, filter)
	if err != nil {
		return waitError(ctx, err, "the wait's time limit passed")
	}
	a.tellStuck(list)
	for i, j := range list {
		if j.State.Ended() {
			continue
		}
		if list[i], err = a.waitEnd(ctx, j.ID); err != nil {
			return err
		}
	}
	switch {
	case o.json && len(list) == 1:
		err = a.printJSON(list[0])
	case o.json:
		err = a.printJSON(list)
	default:
		for _, j := range list {
			a.tellEnd(j)
		}
	}
	if err != nil {
		return err
	}
	if len(list) == 1 {
		return exitAs(list[0])
	}
	for _, j := range list {
		if j.State != job.Completed {
			return &exitError{code: exitFailed}
		}
	}
	return nil
}

// tellStuck says on standard error which of the jobs start only when somebody does something: a wait
// for them may last for ever.
func (a *app) tellStuck(list []*job.Job) {
	var stuck []*job.Job
	for _, j := range list {
		if j.State == job.Held || j.State == job.Queued && strings.HasSuffix(j.WaitReason, " is paused") {
			stuck = append(stuck, j)
		}
	}
	switch len(stuck) {
	case 0:
	case 1:
		a.warn("waiting for job %d: %s", stuck[0].ID, stuck[0].WaitReason)
	default:
		a.warn("waiting for %s that start only when somebody lets them, the first of them job %d: %s", plural(int64(len(stuck)), "job"), stuck[0].ID, stuck[0].WaitReason)
	}
}

// waitEnd waits until a job has ended. A time limit of ctx is exit code 124; a wait that was
// called off says that the job goes on.
func (a *app) waitEnd(ctx context.Context, id int64) (*job.Job, error) {
	svc, err := a.svc()
	if err != nil {
		return nil, err
	}
	j, err := svc.WaitJob(ctx, id)
	if err == nil {
		return j, nil
	}
	state := "not ended"
	if j != nil {
		state = string(j.State)
	}
	return nil, waitError(ctx, err, fmt.Sprintf("job %d is %s: the wait's time limit passed, the job goes on", id, state))
}

func waitError(ctx context.Context, err error, passed string) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &exitError{code: exitTimeLimit, err: errors.New(passed)}
	case ctx.Err() != nil:
		return &exitError{code: exitInterrupted, err: errors.New("the wait was called off; jobs go on")}
	}
	return err
}

// waitAll waits for many jobs: exit code 0 when all completed, else 1.
func (a *app) waitAll(ctx context.Context, ids []int64) error {
	bad := 0
	for _, id := range ids {
		j, err := a.waitEnd(ctx, id)
		if err != nil {
			return err
		}
		if j.State != job.Completed {
			a.tellEnd(j)
			bad++
		}
	}
	if bad > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

// tellEnd says on standard error how a job ended, where it did not simply complete.
func (a *app) tellEnd(j *job.Job) {
	if j.State == job.Completed {
		return
	}
	how := a.outcome(j)
	if how != "" {
		how = ": " + how
	}
	a.warn("job %d %s%s", j.ID, j.State, how)
}

// exitAs makes the command exit as the job did.
func exitAs(j *job.Job) error {
	if code := jobExitCode(j); code != exitDone {
		return &exitError{code: code}
	}
	return nil
}
