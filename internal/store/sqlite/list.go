package sqlite

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// ListJobs implements store.Jobs.
func (s *Store) ListJobs(ctx context.Context, f job.Filter) (job.Page, error) {
	if f.Last && len(f.IDs)+len(f.Keys) > 0 {
		if err := s.resolveLast(ctx, &f); err != nil {
			return job.Page{}, err
		}
	}
	limit, err := pageLimit(&f)
	if err != nil {
		return job.Page{}, err
	}
	l := &list{oldest: f.Oldest, limit: limit + 1}
	l.conditions(&f)
	if f.Cursor != "" {
		at, err := parseCursor(f.Cursor, f.Oldest)
		if err != nil {
			return job.Page{}, err
		}
		l.where(map[bool]string{true: "id > ?", false: "id < ?"}[f.Oldest], at)
	}
	if err := l.choose(&f, s.Counts()); err != nil {
		return job.Page{}, err
	}
	query, args := l.sql()
	jobs, err := s.jobs(ctx, query, args...)
	if err != nil {
		return job.Page{}, s.explain(fmt.Errorf("list jobs: %w", err))
	}
	page := job.Page{Jobs: jobs}
	if len(jobs) > limit {
		page.Jobs = jobs[:limit]
		if !f.Last {
			page.NextCursor = newCursor(jobs[limit-1].ID, f.Oldest)
		}
	}
	return page, nil
}

// resolveLast replaces Last, given beside numbers or keys, by the number of the newest job that the
// rest of f selects.
func (s *Store) resolveLast(ctx context.Context, f *job.Filter) error {
	newest := *f
	newest.IDs, newest.Keys, newest.Limit = nil, nil, 0
	page, err := s.ListJobs(ctx, newest)
	if err != nil {
		return err
	}
	f.Last, f.IDs = false, slices.Clone(f.IDs)
	for _, j := range page.Jobs {
		f.IDs = append(f.IDs, job.Range{From: j.ID, To: j.ID})
	}
	return nil
}

func pageLimit(f *job.Filter) (int, error) {
	switch {
	case f.Last:
		f.Oldest, f.Cursor = false, ""
		return 1, nil
	case f.Limit == 0:
		return job.DefaultLimit, nil
	case f.Limit < 0 || f.Limit > job.MaxLimit:
		return 0, &job.Error{Code: job.Invalid, Field: "limit", Message: fmt.Sprintf("limit %d is out of range", f.Limit),
			Hint: fmt.Sprintf("from 1 to %d; more come page by page", job.MaxLimit)}
	}
	return f.Limit, nil
}

// clause is a piece of SQL with its arguments.
type clause struct {
	text string
	args []any
}

// in is the condition that a column has one of some values.
func in[T any](column string, values []T) clause {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return clause{column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")", args}
}

// list is a query for a page of jobs. Every one of all holds; at least one of parts does, and each
// part is looked up by itself in an index that yields its jobs in the order of their numbers. So a
// page costs the same wherever in a million jobs it is, which one query over several states or
// queues would not: SQLite would sort them.
type list struct {
	oldest bool
	limit  int
	all    []clause
	parts  []clause
	index  string // INDEXED BY of the parts
}

func (l *list) where(text string, args ...any) {
	l.all = append(l.all, clause{text, args})
}

// conditions adds what f asks for beside states, queues, numbers and keys.
func (l *list) conditions(f *job.Filter) {
	if len(f.Types) > 0 {
		l.all = append(l.all, in("type", f.Types))
	}
	for _, tag := range f.Tags {
		l.where("instr(tags, ?) > 0", " "+tag+" ")
	}
	if f.Owner != "" {
		l.where("owner = ?", f.Owner)
	}
	if f.Name != "" {
		l.where("instr(search, ?) > 0", strings.ToLower(f.Name))
	}
}

// fewDeleted is how many deleted jobs a list may pass over one by one.
const fewDeleted = 1000

// choose decides by which index the jobs are found.
func (l *list) choose(f *job.Filter, counts store.Counts) error {
	byState := map[job.State]int64{}
	inQueues := int64(0)
	for queue, states := range counts.ByQueue {
		for state, n := range states {
			byState[state] += n
			if slices.Contains(f.Queues, queue) {
				inQueues += n
			}
		}
	}
	inStates := int64(0)
	for _, state := range f.States {
		inStates += byState[state]
	}
	named := len(f.IDs) > 0 || len(f.Keys) > 0
	manyDeleted := !f.ShowsDeleted() && byState[job.Deleted] > fewDeleted
	switch {
	case named:
		if err := l.byName(f); err != nil {
			return err
		}
	case len(f.Queues) > 0 && (len(f.States) == 0 || inQueues < inStates):
		l.by("queue", f.Queues)
	case len(f.States) > 0:
		l.by("state", texts(f.States))
	case manyDeleted:
		l.by("state", texts(slices.DeleteFunc(slices.Clone(job.States), func(s job.State) bool { return s == job.Deleted })))
	}
	// What is not looked up is a condition. The unary + keeps SQLite from taking an index for it.
	if l.index != "jobs_state" {
		if len(f.States) > 0 {
			l.all = append(l.all, in("+state", texts(f.States)))
		} else if !f.ShowsDeleted() {
			l.where("+state <> 'deleted'")
		}
	}
	if len(f.Queues) > 0 && l.index != "jobs_queue" {
		l.all = append(l.all, in("+queue", f.Queues))
	}
	return nil
}

func texts(states []job.State) []string {
	out := make([]string, len(states))
	for i, s := range states {
		out[i] = string(s)
	}
	return out
}

// by finds jobs by the values of an indexed column.
func (l *list) by(column string, values []string) {
	l.index = "jobs_" + column
	for _, v := range slices.Compact(slices.Sorted(slices.Values(values))) {
		l.parts = append(l.parts, clause{column + " = ?", []any{v}})
	}
}

// maxParts keeps a query below SQLite's limit of 500 terms in a compound SELECT.
const maxParts = 400

// byName finds jobs by number or key.
func (l *list) byName(f *job.Filter) error {
	var single []int64
	for _, r := range f.IDs {
		if r.From == r.To {
			single = append(single, r.From)
			continue
		}
		l.parts = append(l.parts, clause{"id BETWEEN ? AND ?", []any{r.From, r.To}})
	}
	if len(l.parts) > maxParts || len(single)+len(f.Keys) > 30_000 {
		return &job.Error{Code: job.Invalid, Field: "ids", Message: fmt.Sprintf("%d numbers, ranges and keys are too many at once", len(f.IDs)+len(f.Keys)),
			Hint: fmt.Sprintf("give at most %d ranges, or select by state, queue or tag", maxParts)}
	}
	if len(single) > 0 {
		l.parts = append(l.parts, in("id", single))
	}
	if len(f.Keys) > 0 {
		l.parts = append(l.parts, in("key", f.Keys))
	}
	return nil
}

// sql returns the query and its arguments.
func (l *list) sql() (string, []any) {
	order := " ORDER BY id"
	if !l.oldest {
		order += " DESC"
	}
	order += " LIMIT " + strconv.Itoa(l.limit)
	if len(l.parts) < 2 {
		text, args := l.condition(l.parts...)
		return "SELECT " + jobColumns + " FROM jobs" + l.hint() + text + order, args
	}
	var parts []string
	var args []any
	for _, p := range l.parts {
		text, a := l.condition(p)
		parts = append(parts, "SELECT id FROM (SELECT id FROM jobs"+l.hint()+text+order+")")
		args = append(args, a...)
	}
	return "SELECT " + jobColumns + " FROM jobs WHERE id IN (" + strings.Join(parts, " UNION ALL ") + ")" + order, args
}

func (l *list) hint() string {
	if l.index == "" {
		return ""
	}
	return " INDEXED BY " + l.index
}

// condition returns a WHERE clause for all conditions and the given ones.
func (l *list) condition(more ...clause) (string, []any) {
	var texts []string
	var args []any
	for _, c := range slices.Concat(more, l.all) {
		texts = append(texts, c.text)
		args = append(args, c.args...)
	}
	if len(texts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(texts, " AND "), args
}

// A cursor is the direction and the last job of a page. It is no more than a number, but encoded,
// so that nobody computes with it.
func newCursor(id int64, oldest bool) string {
	return base64.RawURLEncoding.EncodeToString([]byte(direction(oldest) + strconv.FormatInt(id, 36)))
}

func direction(oldest bool) string {
	if oldest {
		return "o"
	}
	return "n"
}

func parseCursor(cursor string, oldest bool) (int64, error) {
	invalid := &job.Error{Code: job.Invalid, Field: "cursor", Message: fmt.Sprintf("bad cursor %q", cursor),
		Hint: "give next_cursor of the page before, with the same order"}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return 0, invalid
	}
	digits, ok := strings.CutPrefix(string(text), direction(oldest))
	id, err := strconv.ParseInt(digits, 36, 64)
	if !ok || err != nil || id < 1 || newCursor(id, oldest) != cursor {
		return 0, invalid
	}
	return id, nil
}
