package sqlite

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// ListJobs implements store.Jobs.
func (s *Store) ListJobs(ctx context.Context, f job.Filter) (job.Page, error) {
	if f.Last && len(f.IDs)+len(f.Keys) > 0 {
		if err := s.resolveLast(ctx, &f); err != nil {
			return job.Page{}, err
		}
	}
	if err := f.Check(); err != nil {
		return job.Page{}, err
	}
	limit, err := pageLimit(&f)
	if err != nil {
		return job.Page{}, err
	}
	l := &list{order: orderOf(&f), limit: limit + 1, from: "jobs", id: "id"}
	if err := s.choose(ctx, l, &f); err != nil {
		return job.Page{}, err
	}
	if f.Cursor != "" {
		at, err := parseCursor(f.Cursor, l.order)
		if err != nil {
			return job.Page{}, err
		}
		l.behind(at)
	}
	query, err := l.sql()
	if err != nil {
		return job.Page{}, err
	}
	jobs, last, err := s.queryPage(ctx, query, limit, l.args)
	if err != nil {
		return job.Page{}, s.explain(fmt.Errorf("list jobs: %w", err))
	}
	page := job.Page{Jobs: jobs}
	if len(jobs) > limit {
		page.Jobs = jobs[:limit]
		if !f.Last {
			page.NextCursor = newCursor(last, l.order)
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
		f.Sort, f.Oldest, f.Cursor = "", false, ""
		return 1, nil
	case f.Limit == 0:
		return job.DefaultLimit, nil
	case f.Limit < 0 || f.Limit > job.MaxLimit:
		return 0, &job.Error{Code: job.Invalid, Field: "limit", Message: fmt.Sprintf("limit %d is out of range", f.Limit),
			Hint: fmt.Sprintf("from 1 to %d; more come page by page", job.MaxLimit)}
	}
	return f.Limit, nil
}

// list is a query for a page of jobs. Every one of all holds; at least one of parts does, and each
// part is looked up by itself in an index that yields its jobs in the order of their numbers. So a
// page costs the same wherever in a million jobs it is, which one query over several states or
// queues would not: SQLite would sort them.
type list struct {
	order  order
	limit  int
	args   []any
	all    []string
	parts  []string
	from   string // the table, and by which index
	id     string // the column with the number: SQLite does not see that two that are joined have one order
	column string // by which jobs are found, "" for the number or key
}

// bind takes an argument and returns how the query refers to it, as often as it likes.
func (l *list) bind(v any) string {
	l.args = append(l.args, v)
	return "?" + strconv.Itoa(len(l.args))
}

func (l *list) where(text string) { l.all = append(l.all, text) }

// in is the condition that a column has one of some values.
func in[T any](l *list, column string, values []T) string {
	refs := make([]string, len(values))
	for i, v := range values {
		refs[i] = l.bind(v)
	}
	return column + " IN (" + strings.Join(refs, ", ") + ")"
}

// choose decides by which index the jobs are found; the rest of f is conditions.
func (s *Store) choose(ctx context.Context, l *list, f *job.Filter) error {
	if len(f.IDs) > 0 || len(f.Keys) > 0 {
		if err := l.byName(f); err != nil {
			return err
		}
	} else {
		p, err := s.choosePath(ctx, f)
		if err != nil {
			return err
		}
		l.by(p)
	}
	l.conditions(f)
	l.outcome(f)
	return nil
}

// conditions adds what f asks for beside numbers and keys and is not looked up. The unary + keeps
// SQLite from taking another index.
func (l *list) conditions(f *job.Filter) {
	states, possible := statesOf(f)
	switch {
	case !possible:
		l.where("0")
	case l.column == "state" || l.column == "ended":
	case len(states) > 0:
		l.where(in(l, "+state", states))
	case !f.ShowsDeleted():
		l.where("+state <> 'deleted'")
	}
	if len(f.Queues) > 0 && l.column != "queue" {
		l.where(in(l, "+queue", f.Queues))
	}
	if len(f.Types) > 0 && l.column != "type" {
		l.where(in(l, "+type", f.Types))
	}
	for _, tag := range f.Tags {
		l.where("EXISTS (SELECT 1 FROM job_tags WHERE tag = " + l.bind(tag) + " AND job_id = id)")
	}
	if f.Owner != "" && l.column != "owner" {
		l.where("+owner = " + l.bind(f.Owner))
	}
	if f.Name != "" {
		l.where("instr(search, " + l.bind(strings.ToLower(f.Name)) + ") > 0")
	}
}

// by finds jobs by the values of an indexed column.
func (l *list) by(p path) {
	if l.column = p.column; p.column == "" {
		return
	}
	l.from = "jobs INDEXED BY jobs_" + p.column
	column := p.column
	if p.column == "ended" {
		column = "state"
	}
	if expression, ok := outcomeColumns[p.column]; ok {
		column = expression
		l.where(outcomeHeld)
	}
	if p.column == "tag" {
		l.from, l.id = "job_tags CROSS JOIN jobs ON id = job_id", "job_id"
	}
	for _, v := range slices.Compact(slices.Sorted(slices.Values(p.values))) {
		l.parts = append(l.parts, column+" = "+l.bind(p.bound(v)))
	}
}

// Bounds that keep a query below SQLite's: 500 terms in a compound SELECT, 32,766 arguments,
// 1,000,000 bytes.
const (
	maxParts  = 400
	maxValues = 32_000
	maxQuery  = 900_000
)

// byName finds jobs by number or key.
func (l *list) byName(f *job.Filter) error {
	var single []int64
	for _, r := range f.IDs {
		if r.From == r.To {
			single = append(single, r.From)
			continue
		}
		l.parts = append(l.parts, l.id+" BETWEEN "+l.bind(r.From)+" AND "+l.bind(r.To))
	}
	if len(l.parts) > maxParts {
		return &job.Error{Code: job.Invalid, Field: "ids", Message: fmt.Sprintf("%d ranges of numbers are too many at once", len(l.parts)),
			Hint: fmt.Sprintf("give at most %d, or select by state, queue or tag", maxParts)}
	}
	if len(single) > 0 {
		l.parts = append(l.parts, in(l, "id", single))
	}
	if len(f.Keys) > 0 {
		l.parts = append(l.parts, in(l, "key", f.Keys))
	}
	return nil
}

// sql returns the query, whose arguments are l.args. Errors: job.Invalid.
func (l *list) sql() (string, error) {
	order := l.order.sql(l.id) + " LIMIT " + strconv.Itoa(l.limit)
	text := "SELECT " + jobColumns + ", ended_at FROM "
	if len(l.parts) < 2 {
		text += l.from + l.condition(l.parts...) + order
	} else {
		parts := make([]string, len(l.parts))
		for i, p := range l.parts {
			parts[i] = "SELECT id FROM (SELECT id FROM " + l.from + l.condition(p) + order + ")"
		}
		text += "jobs WHERE id IN (" + strings.Join(parts, " UNION ALL ") + ")" + order
	}
	if len(l.args) > maxValues || len(text) > maxQuery {
		return "", &job.Error{Code: job.Invalid, Field: "ids", Message: fmt.Sprintf("the selection is too large: it has %d values", len(l.args)),
			Hint: "give fewer numbers, keys, queues and tags at once"}
	}
	return text, nil
}

// condition returns a WHERE clause for all conditions and the given ones.
func (l *list) condition(more ...string) string {
	all := slices.Concat(more, l.all)
	if len(all) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(all, " AND ")
}

// order is the order of a list.
type order struct {
	byEnd, ascending bool
}

func orderOf(f *job.Filter) order { return order{f.ByEnd(), f.Ascending()} }

// sql returns the order's clause; id is the column of the number.
func (o order) sql(id string) string {
	direction := " DESC"
	if o.ascending {
		direction = ""
	}
	if o.byEnd {
		return " ORDER BY ended_at" + direction + ", " + id + direction
	}
	return " ORDER BY " + id + direction
}

// behind leaves out what comes up to a place.
func (l *list) behind(at place) {
	sign := " < "
	if l.order.ascending {
		sign = " > "
	}
	if l.order.byEnd {
		l.where("(ended_at, " + l.id + ")" + sign + "(" + l.bind(at.ended) + ", " + l.bind(at.id) + ")")
		return
	}
	l.where(l.id + sign + l.bind(at.id))
}

// A cursor is the order and the last job of a page. It is no more than numbers, but encoded,
// so that nobody computes with it.
func newCursor(at place, o order) string {
	text := o.letter() + strconv.FormatInt(at.id, 36)
	if o.byEnd {
		text += "." + strconv.FormatInt(at.ended, 36)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// letter tells the orders apart in cursors.
func (o order) letter() string {
	switch o {
	case order{ascending: true}:
		return "o"
	case order{byEnd: true}:
		return "l"
	case order{byEnd: true, ascending: true}:
		return "f"
	}
	return "n"
}

func parseCursor(cursor string, o order) (at place, err error) {
	invalid := &job.Error{Code: job.Invalid, Field: "cursor", Message: fmt.Sprintf("bad cursor %q", cursor),
		Hint: "give next_cursor of the page before, with the same order"}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return at, invalid
	}
	rest, ok := strings.CutPrefix(string(text), o.letter())
	id, ended, _ := strings.Cut(rest, ".")
	at.id, err = strconv.ParseInt(id, 36, 64)
	if o.byEnd && err == nil {
		at.ended, err = strconv.ParseInt(ended, 36, 64)
	}
	if !ok || err != nil || at.id < 1 || newCursor(at, o) != cursor {
		return at, invalid
	}
	return at, nil
}
