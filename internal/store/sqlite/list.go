package sqlite

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// ListJobs implements store.Jobs.
func (s *Store) ListJobs(ctx context.Context, f job.Filter) (job.Page, error) {
	limit, err := pageLimit(&f)
	if err != nil {
		return job.Page{}, err
	}
	q := selection(&f)
	if f.Cursor != "" {
		at, err := parseCursor(f.Cursor, f.Oldest)
		if err != nil {
			return job.Page{}, err
		}
		if f.Oldest {
			q.where("id > ?", at)
		} else {
			q.where("id < ?", at)
		}
	}
	jobs, err := s.jobs(ctx, q.sql(f.Oldest, limit+1), q.args...)
	if err != nil {
		return job.Page{}, s.explain(fmt.Errorf("list jobs: %w", err))
	}
	page := job.Page{Jobs: jobs}
	if !f.Last && len(jobs) > limit {
		page.Jobs = jobs[:limit]
		page.NextCursor = newCursor(jobs[limit-1].ID, f.Oldest)
	}
	if f.Last {
		page.Jobs = jobs[:min(1, len(jobs))]
	}
	return page, nil
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

// query is a SELECT that grows by conditions.
type query struct {
	conditions []string
	args       []any
}

func (q *query) where(condition string, args ...any) {
	q.conditions = append(q.conditions, condition)
	q.args = append(q.args, args...)
}

// in adds a condition on a column; no values are no condition.
func in[T ~string](q *query, column string, values []T) {
	if len(values) == 0 {
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = string(v)
	}
	q.where(column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")", args...)
}

func (q *query) sql(oldest bool, limit int) string {
	var b strings.Builder
	b.WriteString("SELECT " + jobColumns + " FROM jobs")
	for i, c := range q.conditions {
		if i == 0 {
			b.WriteString(" WHERE ")
		} else {
			b.WriteString(" AND ")
		}
		b.WriteString(c)
	}
	b.WriteString(" ORDER BY id")
	if !oldest {
		b.WriteString(" DESC")
	}
	return b.String() + " LIMIT " + strconv.Itoa(limit)
}

// selection makes the conditions of what f selects.
func selection(f *job.Filter) *query {
	q := new(query)
	if len(f.IDs) > 0 || len(f.Keys) > 0 {
		named(q, f)
	}
	in(q, "state", f.States)
	if !f.ShowsDeleted() {
		q.where("state <> 'deleted'")
	}
	in(q, "queue", f.Queues)
	in(q, "type", f.Types)
	for _, tag := range f.Tags {
		q.where("instr(tags, ?) > 0", " "+tag+" ")
	}
	if f.Owner != "" {
		q.where("owner = ?", f.Owner)
	}
	if f.Name != "" {
		q.where("instr(search, ?) > 0", strings.ToLower(f.Name))
	}
	return q
}

// named selects jobs by number or key.
func named(q *query, f *job.Filter) {
	var either []string
	var args []any
	for _, r := range f.IDs {
		either = append(either, "id BETWEEN ? AND ?")
		args = append(args, r.From, r.To)
	}
	for _, k := range f.Keys {
		either = append(either, "key = ?")
		args = append(args, k)
	}
	q.where("("+strings.Join(either, " OR ")+")", args...)
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
