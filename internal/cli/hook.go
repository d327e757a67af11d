package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

func newHookCommand(a *app) *cobra.Command {
	return group("hook", "see whom hooks tell of what happens to jobs, and what has arrived", newHookListCommand(a), newHookDeliveriesCommand(a), newHookRetryCommand(a))
}

// hooks returns what knows of hooks.
func (a *app) hooks() (job.HookService, error) {
	svc, err := a.svc()
	if err != nil {
		return nil, err
	}
	hooks, ok := svc.(job.HookService)
	if !ok {
		return nil, &job.Error{Code: job.WrongState, Message: "this service has no hooks"}
	}
	return hooks, nil
}

func newHookListCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the hooks of settings and job types",
		Long: `Lists the hooks of the settings, [[hooks]] in config.toml, and of job types, with what their receiver said last while it fails. Hooks of
single jobs (job add --hook, --webhook) are on their records: job status shows them. Secrets are shown nowhere.

` + exitCodesHelp,
		Example: "  queuemgr hook list\n  queuemgr hook list --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runHookList(cmd.Context(), a, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func runHookList(ctx context.Context, a *app, asJSON bool) error {
	hooks, err := a.hooks()
	if err != nil {
		return err
	}
	list, err := hooks.Hooks(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(list)
	}
	if len(list) == 0 {
		return a.print("no hooks; [[hooks]] in config.toml makes some: queuemgr config example\n")
	}
	t := &table{columns: []column{{title: "HOOK"}, {title: "FROM"}, {title: "ON"}, {title: "QUEUE"}, {title: "TYPE"}, {title: "TELLS", cut: true}, {title: "SIGNED", spare: 1}, {title: "TROUBLE"}}}
	for i := range list {
		h := &list[i]
		signed := ""
		if h.Signed {
			signed = "yes"
		}
		t.add(h.Name, h.Source, joinEvents(h.On), h.Queue, h.Type, printable(hookTarget(h.Command, h.URL)), signed, printable(h.LastError))
	}
	return t.write(a.Stdout, a.width())
}

func joinEvents(on []job.HookEvent) string {
	words := make([]string, len(on))
	for i, e := range on {
		words[i] = string(e)
	}
	return strings.Join(words, ",")
}

// hookTarget is whom a hook tells, in words.
func hookTarget(command []string, url string) string {
	if url != "" {
		return job.ShownURL(url)
	}
	return strings.Join(command, " ")
}

type deliveriesOptions struct {
	of     string
	states []string
	limit  string
	json   bool
}

func newHookDeliveriesCommand(a *app) *cobra.Command {
	var o deliveriesOptions
	cmd := &cobra.Command{
		Use:   "deliveries [JOB]",
		Short: "list events on their way to hooks, and what became of them",
		Long: `Lists deliveries, the newest first: each is one event of one job on its way to one hook. pending were not tried yet or are on
their way, failed ones are tried again, given_up ones are not: hook retry does that. Those that are over are kept for seven days.
What a hook's command wrote is beside the job's log, JOB.hook-DELIVERY.log.

` + exitCodesHelp,
		Example: "  queuemgr hook deliveries 7\n  queuemgr hook deliveries --state failed,given_up\n  queuemgr hook deliveries --limit all --json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(fmt.Sprintf("%s takes one job, and was given %d", cmd.CommandPath(), len(args)), "give a number, last or a key; or none, for those of all")
			}
			return nil
		},
		ValidArgsFunction: a.completeJobs(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.of = args[0]
			}
			return runHookDeliveries(cmd.Context(), a, o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.states, "state", nil, "only those in these `STATES`: pending, failed, done, given_up")
	f.StringVar(&o.limit, "limit", "50", "`N` deliveries, or all")
	f.BoolVar(&o.json, "json", false, "print a JSON array")
	completeFlag(cmd, "state", fixed("pending", "failed", "done", "given_up"))
	return cmd
}

func runHookDeliveries(ctx context.Context, a *app, o deliveriesOptions) error {
	var f job.DeliveryFilter
	for _, word := range splitCommas(o.states) {
		f.States = append(f.States, job.DeliveryState(word))
	}
	if err := f.Check(); err != nil {
		return flagError("state", err)
	}
	left := -1
	if o.limit != "all" {
		n, err := strconv.Atoi(o.limit)
		if err != nil || n < 1 {
			return usage(fmt.Sprintf("--limit: bad number %q", o.limit), "give a whole number from 1, or all")
		}
		left = n
	}
	if o.of != "" {
		id, err := a.deliveriesOf(ctx, o.of)
		if err != nil {
			return err
		}
		f.JobID = id
	}
	hooks, err := a.hooks()
	if err != nil {
		return err
	}
	all := []job.Delivery{}
	for {
		if f.Limit = job.MaxLimit; left >= 0 {
			f.Limit = min(left-len(all), job.MaxLimit)
		}
		page, err := hooks.HookDeliveries(ctx, f)
		if err != nil {
			return err
		}
		all = append(all, page.Deliveries...)
		if f.Cursor = page.NextCursor; f.Cursor == "" || left >= 0 && len(all) >= left {
			break
		}
	}
	if o.json {
		return a.printJSON(all)
	}
	if len(all) == 0 {
		return a.print("no deliveries\n")
	}
	t := &table{columns: []column{{title: "ID", right: true}, {title: "JOB", right: true}, {title: "EVENT"}, {title: "HOOK"}, {title: "STATE"}, {title: "TRIES", right: true},
		{title: "AGE", spare: 1}, {title: "NEXT TRY", spare: 2}, {title: "LAST ERROR", cut: true}}}
	now := a.now()
	for i := range all {
		d := &all[i]
		next := ""
		switch {
		case d.RunID != "":
			next = "runs now"
		case d.NextTry.After(now):
			next = "in " + span(d.NextTry.Sub(now))
		case d.State.Open() && d.NextTry.IsZero():
			next = "after an earlier one"
		}
		t.add(strconv.FormatInt(d.ID, 10), strconv.FormatInt(d.JobID, 10), string(d.Event), printable(d.Hook), string(d.State), strconv.Itoa(d.Tries), ago(now, d.CreatedAt), next, printable(d.LastError))
	}
	return t.write(a.Stdout, a.width())
}

// deliveriesOf returns the number of the job that is meant. One that is not on record any more may still
// have deliveries.
func (a *app) deliveriesOf(ctx context.Context, word string) (int64, error) {
	if id, err := strconv.ParseInt(word, 10, 64); err == nil && id > 0 {
		return id, nil
	}
	filter, err := (&selection{words: []string{word}}).filter()
	if err != nil {
		return 0, err
	}
	svc, err := a.svc()
	if err != nil {
		return 0, err
	}
	list, err := jobs(ctx, svc, filter)
	if err != nil {
		return 0, err
	}
	if len(list) != 1 {
		return 0, usage(fmt.Sprintf("%s selected, and deliveries are listed of one", plural(int64(len(list)), "job")), "give a number, last or a key; or none, for those of all")
	}
	return list[0].ID, nil
}

func newHookRetryCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "retry DELIVERY",
		Short: "try a delivery again, now",
		Long: `Tries a delivery again at once, also one that was given up or is done: its receiver then gets it once more, under the same name. Who
may do so is the job's owner, an operator, and root.

` + exitCodesHelp,
		Example: "  queuemgr hook deliveries --state given_up\n  queuemgr hook retry 12",
		Args:    oneArg("number of a delivery"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runHookRetry(cmd.Context(), a, args[0], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the delivery as JSON")
	return cmd
}

func runHookRetry(ctx context.Context, a *app, word string, asJSON bool) error {
	id, err := strconv.ParseInt(word, 10, 64)
	if err != nil || id < 1 {
		return usage(fmt.Sprintf("%q is no number of a delivery", word), "queuemgr hook deliveries lists them")
	}
	hooks, err := a.hooks()
	if err != nil {
		return err
	}
	d, err := hooks.RetryDelivery(ctx, id)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(d)
	}
	return a.print("delivery %d, %s of job %d to %s, is tried again\n", d.ID, d.Event, d.JobID, printable(d.Hook))
}

// hookFlags reads --hook and --webhook: EVENTS=COMMAND and EVENTS=URL.
func hookFlags(commands, urls []string) (hooks []job.Hook, err error) {
	for _, flag := range []struct {
		name   string
		values []string
	}{{"hook", commands}, {"webhook", urls}} {
		for _, text := range flag.values {
			events, what, ok := strings.Cut(text, "=")
			if what = strings.TrimSpace(what); !ok || what == "" {
				example := "--hook 'failure=mail -s failed ops'"
				if flag.name == "webhook" {
					example = "--webhook success,failure=https://ci.example.org/hooks"
				}
				return nil, usage(fmt.Sprintf("--%s: %q says not both when and what", flag.name, text), "give "+example)
			}
			var h job.Hook
			for _, e := range strings.Split(events, ",") {
				h.On = append(h.On, job.HookEvent(strings.TrimSpace(e)))
			}
			if h.Command = []string{"/bin/sh", "-c", what}; flag.name == "webhook" {
				h.Command, h.URL = nil, what
			}
			if err := h.Check("--" + flag.name); err != nil {
				return nil, flagError(flag.name, err)
			}
			hooks = append(hooks, h)
		}
	}
	return hooks, nil
}
