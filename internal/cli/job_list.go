package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

type listOptions struct {
	sel         selection
	limit       string
	oldest      bool
	sort        string
	json, jsonl bool
}

func newJobListCommand(a *app) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:   "list [SELECTOR]...",
		Short: "list jobs, the newest first",
		Long: "Lists the newest 50 jobs, or those that are selected. Deleted ones are shown with --state deleted.\n\n" +
			selectorHelp + "\n\n" + exitCodesHelp,
		Example: `  queuemgr job list
  queuemgr job list --state queued,running --queue backup
  queuemgr job list --limit all --jsonl | jq .id`,
		ValidArgsFunction: a.completeJobs(),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.sel.words = args
			return runJobList(cmd.Context(), a, o)
		},
	}
	o.sel.flags(a, cmd)
	f := cmd.Flags()
	f.StringVar(&o.limit, "limit", "", "show `N` jobs, or all (default 50; all of those named)")
	f.BoolVar(&o.oldest, "oldest", false, "the oldest first")
	f.StringVar(&o.sort, "sort", "", "`ORDER`: id, -id, or ended, -ended, which list jobs that have ended")
	f.BoolVar(&o.json, "json", false, "print a JSON array")
	f.BoolVar(&o.jsonl, "jsonl", false, "print one JSON object a line")
	completeFlag(cmd, "limit", fixed("all"))
	completeFlag(cmd, "sort", fixed("id", "-id", "ended", "-ended"))
	return cmd
}

func runJobList(ctx context.Context, a *app, o listOptions) error {
	if o.json && o.jsonl {
		return usage("--json and --jsonl are both given", "give one of them")
	}
	filter, err := o.sel.filter()
	if err != nil {
		return err
	}
	left, err := parseLimit(o.limit, filter.Explicit())
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
	if o.oldest && o.sort != "" {
		return usage("--oldest and --sort are both given", "give one of them")
	}
	if filter.Oldest, filter.Sort = o.oldest, job.Sort(o.sort); o.sort != "" && !slices.Contains(job.Sorts, filter.Sort) {
		return usage(fmt.Sprintf("--sort: unknown order %q", o.sort), "the orders are id, -id, ended, -ended")
	}
	out := bufio.NewWriterSize(a.Stdout, 64<<10)
	p := a.newJobPrinter(out, o)
	// One page at a time: a million jobs on record are shown in the memory of a thousand.
	var found []*job.Job // only kept to see that every job that was named is there
	for left != 0 {
		filter.Limit = job.MaxLimit
		if left > 0 {
			filter.Limit = min(left, job.MaxLimit)
		}
		page, err := svc.ListJobs(ctx, filter)
		if err != nil {
			return err
		}
		if filter.Explicit() {
			found = append(found, page.Jobs...)
		}
		more := page.NextCursor != "" && !filter.Last && (left < 0 || left > len(page.Jobs))
		if err := p.page(page.Jobs, more); err != nil {
			return err
		}
		if left > 0 {
			left -= min(left, len(page.Jobs))
		}
		if filter.Cursor = page.NextCursor; filter.Cursor == "" || filter.Last {
			break
		}
	}
	if err := p.end(); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if filter.Explicit() && left != 0 {
		if err := missing(filter, found); err != nil {
			return err
		}
	}
	if p.count == 0 && !o.json && !o.jsonl {
		if o.sel.none() {
			a.note("no jobs yet; add one: queuemgr job add -- COMMAND")
		} else {
			a.note("no job is selected")
		}
	}
	if filter.Cursor != "" && o.limit == "" && !o.json && !o.jsonl {
		a.note("the newest %d; more with --limit N or --limit all", job.DefaultLimit)
	}
	return nil
}

// parseLimit reads --limit: how many jobs, -1 for all.
func parseLimit(text string, explicit bool) (int, error) {
	switch text {
	case "all":
		return -1, nil
	case "":
		if explicit {
			return -1, nil
		}
		return job.DefaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, usage(fmt.Sprintf("--limit: bad number %q", text), "give a number from 1, or all")
	}
	return n, nil
}

// note says something beside the output, to people only.
func (a *app) note(format string, args ...any) {
	if terminal(a.Stdout) != nil {
		_, _ = fmt.Fprintf(a.Stderr, a.suggestFormat(format)+"\n", args...) // nowhere else to say it
	}
}

// jobPrinter writes jobs page by page as a table, a JSON array or JSON lines.
type jobPrinter struct {
	a     *app
	w     io.Writer
	o     listOptions
	width int
	count int
	cells []int // the table's columns, once a part of it is written
}

func (a *app) newJobPrinter(w io.Writer, o listOptions) *jobPrinter {
	return &jobPrinter{a: a, w: w, o: o, width: a.width()}
}

// page writes one page; more says that others follow.
func (p *jobPrinter) page(list []*job.Job, more bool) error {
	if !p.o.json && !p.o.jsonl {
		if len(list) == 0 {
			return nil
		}
		p.count += len(list)
		var err error
		p.cells, err = p.a.jobTablePart(list, more || p.cells != nil, progress).writePart(p.w, p.width, p.cells)
		return err
	}
	for _, j := range list {
		body, err := json.Marshal(j)
		if err != nil {
			return fmt.Errorf("writing job %d: %w", j.ID, err)
		}
		head := ""
		switch {
		case p.o.jsonl:
		case p.count == 0:
			head = "[\n"
		default:
			head = ",\n"
		}
		tail := ""
		if p.o.jsonl {
			tail = "\n"
		}
		if _, err := fmt.Fprintf(p.w, "%s%s%s", head, body, tail); err != nil {
			return err
		}
		p.count++
	}
	return nil
}

func (p *jobPrinter) end() error {
	if !p.o.json {
		return nil
	}
	tail := "\n]\n"
	if p.count == 0 {
		tail = "[]\n"
	}
	_, err := io.WriteString(p.w, tail)
	return err
}
