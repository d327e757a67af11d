package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

func newJobCommand(a *app) *cobra.Command {
	return group("job", "add jobs, look at them and act on them",
		newJobAddCommand(a), newJobListCommand(a), newJobStatusCommand(a),
		newJobActCommand(a, job.ActStart), newJobActCommand(a, job.ActStop), newJobActCommand(a, job.ActHold), newJobActCommand(a, job.ActDelete),
		newJobWaitCommand(a), newJobLogsCommand(a))
}

// jobTable shows jobs, one a row.
func (a *app) jobTable(list []*job.Job) *table { return a.jobTablePart(list, false, progress) }

// liveTable is jobTable for a picture of what is going on.
func (a *app) liveTable(list []*job.Job) *table { return a.jobTablePart(list, false, progressBar) }

// jobTablePart shows jobs; of a part of a longer list no column is left out for what they have in
// common. done shows how far a job is.
func (a *app) jobTablePart(list []*job.Job, part bool, done func(*job.Job) string) *table {
	t := &table{first: part, columns: []column{{title: "ID", right: true}, {title: "STATE"}, {title: "WHY"}, {title: "QUEUE", spare: 2}, {title: "PRI", right: true, spare: 4},
		{title: "KEY", spare: 3}, {title: "NAME", spare: 1}, {title: "TAGS", spare: 6}, {title: "OWNER", spare: 5}, {title: "DONE", right: true},
		{title: "TIME", right: true, spare: 1}, {title: "ADDED", right: true, spare: 7}, {title: "COMMAND", cut: true}}}
	if a.colours(a.Stdout) {
		t.paint = func(column int, cell string) string {
			if column == 1 {
				return paintState(cell)
			}
			return cell
		}
	}
	owners, queues := map[string]bool{}, map[string]bool{}
	for _, j := range list {
		owners[j.Owner], queues[j.Queue] = true, true
	}
	now := a.now()
	bound := shorten
	if terminal(a.Stdout) == nil {
		bound = func(s string, _ int) string { return s } // a program wants the whole
	}
	for _, j := range list {
		why := a.outcome(j)
		if j.State != job.Held { // what is to be typed is of use as a whole only
			why = bound(why, 40)
		}
		priority, owner, queue := "", "", ""
		if j.Priority != 0 {
			priority = fmt.Sprint(j.Priority)
		}
		if part || len(owners) > 1 {
			owner = printable(j.Owner)
		}
		if part || len(queues) > 1 || !queues[job.DefaultQueue] {
			queue = j.Queue
		}
		t.add(fmt.Sprint(j.ID), string(j.State), why, queue, priority, bound(printable(j.Key), 24), bound(printable(j.Name), 32),
			bound(printable(strings.Join(j.Tags, ",")), 24), owner, done(j), runTime(now, j), ago(now, j.CreatedAt), commandText(j))
	}
	return t
}

// progress is what a job reports of itself, "" where it reports nothing.
func progress(j *job.Job) string {
	if j.Progress == nil || j.State == job.Completed {
		return ""
	}
	return fmt.Sprintf("%d %%", *j.Progress)
}

// barCells is how wide the bar of a job's progress is.
const barCells = 10

// progressBar is progress with a bar.
func progressBar(j *job.Job) string {
	p := progress(j)
	if p == "" {
		return ""
	}
	full := min(max(*j.Progress, 0), 100) * barCells / 100
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", barCells-full) + "] " + p
}
