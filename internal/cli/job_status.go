package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

type statusOptions struct {
	sel  selection
	json bool
}

func newJobStatusCommand(a *app) *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status SELECTOR...",
		Short: "show everything known of a job",
		Long:  "Shows everything known of the selected jobs, their earlier attempts too; of many that are not named, the newest 50 (--json: all).\n\n" + selectorHelp + "\n\n" + exitCodesHelp,
		Example: `  queuemgr job status last
  queuemgr job status 7 --json | jq .exit_code`,
		ValidArgsFunction: a.completeJobs(),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.sel.words = args
			return runJobStatus(cmd.Context(), a, o)
		},
	}
	o.sel.flags(a, cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON: one object for one job, else an array")
	return cmd
}

func runJobStatus(ctx context.Context, a *app, o statusOptions) error {
	if err := a.needJob(ctx, &o.sel, "status"); err != nil {
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
	list, err := jobs(ctx, svc, filter)
	if err != nil {
		return err
	}
	if o.json {
		if len(list) == 1 {
			return a.printJSON(list[0])
		}
		return a.printJSON(list)
	}
	// Of many the newest are shown: thousands in full would help nobody.
	if total := len(list); total > job.DefaultLimit && !filter.Explicit() {
		list = list[:job.DefaultLimit]
		defer a.warn("these are the newest %d of %d jobs; one line each: queuemgr job list --limit all", len(list), total)
	}
	out := bufio.NewWriter(a.Stdout)
	for i, j := range list {
		var attempts []job.Attempt
		// The first attempt is an earlier one as soon as the job waits for its second.
		if j.Attempt > 1 || j.Attempt == 1 && j.State.Waiting() {
			if attempts, err = svc.Attempts(ctx, j.ID); err != nil {
				return err
			}
		}
		if i > 0 {
			if err := out.WriteByte('\n'); err != nil {
				return err
			}
		}
		if err := a.writeJob(out, j, attempts); err != nil {
			return err
		}
	}
	return out.Flush()
}

// writeJob writes one job for people: a line for each thing that is known.
func (a *app) writeJob(w io.Writer, j *job.Job, attempts []job.Attempt) error {
	state := string(j.State)
	if a.colours(a.Stdout) {
		state = paintState(state)
	}
	if how := a.ending(j); how != "" && j.Reason != job.ReasonSpawn {
		state += " (" + how + ")"
	}
	now := a.now()
	lines := [][2]string{
		{"Job", fmt.Sprint(j.ID)}, {"Key", printable(j.Key)}, {"Name", printable(j.Name)}, {"State", state},
		{"Error", printable(j.Error)}, {"Progress", progressBar(j)}, {"Status", printable(j.StatusText)},
		{"Result", printable(string(j.Result))}, {"Type", typeName(j)}, {"Params", printable(string(j.Params))}, {"Command", argvText(j)}, {"Directory", printable(j.Cwd)},
		{"Queue", j.Queue}, {"Priority", number(j.Priority)}, {"Tags", printable(strings.Join(j.Tags, ", "))}, {"Owner", printable(j.Owner)}, {"Runs as", otherAccount(j)},
		{"Added", moment(now, j.CreatedAt)}, {"Not before", moment(now, j.StartAt)}, {"Started", moment(now, j.StartedAt)},
		{"Finished", moment(now, j.FinishedAt)}, {"Ran for", runTime(now, j)}, {"Attempt", attempt(j)}, {"Process", number(j.PID)},
		{"Time limit", limit(j.Timeout)}, {"Stopped by", stoppedBy(j)}, {"If lost", string(j.OnLost)},
		{"Watchdog", watchdog(j)}, {"Succeeds", successCodes(j)}, {"Used", usageText(j.Usage)}, {"Node", printable(j.Node)},
	}
	for _, note := range j.Notes {
		lines = append(lines, [2]string{"Note", printable(note)})
	}
	for _, l := range lines {
		if l[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-11s %s\n", l[0]+":", l[1]); err != nil {
			return err
		}
	}
	for i := range j.Hooks {
		h := &j.Hooks[i]
		if _, err := fmt.Fprintf(w, "%-11s %s: %s\n", "Hook:", joinEvents(h.On), printable(hookTarget(h.Command, h.URL))); err != nil {
			return err
		}
	}
	for _, t := range attempts {
		past := &job.Job{State: t.State, Reason: t.Reason, ExitCode: t.ExitCode, Signal: t.Signal, Error: t.Error}
		how := string(t.State)
		if e := a.ending(past); e != "" {
			how += " (" + e + ")"
		}
		if _, err := fmt.Fprintf(w, "%-11s %d: %s, %s\n", "Before:", t.Attempt, how, moment(now, t.FinishedAt)); err != nil {
			return err
		}
	}
	return nil
}

// typeName is the job's type where the command does not say it.
func typeName(j *job.Job) string {
	if j.Type == job.TypeCommand {
		return ""
	}
	return printable(j.Type)
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func attempt(j *job.Job) string {
	switch {
	case j.MaxAttempts > 1:
		return fmt.Sprintf("%d of %d", j.Attempt, j.MaxAttempts)
	case j.Attempt > 1:
		return fmt.Sprint(j.Attempt)
	}
	return ""
}

func limit(d job.Duration) string {
	if d == 0 {
		return ""
	}
	return elapsed(time.Duration(d))
}

func watchdog(j *job.Job) string {
	if j.Watchdog == 0 {
		return ""
	}
	return "stopped when silent for " + limit(j.Watchdog)
}

// successCodes says with which exit codes besides 0 a job is completed.
func successCodes(j *job.Job) string {
	if len(j.SuccessCodes) == 0 {
		return ""
	}
	return "with exit codes 0, " + strings.Trim(strings.ReplaceAll(fmt.Sprint(j.SuccessCodes), " ", ", "), "[]")
}

// usualGrace is the time between stop signal and KILL of a job that was given none.
const usualGrace = job.Duration(10 * time.Second)

// stoppedBy says how a job is stopped where it is not as usual.
func stoppedBy(j *job.Job) string {
	signal := j.StopSignal
	if signal == "" {
		signal = "TERM"
	}
	if signal == "TERM" && (j.Grace == 0 || j.Grace == usualGrace) {
		return ""
	}
	if j.Grace == 0 {
		return signal
	}
	return fmt.Sprintf("%s, after %s KILL", signal, elapsed(time.Duration(j.Grace)))
}

// moment is a time for people, with how long ago it was.
func moment(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05.000 -0700") + " (" + ago(now, t) + ")"
}

func usageText(u *job.Usage) string {
	if u == nil {
		return ""
	}
	s := fmt.Sprintf("%s CPU (%s system), %s memory at most", elapsed(time.Duration(u.CPUUser+u.CPUSystem)), elapsed(time.Duration(u.CPUSystem)), bytesText(u.MaxRSS))
	if u.ReadBytes+u.WriteBytes > 0 {
		s += fmt.Sprintf(", %s read, %s written", bytesText(u.ReadBytes), bytesText(u.WriteBytes))
	}
	return s
}

// bytesText says a number of bytes with three digits at most.
func bytesText(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1000 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	if f < 10 {
		return fmt.Sprintf("%.1f %ciB", f, units[i])
	}
	return fmt.Sprintf("%.0f %ciB", f, units[i])
}

// otherAccount returns the account that a job runs as where it is not its owner's.
func otherAccount(j *job.Job) string {
	if j.User == j.Owner {
		return ""
	}
	return printable(j.User)
}
