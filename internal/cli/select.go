package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/queuemgr/queuemgr/job"
)

const selectorHelp = `SELECTOR is a number (7), numbers and ranges (3,5-8), last, all, or a job's key. Flags such as --state and --queue
narrow it down, or select by themselves.`

// selection is how jobs are selected on the command line.
type selection struct {
	words  []string
	states string
	queues []string
	types  []string
	tags   []string
	owner  string
	name   string
	text   string
	codes  []int
	reason []string
	times  [4]string      // --since, --until, --ended-since, --ended-until
	given  *pflag.FlagSet // tells an empty value from none; nil where there are no flags
}

func (s *selection) flags(a *app, cmd *cobra.Command) {
	f := cmd.Flags()
	s.given = f
	f.StringVar(&s.states, "state", "", "only in one of these `STATES`, separated by commas")
	f.StringArrayVar(&s.queues, "queue", nil, "only of this `QUEUE`; may be repeated")
	f.StringArrayVar(&s.types, "type", nil, "only of this job `TYPE`; may be repeated")
	f.StringArrayVar(&s.tags, "tag", nil, "only with this `TAG`; of several, with every one")
	f.StringVar(&s.owner, "owner", "", "only of this `USER`")
	f.StringVar(&s.name, "name", "", "only with this `TEXT` in the name or command")
	f.StringVar(&s.text, "text", "", "the same once more: with this `TEXT` too")
	f.IntSliceVar(&s.codes, "exit-code", nil, "only with one of these exit `CODES`, separated by commas")
	f.StringArrayVar(&s.reason, "reason", nil, "only ended for one of these `REASONS`, separated by commas")
	for i, about := range []string{"only made at this `TIME` or later (RFC 3339, or how long ago: 24h)", "only made before this `TIME`", "only ended at this `TIME` or later", "only ended before this `TIME`"} {
		f.StringVar(&s.times[i], timeFlags[i], "", about)
	}
	completeFlag(cmd, "reason", fixed(reasonNames()...))
	completeFlag(cmd, "state", completeStates)
	completeFlag(cmd, "queue", a.completeQueues)
}

// filter returns the filter of the words and flags.
func (s *selection) filter() (job.Filter, error) {
	if err := s.notEmpty(); err != nil {
		return job.Filter{}, err
	}
	f := job.Filter{Queues: splitCommas(s.queues), Types: splitCommas(s.types), Tags: splitCommas(s.tags), Owner: s.owner, Name: s.name, Text: s.text, ExitCodes: s.codes}
	if err := s.outcome(&f); err != nil {
		return f, err
	}
	if err := job.ParseSelector(&f, s.words...); err != nil {
		return f, err
	}
	if s.states == "" {
		return f, nil
	}
	for name := range strings.SplitSeq(s.states, ",") {
		state, err := job.ParseState(strings.TrimSpace(name))
		if err != nil {
			if isReason(strings.TrimSpace(name)) {
				return f, usage(fmt.Sprintf("--state: %s is no state but a reason", name), "queuemgr job list --state failed,stopped shows reasons under WHY")
			}
			return f, usage(fmt.Sprintf("--state: unknown state %q", name), didYouMean(name, "the states are", stateNames()))
		}
		f.States = append(f.States, state)
	}
	return f, nil
}

// notEmpty refuses a flag with an empty value, as of a variable that is not set: it would select
// nothing, or everything.
func (s *selection) notEmpty() error {
	if s.given == nil {
		return nil
	}
	for name, values := range map[string][]string{"state": {s.states}, "queue": s.queues, "type": s.types, "tag": s.tags, "owner": {s.owner}, "name": {s.name}, "text": {s.text}, "reason": s.reason,
		timeFlags[0]: s.times[:1], timeFlags[1]: s.times[1:2], timeFlags[2]: s.times[2:3], timeFlags[3]: s.times[3:]} {
		if !s.given.Changed(name) {
			continue
		}
		if name != "name" && name != "text" {
			values = splitCommas(values)
		}
		if slices.Contains(values, "") {
			return usage(fmt.Sprintf("--%s has an empty value", name), "give a value, or leave --"+name+" out")
		}
	}
	return nil
}

// splitCommas takes a repeated flag's values apart, each of which may hold several.
func splitCommas(values []string) []string {
	var words []string
	for _, v := range values {
		words = append(words, strings.Split(v, ",")...)
	}
	return words
}

// none reports whether nothing at all was selected, not even all.
func (s *selection) none() bool {
	return len(s.words) == 0 && s.states == "" && len(s.queues) == 0 && len(s.types) == 0 && len(s.tags) == 0 && s.owner == "" && s.name == "" && s.text == "" &&
		len(s.codes)+len(s.reason) == 0 && s.times == [4]string{}
}

// isReason reports whether word is why jobs end, which may be taken for a state.
func isReason(word string) bool {
	switch job.Reason(word) {
	case job.ReasonExit, job.ReasonSignal, job.ReasonTimeout, job.ReasonSpawn, job.ReasonLost, job.ReasonOOM, job.ReasonUser, job.ReasonShutdown:
		return true
	}
	return false
}

func stateNames() []string {
	names := make([]string, len(job.States))
	for i, s := range job.States {
		names[i] = string(s)
	}
	return names
}

// jobs returns every job that f selects, newest first, or the one it names. A number or key that
// is not on record is job.NotFound.
func jobs(ctx context.Context, svc job.Service, f job.Filter) ([]*job.Job, error) {
	if j, one, err := single(ctx, svc, f); one {
		if err != nil {
			return nil, named(ctx, svc, f, err)
		}
		return []*job.Job{j}, nil
	}
	var found []*job.Job
	f.Limit = job.MaxLimit
	for {
		page, err := svc.ListJobs(ctx, f)
		if err != nil {
			return nil, err
		}
		found = append(found, page.Jobs...)
		if page.NextCursor == "" || f.Last {
			break
		}
		f.Cursor = page.NextCursor
	}
	return found, missing(f, found)
}

// namedAmong is how many of the newest numbers are looked through for a name, which no index has.
const namedAmong = 1000

// named adds to an error that says that there is no such key which recent job has the word as its name.
func named(ctx context.Context, svc job.Service, f job.Filter, err error) error {
	if job.CodeOf(err) != job.NotFound || len(f.Keys) != 1 {
		return err
	}
	newest, listErr := svc.ListJobs(ctx, job.Filter{Last: true})
	if listErr != nil || len(newest.Jobs) == 0 {
		return err // the first one says more
	}
	last := newest.Jobs[0].ID
	page, listErr := svc.ListJobs(ctx, job.Filter{IDs: []job.Range{{From: max(1, last-namedAmong+1), To: last}}, Name: f.Keys[0], Limit: job.MaxLimit})
	if listErr != nil {
		return err
	}
	for _, j := range page.Jobs {
		var e *job.Error
		if j.Name == f.Keys[0] && j.State != job.Deleted && errors.As(err, &e) {
			with := *e
			with.Hint = fmt.Sprintf("that is a name, and the newest job of it is %d: give the number, or --name %s to a command that takes flags", j.ID, shellQuote(j.Name))
			return &with
		}
	}
	return err
}

// single returns the job when f is one number or key and nothing else.
func single(ctx context.Context, svc job.Service, f job.Filter) (*job.Job, bool, error) {
	if f.Last || len(f.States)+len(f.Queues)+len(f.Types)+len(f.Tags) > 0 || f.Owner != "" || f.Name != "" || f.Detailed() {
		return nil, false, nil
	}
	switch {
	case len(f.IDs) == 1 && len(f.Keys) == 0 && f.IDs[0].From == f.IDs[0].To:
		j, err := svc.Job(ctx, f.IDs[0].From)
		return j, true, err
	case len(f.Keys) == 1 && len(f.IDs) == 0:
		j, err := svc.JobByKey(ctx, f.Keys[0])
		return j, true, err
	}
	return nil, false, nil
}

// missing returns an error when f names a job that is not among found. Of a range one is enough.
func missing(f job.Filter, found []*job.Job) error {
	for _, r := range f.IDs {
		if !anyJob(found, func(j *job.Job) bool { return j.ID >= r.From && j.ID <= r.To }) {
			what := fmt.Sprintf("no job %d", r.From)
			if r.From != r.To {
				what = fmt.Sprintf("none of the jobs %d to %d", r.From, r.To)
			}
			return &job.Error{Code: job.NotFound, JobID: r.From, Message: what + " is on record, or none that the flags select",
				Hint: "queuemgr job list --limit all shows every job"}
		}
	}
	for _, key := range f.Keys {
		if !anyJob(found, func(j *job.Job) bool { return j.Key == key }) {
			return &job.Error{Code: job.NotFound, Message: fmt.Sprintf("no job with the key %q is on record, or none that the flags select", key),
				Hint: "queuemgr job list shows keys"}
		}
	}
	if f.Last && len(found) == 0 {
		return &job.Error{Code: job.NotFound, Message: "there is no job yet, or none that the flags select", Hint: "add one: queuemgr job add -- COMMAND"}
	}
	return nil
}

func anyJob(list []*job.Job, is func(*job.Job) bool) bool {
	for _, j := range list {
		if is(j) {
			return true
		}
	}
	return false
}

// checkSocket refuses a socket path that the system cannot take.
func checkSocket(path string) error {
	if len(path) <= job.MaxSocketPath {
		return nil
	}
	return &job.Error{Code: job.Invalid, Field: "home", Message: fmt.Sprintf("the socket's path is %d bytes long, and Linux takes at most %d: %s", len(path), job.MaxSocketPath, path),
		Hint: "choose a --home (or QUEUEMGR_HOME) with a shorter path"}
}

// notFound reports whether err says that something is not on record.
func notFound(err error) bool {
	var e *job.Error
	return errors.As(err, &e) && e.Code == job.NotFound
}
