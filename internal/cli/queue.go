package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

func newQueueCommand(a *app) *cobra.Command {
	return group("queue", "list, make and change queues", newQueueListCommand(a),
		newQueueSetCommand(a, true), newQueueSetCommand(a, false), newQueuePauseCommand(a, true), newQueuePauseCommand(a, false), newQueueDeleteCommand(a))
}

func newQueueListCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "list queues with the numbers of their jobs",
		Long:    "Lists the queues with the numbers of their jobs.\n\n" + exitCodesHelp,
		Example: "  queuemgr queue list",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runQueueList(cmd.Context(), a, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func runQueueList(ctx context.Context, a *app, asJSON bool) error {
	svc, err := a.svc()
	if err != nil {
		return err
	}
	queues, err := svc.Queues(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(queues)
	}
	return a.queueTable(queues).write(a.Stdout, a.width())
}

// queueTable shows queues, one a row.
func (a *app) queueTable(queues []job.Queue) *table {
	t := &table{columns: []column{{title: "QUEUE", cut: true}, {title: "PAUSED"}, {title: "START", spare: 3}, {title: "AT ONCE", right: true, spare: 4}, {title: "WAITING", right: true},
		{title: "HELD", right: true, spare: 1}, {title: "RUNNING", right: true}, {title: "COMPLETED", right: true, spare: 5}, {title: "FAILED", right: true, spare: 2},
		{title: "STOPPED", right: true, spare: 6}}}
	for _, q := range queues {
		paused, start := "", ""
		if q.Paused {
			paused = "paused"
		}
		if q.Start == job.StartManual {
			start = string(q.Start)
		}
		count := func(states ...job.State) string {
			n := int64(0)
			for _, s := range states {
				n += q.Jobs[s]
			}
			if n == 0 {
				return ""
			}
			return fmt.Sprint(n)
		}
		t.add(q.Name, paused, start, number(q.Concurrency), count(job.Queued, job.Scheduled, job.Blocked), count(job.Held),
			count(job.Starting, job.Running, job.Paused, job.Stopping), count(job.Completed), count(job.Failed, job.Skipped), count(job.Stopped))
	}
	return t
}

type queueSetOptions struct {
	name        string
	add         bool
	concurrency *int
	start       string
	paused      *bool
	json        bool
}

func newQueueSetCommand(a *app, add bool) *cobra.Command {
	o := queueSetOptions{add: add}
	var concurrency int
	var paused bool
	cmd := &cobra.Command{
		Use:     "set NAME",
		Short:   "change a queue",
		Long:    "Changes what is given and leaves the rest of a queue as it is.\n\n" + exitCodesHelp,
		Example: "  queuemgr queue set media --concurrency 2",
		Args:    oneArg("queue name"),
	}
	if add {
		cmd.Use, cmd.Short = "add NAME", "make a queue"
		cmd.Long = "Makes a queue. With --start manual its new jobs are held until job start.\n\n" + exitCodesHelp
		cmd.Example = "  queuemgr queue add media --concurrency 1\n  queuemgr queue add review --start manual"
	} else {
		cmd.ValidArgsFunction = a.completeQueues
	}
	f := cmd.Flags()
	f.IntVar(&concurrency, "concurrency", 0, "at most `N` jobs of the queue run at once; 0 = no limit of its own")
	f.StringVar(&o.start, "start", "", "`MODE`: auto, new jobs run when there is room, or manual, they are held")
	f.BoolVar(&paused, "paused", false, "start nothing until queue resume")
	f.BoolVar(&o.json, "json", false, "print the queue as JSON")
	completeFlag(cmd, "start", fixed("auto", "manual"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.name = args[0]
		if f.Changed("concurrency") {
			o.concurrency = &concurrency
		}
		if f.Changed("paused") {
			o.paused = &paused
		}
		return runQueueSet(cmd.Context(), a, o)
	}
	return cmd
}

func runQueueSet(ctx context.Context, a *app, o queueSetOptions) error {
	u := job.QueueUpdate{Concurrency: o.concurrency, Paused: o.paused}
	switch mode := job.StartMode(o.start); mode {
	case "":
	case job.StartAuto, job.StartManual:
		u.Start = &mode
	default:
		return usage(fmt.Sprintf("--start: bad mode %q", o.start), "give auto or manual")
	}
	if o.concurrency != nil && *o.concurrency < 0 {
		return usage(fmt.Sprintf("--concurrency: bad number %d", *o.concurrency), "give a number from 0; 0 is no limit of the queue's own")
	}
	if !o.add && u == (job.QueueUpdate{}) {
		return usage("queue set was told nothing to change", "give --concurrency, --start or --paused")
	}
	svc, err := a.svc()
	if err != nil {
		return err
	}
	change, what := svc.SetQueue, "changed"
	if o.add {
		change, what = svc.AddQueue, "added"
	}
	q, err := change(ctx, o.name, u)
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(q)
	}
	return a.print("queue %s %s\n", q.Name, what)
}

func newQueuePauseCommand(a *app, pause bool) *cobra.Command {
	o := queueSetOptions{paused: &pause}
	cmd := &cobra.Command{
		Use:               "resume NAME",
		Short:             "let a paused queue start jobs again",
		Long:              "Lets a paused queue start jobs again.\n\n" + exitCodesHelp,
		Example:           "  queuemgr queue resume backup",
		Args:              oneArg("queue name"),
		ValidArgsFunction: a.completeQueues,
	}
	if pause {
		cmd.Use, cmd.Short, cmd.Example = "pause NAME", "keep a queue from starting jobs", "  queuemgr queue pause backup"
		cmd.Long = "Keeps a queue from starting jobs; what runs goes on, and jobs can be added.\n\n" + exitCodesHelp
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print the queue as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		svc, err := a.svc()
		if err != nil {
			return err
		}
		q, err := svc.SetQueue(cmd.Context(), args[0], job.QueueUpdate{Paused: &pause})
		if err != nil {
			return err
		}
		if o.json {
			return a.printJSON(q)
		}
		what := "starts jobs"
		if pause {
			what = "is paused: what runs goes on"
		}
		return a.print("queue %s %s\n", q.Name, what)
	}
	return cmd
}

func newQueueDeleteCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME",
		Short:             "delete a queue without waiting or live jobs",
		Long:              "Deletes a queue. It must have no waiting or live jobs, and the queue default stays.\n\n" + exitCodesHelp,
		Example:           "  queuemgr queue delete media",
		Args:              oneArg("queue name"),
		ValidArgsFunction: a.completeQueues,
		RunE: func(cmd *cobra.Command, args []string) error {
			svc, err := a.svc()
			if err != nil {
				return err
			}
			if err := svc.DeleteQueue(cmd.Context(), args[0]); err != nil {
				return notThere(err)
			}
			return a.print("queue %s deleted\n", args[0])
		},
	}
}

// notThere gives the error of a deletion another hint than to make what is not there.
func notThere(err error) error {
	var e *job.Error
	if !errors.As(err, &e) || e.Code != job.NotFound {
		return err
	}
	with := *e
	with.Hint = "queuemgr queue list shows the queues"
	return &with
}

// knownQueues returns an error for the first of names that is no queue: one that was misspelt
// would silently select nothing. Jobs of a queue that was deleted may still be on record.
func knownQueues(ctx context.Context, svc job.Service, names []string) error {
	for _, name := range names {
		_, err := svc.Queue(ctx, name)
		if err == nil {
			continue
		}
		if job.CodeOf(err) != job.NotFound {
			return err
		}
		page, listErr := svc.ListJobs(ctx, job.Filter{Queues: []string{name}, States: job.States, Limit: 1})
		if listErr != nil {
			return listErr
		}
		if len(page.Jobs) == 0 {
			return err
		}
	}
	return nil
}
