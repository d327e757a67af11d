package sqlite

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/queuemgr/queuemgr/job"
)

// path is an index by which a list finds jobs: those with one of some values in a column.
type path struct {
	column string // of jobs or job_tags; "" = none, all jobs by number
	values []string
	jobs   int64 // how many it finds
}

// bound returns one of the values as SQLite compares it: exit codes are numbers in the record.
func (p path) bound(value string) any {
	if p.column == "exit_code" {
		if n, err := strconv.Atoi(value); err == nil {
			return n
		}
	}
	return value
}

// fewDeleted is how many deleted jobs a list may pass over one by one.
const fewDeleted = 1000

// choosePath returns the index that finds the fewest jobs which f may select.
func (s *Store) choosePath(ctx context.Context, f *job.Filter) (path, error) {
	counts := s.Counts()
	best := path{jobs: math.MaxInt64}
	if !f.ShowsDeleted() && sum(counts.ByQueue, nil, job.Deleted) > fewDeleted {
		best.column = "state"
		for _, state := range job.States {
			if state != job.Deleted {
				best.values = append(best.values, string(state))
			}
		}
	}
	consider := func(column string, values []string, jobs int64) {
		if jobs < best.jobs {
			best = path{column, values, jobs}
		}
	}
	asked, possible := statesOf(f)
	if !possible {
		return path{}, nil
	}
	if f.ByEnd() { // few that ended in some way are sorted; else the one index that has the order
		if p, few, err := s.considerOutcome(ctx, f, asked, math.MaxInt64); err != nil || few {
			return p, err
		}
		return s.considerEnd(ctx, f, asked, 0)
	}
	if len(asked) > 0 {
		var states []string
		for _, state := range asked {
			states = append(states, string(state))
		}
		consider("state", states, sum(counts.ByQueue, nil, asked...))
	}
	if p, few, err := s.considerOutcome(ctx, f, asked, best.jobs); err != nil {
		return path{}, err
	} else if few || p.column != "" && slices.Contains(asked, job.Failed) {
		// Of many nobody knows how many; they are no more than those that failed at all.
		consider(p.column, p.values, min(p.jobs, max(0, best.jobs-1)))
	}
	if !f.EndedSince.IsZero() || !f.EndedUntil.IsZero() {
		p, err := s.considerEnd(ctx, f, asked, best.jobs)
		if err != nil {
			return path{}, err
		}
		consider(p.column, p.values, p.jobs)
	}
	if len(f.Queues) > 0 {
		consider("queue", f.Queues, sum(counts.ByQueue, f.Queues, job.States...))
	}
	if len(f.Types) > 0 {
		consider("type", f.Types, sum(counts.ByType, f.Types, job.States...))
	}
	if f.Owner != "" {
		n, err := s.countUpTo(ctx, "jobs", "owner", f.Owner, best.jobs)
		if err != nil {
			return path{}, err
		}
		consider("owner", []string{f.Owner}, n)
	}
	for _, tag := range f.Tags {
		n, err := s.countUpTo(ctx, "job_tags", "tag", tag, best.jobs)
		if err != nil {
			return path{}, err
		}
		consider("tag", []string{tag}, n)
	}
	return best, nil
}

// sum adds up the counters of some names, nil for all, and states.
func sum(counts map[string]map[job.State]int64, names []string, states ...job.State) (n int64) {
	for name, byState := range counts {
		if names == nil || slices.Contains(names, name) {
			for _, state := range states {
				n += byState[state]
			}
		}
	}
	return n
}

// countedAtMost bounds what counting may cost: a millisecond.
const countedAtMost = 10_000

// countUpTo counts the jobs with a value for which there is no counter, as far as it matters: where
// there are no fewer than limit, or too many to count, it returns that bound.
func (s *Store) countUpTo(ctx context.Context, table, column, value string, limit int64) (n int64, err error) {
	err = s.lists.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+table+" WHERE "+column+" = ? LIMIT ?)",
		value, min(limit, countedAtMost)).Scan(&n)
	if err != nil {
		return 0, s.explain(fmt.Errorf("count the jobs with the %s %q: %w", column, value, err))
	}
	return n, nil
}
