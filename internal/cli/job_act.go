package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

type actOptions struct {
	action job.Action
	sel    selection
	force  bool
	grace  string
	dryRun bool
	wait   bool
	yes    bool
	json   bool
}

// deed is what there is to say about an action.
type deed struct {
	short, long string
	done, would string      // "job 7 DONE", "job 7 WOULD"
	under       string      // "job 7 UNDER" while its processes still end
	fit         []job.State // the states a job to be asked for is in
	flags       bool        // --force, --grace, --wait
}

func deedOf(action job.Action) deed {
	waiting := []job.State{job.Held, job.Scheduled, job.Blocked, job.Queued}
	live := []job.State{job.Starting, job.Running, job.Paused, job.Stopping}
	switch action {
	case job.ActStart:
		return deed{short: "start waiting jobs next, or ended ones again",
			long: "Moves waiting jobs to the head of their queue, held ones too, and gives ended jobs a new attempt. Limits of the queue still hold.",
			done: "starts next", would: "would start next", fit: append(waiting, job.Failed, job.Stopped, job.Completed, job.Skipped)}
	case job.ActStop:
		return deed{short: "stop jobs",
			long: "Sends the stop signal to every process of a live job, and KILL after its grace time. Waiting jobs will not run. " +
				"It does not wait for live jobs to end: --wait does.",
			done: "is stopped", would: "would be stopped", under: "is being stopped", fit: append(live, waiting...), flags: true}
	case job.ActHold:
		return deed{short: "keep waiting jobs from starting", long: "Keeps waiting jobs from starting until job start.",
			done: "is held", would: "would be held", fit: waiting}
	default:
		return deed{short: "delete jobs: stop them and keep only a record",
			long: "Stops live jobs as job stop does and marks the jobs deleted. Records and logs stay until retention takes them: " +
				"job list --state deleted. It does not wait for live jobs to end: --wait does.",
			done: "is deleted", would: "would be deleted", under: "is being deleted", flags: true}
	}
}

func newJobActCommand(a *app, action job.Action) *cobra.Command {
	o := actOptions{action: action}
	verb, d := string(action), deedOf(action)
	asks := ""
	if d.flags {
		asks = "\nOn a terminal it asks before it is done to several jobs that all or flags select."
	}
	cmd := &cobra.Command{
		Use:   verb + " SELECTOR...",
		Short: d.short,
		Long:  d.long + "\n\n" + selectorHelp + "\nJobs that are not named one by one and are in no state for it are passed over." + asks + "\n\n" + exitCodesHelp,
		Example: fmt.Sprintf(`  queuemgr job %s 7
  queuemgr job %s 3,5-8
  queuemgr job %s --queue nightly --dry-run`, verb, verb, verb),
		ValidArgsFunction: a.completeJobs(d.fit...),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.sel.words = args
			return runJobAct(cmd.Context(), a, o)
		},
	}
	o.sel.flags(a, cmd)
	f := cmd.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "only say which jobs it would be done to")
	f.BoolVar(&o.json, "json", false, "print JSON: {\"done\":[...],\"skipped\":N,\"failed\":[...]}")
	if d.flags {
		f.BoolVar(&o.force, "force", false, "KILL at once")
		f.StringVar(&o.grace, "grace", "", "`TIME` between the stop signal and KILL, in place of the job's own")
		f.BoolVar(&o.wait, "wait", false, "return when live jobs have ended, not already while they are being stopped")
		f.BoolVarP(&o.yes, "yes", "y", false, "do not ask before it is done to several jobs")
	}
	return cmd
}

func runJobAct(ctx context.Context, a *app, o actOptions) error {
	d := deedOf(o.action)
	if err := a.needJob(ctx, &o.sel, string(o.action), d.fit...); err != nil {
		return err
	}
	filter, err := o.sel.filter()
	if err != nil {
		return err
	}
	request := job.ActRequest{Action: o.action, Filter: filter, Force: o.force, DryRun: o.dryRun}
	if o.grace != "" {
		grace, err := durationFlag("grace", o.grace)
		if err != nil {
			return err
		}
		request.Grace = &grace
	}
	svc, err := a.svc()
	if err != nil {
		return err
	}
	if err := knownQueues(ctx, svc, filter.Queues); err != nil {
		return err
	}
	if d.flags && !filter.Explicit() && !o.dryRun && !o.yes && a.interactive() {
		if yes, err := a.confirmMany(ctx, svc, request); err != nil || !yes {
			return err
		}
	}
	result, err := svc.Act(ctx, request)
	if err != nil {
		return err
	}
	other := map[int64]string{} // what is to be said of a job in place of d.done
	if o.wait && !o.dryRun {
		for _, id := range result.Done {
			j, err := a.waitEnd(ctx, id)
			switch {
			case notFound(err): // retention was quick
			case err != nil:
				return err
			case j.State != job.Stopped && j.State != job.Deleted:
				other[id] = fmt.Sprintf("%s before it was stopped", j.State)
			}
		}
	} else if d.under != "" && !o.dryRun && !o.json {
		if err := underWay(ctx, svc, result.Done, d.under, other); err != nil {
			return err
		}
	}
	return a.printAct(o, d, result, other)
}

// underWay notes in other which of the jobs that were stopped or deleted still have processes.
func underWay(ctx context.Context, svc job.Service, ids []int64, words string, other map[int64]string) error {
	if len(ids) == 0 {
		return nil
	}
	live := map[int64]bool{}
	// Live jobs are few however many were named.
	f := job.Filter{States: []job.State{job.Starting, job.Running, job.Paused, job.Stopping}, Limit: job.MaxLimit}
	for {
		page, err := svc.ListJobs(ctx, f)
		if err != nil {
			return err
		}
		for _, j := range page.Jobs {
			live[j.ID] = true
		}
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			break
		}
	}
	for _, id := range ids {
		if live[id] {
			other[id] = words
		}
	}
	return nil
}

// confirmMany asks before something is done to several jobs that were not named one by one.
func (a *app) confirmMany(ctx context.Context, svc job.Service, request job.ActRequest) (bool, error) {
	request.DryRun = true
	would, err := svc.Act(ctx, request)
	if err != nil || len(would.Done) < 2 {
		return true, err
	}
	yes, err := a.confirm(ctx, fmt.Sprintf("%s %s?", capital(string(request.Action)), plural(int64(len(would.Done)), "job")))
	if err == nil && !yes {
		return false, a.print("nothing was done\n")
	}
	return yes, err
}

func (a *app) printAct(o actOptions, d deed, result job.ActResult, other map[int64]string) error {
	if o.json {
		if result.Done == nil {
			result.Done = []int64{}
		}
		if err := a.printJSON(result); err != nil {
			return err
		}
	} else if err := a.printDone(o, d, result, other); err != nil {
		return err
	}
	if len(result.Failed) == 0 {
		return nil
	}
	first := result.Failed[0].Error
	if o.json {
		return &exitError{code: exitCode(first.Code)} // the output has the errors
	}
	for _, f := range result.Failed[1:] {
		defer a.tell(f.Error, false)
	}
	return first
}

// listedOneByOne is up to how many jobs get a line each.
const listedOneByOne = 20

func (a *app) printDone(o actOptions, d deed, result job.ActResult, other map[int64]string) error {
	what := d.done
	if o.dryRun {
		what = d.would
	}
	if len(result.Done) == 0 && len(result.Failed) == 0 {
		if result.Skipped > 0 {
			return a.print("nothing to %s: %s selected, none in a state for it\n", o.action, plural(int64(result.Skipped), "job"))
		}
		return a.print("nothing to %s: no job is selected\n", o.action)
	}
	if len(result.Done) > listedOneByOne {
		counts := map[string]int64{}
		for _, id := range result.Done {
			counts[cmp.Or(other[id], what)]++
		}
		for _, words := range slices.Sorted(maps.Keys(counts)) {
			each := ": each "
			if counts[words] == 1 {
				each = " "
			}
			if err := a.print("%s%s%s\n", plural(counts[words], "job"), each, words); err != nil {
				return err
			}
		}
		return nil
	}
	for _, id := range result.Done {
		if err := a.print("job %d %s\n", id, cmp.Or(other[id], what)); err != nil {
			return err
		}
	}
	return nil
}
