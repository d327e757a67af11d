package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// endedStates are those in which a job has an end.
var endedStates = []job.State{job.Completed, job.Failed, job.Stopped, job.Skipped, job.Deleted}

// needsEnd reports whether f selects by how or when jobs ended.
func needsEnd(f *job.Filter) bool {
	return !f.EndedSince.IsZero() || !f.EndedUntil.IsZero() || len(f.ExitCodes) > 0 || len(f.Reasons) > 0 || f.ByEnd()
}

// statesOf returns the states that f asks for, or that follow from what else it asks for; none for
// any. possible is false where no job can be in one of them.
func statesOf(f *job.Filter) (states []job.State, possible bool) {
	if !needsEnd(f) {
		return f.States, true
	}
	can := slices.Clone(endedStates)
	if len(f.ExitCodes) > 0 || len(f.Reasons) > 0 {
		can = []job.State{job.Completed, job.Failed, job.Stopped, job.Deleted}
	}
	if len(f.Reasons) > 0 || len(f.ExitCodes) > 0 && !slices.Contains(f.ExitCodes, 0) {
		can = slices.DeleteFunc(can, func(s job.State) bool { return s == job.Completed })
	}
	for _, s := range can {
		if len(f.States) == 0 && (s != job.Deleted || f.ShowsDeleted()) || slices.Contains(f.States, s) {
			states = append(states, s)
		}
	}
	return states, len(states) > 0
}

// Bounds of ended_at, in microseconds.
func endBounds(f *job.Filter) (from, to int64) {
	from, to = math.MinInt64, math.MaxInt64
	if !f.EndedSince.IsZero() {
		from = micros(f.EndedSince)
	}
	if !f.EndedUntil.IsZero() {
		to = micros(f.EndedUntil)
	}
	return from, to
}

// considerEnd looks how many jobs the index by time of end finds.
func (s *Store) considerEnd(ctx context.Context, f *job.Filter, states []job.State, limit int64) (p path, err error) {
	p = path{column: "ended"}
	from, to := endBounds(f)
	for _, state := range states {
		p.values = append(p.values, string(state))
		var n int64
		err := s.lists.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_ended WHERE state = ? AND ended_at >= ? AND ended_at < ? LIMIT ?)",
			string(state), from, to, min(limit, countedAtMost)).Scan(&n)
		if err != nil {
			return p, s.explain(fmt.Errorf("count the jobs that are %s in a time: %w", state, err))
		}
		p.jobs += n
	}
	return p, nil
}

// outcomeStates are those that the indexes by exit code and reason hold, and outcomeHeld their condition in
// the words of migration 4, by which SQLite knows that they may be used.
var outcomeStates = []job.State{job.Failed, job.Stopped}

const outcomeHeld = "state IN ('failed', 'stopped')"

// outcomeColumns are the expressions that the indexes are of.
var outcomeColumns = map[string]string{"exit_code": "json_extract(doc, '$.exit_code')", "reason": "json_extract(doc, '$.reason')"}

// considerOutcome looks how many jobs the indexes by exit code and by reason find, up to a limit, and
// returns the one that finds fewer; no column where neither serves. few is false where it stopped
// counting.
func (s *Store) considerOutcome(ctx context.Context, f *job.Filter, asked []job.State, limit int64) (best path, few bool, err error) {
	best.jobs = math.MaxInt64
	if len(asked) == 0 || slices.ContainsFunc(asked, func(state job.State) bool { return !slices.Contains(outcomeStates, state) }) {
		return best, false, nil
	}
	limit = min(limit, countedAtMost)
	for _, p := range []path{{column: "exit_code", values: texts(f.ExitCodes)}, {column: "reason", values: texts(f.Reasons)}} {
		if len(p.values) == 0 || len(p.values) > maxParts {
			continue
		}
		for _, v := range p.values {
			var n int64
			err := s.lists.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_"+p.column+" WHERE "+outcomeHeld+" AND "+outcomeColumns[p.column]+" = ? LIMIT ?)",
				p.bound(v), limit-p.jobs).Scan(&n)
			if err != nil {
				return best, false, s.explain(fmt.Errorf("count the jobs with the %s %s: %w", p.column, v, err))
			}
			if p.jobs += n; p.jobs >= limit {
				break
			}
		}
		if p.jobs < best.jobs {
			best = p
		}
	}
	return best, best.jobs < limit, nil
}

func texts[T int | job.Reason](values []T) (out []string) {
	for _, v := range values {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// outcome adds the conditions on times and on how jobs ended. What stands in the record alone comes
// last: it is looked at for jobs that fit otherwise.
func (l *list) outcome(f *job.Filter) {
	plus := "+"
	if l.column == "ended" {
		plus = "" // the index's own
	}
	if needsEnd(f) {
		from, to := endBounds(f)
		if !f.EndedSince.IsZero() || !f.EndedUntil.IsZero() || f.ByEnd() {
			l.where(plus + "ended_at >= " + l.bind(from))
			l.where(plus + "ended_at < " + l.bind(to))
		}
	}
	if !f.Since.IsZero() {
		l.where("rtrim(json_extract(doc, '$.created_at'), 'Z') >= " + l.bind(recordTime(f.Since)))
	}
	if !f.Until.IsZero() {
		l.where("rtrim(json_extract(doc, '$.created_at'), 'Z') < " + l.bind(recordTime(f.Until)))
	}
	if len(f.ExitCodes) > 0 && l.column != "exit_code" {
		l.inRecord("exit_code", f.ExitCodes)
	}
	if len(f.Reasons) > 0 && l.column != "reason" {
		l.inRecord("reason", f.Reasons)
	}
	if f.Text != "" {
		l.where("instr(search, " + l.bind(strings.ToLower(f.Text)) + ") > 0")
	}
}

// inRecord is the condition that a field of the record has one of some values. Nearly every record
// without them is seen not to have their text, which costs a fraction of reading it as JSON.
func (l *list) inRecord(field string, values any) {
	var texts []string
	var refs []string
	add := func(v any, text string) {
		texts = append(texts, "instr(doc, "+l.bind(`"`+field+`":`+text)+") > 0")
		refs = append(refs, l.bind(v))
	}
	switch values := values.(type) {
	case []int:
		for _, v := range values {
			add(v, strconv.Itoa(v))
		}
	case []job.Reason:
		for _, v := range values {
			add(string(v), `"`+string(v)+`"`)
		}
	}
	l.where("(" + strings.Join(texts, " OR ") + ")")
	l.where("json_extract(doc, '$." + field + "') IN (" + strings.Join(refs, ", ") + ")")
}

// recordTime is a time as the text of a record has it, without the Z: so that a moment with a
// fraction sorts behind the same one without.
func recordTime(t time.Time) string {
	return strings.TrimSuffix(t.UTC().Format(time.RFC3339Nano), "Z")
}

// place is where a page ends: the last job's number and, in a list by end, when that was.
type place struct{ id, ended int64 }

// queryPage reads jobs, and the place of the last one that a page of limit jobs shows.
func (s *Store) queryPage(ctx context.Context, query string, limit int, args []any) (jobs []*job.Job, last place, err error) {
	rows, err := s.lists.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, last, err
	}
	defer rows.Close()
	for scan := rows.Scan; rows.Next(); {
		var ended sql.NullInt64
		j, err := scanJob(func(to ...any) error { return scan(append(to, &ended)...) })
		if err != nil {
			return nil, last, err
		}
		if jobs = append(jobs, j); len(jobs) == limit {
			last = place{j.ID, ended.Int64}
		}
	}
	return jobs, last, rows.Err()
}
