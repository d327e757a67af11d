package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// maxWait is how long a request may wait for a job's end; clients ask again. It stays below what
// proxies allow.
const maxWait = 60 * time.Second

// attemptList and its like are what lists are answered in: objects, so that they can grow.
type attemptList struct {
	Attempts []job.Attempt `json:"attempts"`
}

var listParams = []param{
	{name: "select", about: "Numbers, ranges, keys, `last`, `all`.", kind: "", list: true, example: "3,5-8"},
	{name: "state", about: "Only jobs in one of these states. Deleted jobs are shown only when asked for.", kind: "", list: true, example: "failed,stopped", enum: stateNames},
	{name: "queue", about: "Only jobs of these queues.", kind: "", list: true, example: "default"},
	{name: "type", about: "Only jobs of these types.", kind: "", list: true, example: "command"},
	{name: "tag", about: "Only jobs that have every one of these tags.", kind: "", list: true, example: "backup"},
	{name: "owner", about: "Only jobs of this user.", kind: "", example: "ada"},
	{name: "name", about: "Part of the name or command; case does not count.", kind: "", example: "backup"},
	{name: "text", about: "The same once more: what was typed.", kind: "", example: "home.tar"},
	{name: "exit_code", about: "Only jobs that ended with one of these exit codes.", kind: 0, list: true, example: "1,137"},
	{name: "reason", about: "Only jobs that failed or were stopped for one of these reasons.", kind: "", list: true, enum: reasonNames, example: "exit,signal"},
	{name: "since", about: "Only jobs that were made at this time or later: RFC 3339, or how long ago (90, 24h, 7d).", kind: "", example: "24h"},
	{name: "until", about: "Only jobs that were made before this time.", kind: "", example: "1h"},
	{name: "ended_since", about: "Only jobs that came into the ended state they are in at this time or later.", kind: "", example: "2026-01-02T03:04:05Z"},
	{name: "ended_until", about: "The same, before this time.", kind: "", example: "2026-01-03T03:04:05Z"},
	{name: "sort", about: "Order; none is -id, the newest first. By time of end only jobs are listed that have ended.", kind: "", enum: sortNames},
	{name: "limit", about: fmt.Sprintf("Most jobs in the answer, up to %d; 0 or none is %d.", job.MaxLimit, job.DefaultLimit), kind: 0, example: 100},
	{name: "cursor", about: "`next_cursor` of the page before, with the same conditions.", kind: "", example: "bjY"},
	{name: "oldest", about: "Oldest first.", kind: false},
}

var reasonNames, sortNames = texts(job.Reasons), texts(job.Sorts)

func texts[T ~string](list []T) []string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = string(v)
	}
	return words
}

var stateNames = func() (names []string) {
	for _, s := range job.States {
		names = append(names, string(s))
	}
	return names
}()

func (h *Handler) jobRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/jobs", role: job.Viewer, id: "listJobs", group: "jobs", summary: "List jobs",
			about: "Newest first, one page. Without conditions every job that is not deleted.",
			query: listParams, status: 200, result: job.Page{}, errors: []job.Code{job.Invalid}, serve: h.listJobs,
		},
		{
			method: http.MethodGet, path: "/api/jobs/{id}", role: job.Viewer, id: "getJob", group: "jobs", summary: "Show one job",
			about:  "With `wait` the answer comes as soon as the job has ended, or with its present state when the seconds are over.",
			query:  []param{{name: "wait", about: "Seconds to wait for the job's end, up to 60.", kind: 0.0, example: 30}},
			status: 200, result: job.Job{}, errors: []job.Code{job.Invalid, job.NotFound}, serve: h.getJob,
		},
		{
			method: http.MethodGet, path: "/api/jobs/{id}/attempts", role: job.Viewer, id: "listAttempts", group: "jobs", summary: "Earlier attempts of a job",
			about:  "Oldest first. The newest attempt is the job itself.",
			status: 200, result: attemptList{}, errors: []job.Code{job.NotFound}, serve: h.listAttempts,
		},
	}
}

func (h *Handler) listJobs(w http.ResponseWriter, r *request) error {
	if err := r.query.notEmpty("select", "state", "queue", "type", "tag", "owner", "name", "text", "exit_code", "reason", "since", "until", "ended_since", "ended_until", "sort"); err != nil {
		return err
	}
	f := job.Filter{Queues: r.query.words("queue"), Types: r.query.words("type"), Tags: r.query.words("tag"),
		Owner: r.query.text("owner"), Name: r.query.text("name"), Cursor: r.query.text("cursor")}
	if words := r.query.words("select"); words != nil {
		if err := job.ParseSelector(&f, words...); err != nil {
			return inField(err, "select")
		}
	}
	for _, word := range r.query.words("state") {
		s, err := job.ParseState(word)
		if err != nil {
			return err
		}
		f.States = append(f.States, s)
	}
	if err := h.outcomeFilter(r.query, &f); err != nil {
		return err
	}
	limit, err := r.query.number("limit", job.MaxLimit)
	if err != nil {
		return err
	}
	f.Limit = int(limit)
	if f.Oldest, err = r.query.flag("oldest"); err != nil {
		return err
	}
	page, err := h.o.Service.ListJobs(r.Context(), f)
	if err != nil {
		return err
	}
	if page.Jobs == nil {
		page.Jobs = []*job.Job{}
	}
	return h.reply(w, r, http.StatusOK, page)
}

// inField names the query parameter that an error of the domain is about.
func inField(err error, name string) error {
	e := (*job.Error)(nil)
	if !errors.As(err, &e) {
		return err
	}
	named := *e
	named.Field = name
	return &named
}

func (h *Handler) getJob(w http.ResponseWriter, r *request) error {
	wait, err := waitTime(r.query)
	if err != nil {
		return err
	}
	j, err := h.byPath(r)
	if err != nil {
		return err
	}
	if wait > 0 && !j.State.Ended() {
		ctx, stop := h.stream(r)
		defer stop()
		bounded, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		now, err := h.o.Service.WaitJob(bounded, j.ID)
		// Time that is over is no error here: the state is the answer. A server that ends says so,
		// for the client to come again.
		if err != nil && (now == nil || !errors.Is(err, context.DeadlineExceeded)) {
			if h.closing.Err() != nil {
				return &job.Error{Code: job.Unavailable, Message: "the daemon is stopping", Hint: "ask again when it runs"}
			}
			return err
		}
		j = now
	}
	return h.reply(w, r, http.StatusOK, j)
}

func waitTime(q query) (time.Duration, error) {
	s := q.text("wait")
	if s == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 {
		return 0, &job.Error{Code: job.Invalid, Field: "wait", Message: fmt.Sprintf("wait=%q is no time to wait", s), Hint: "give seconds, up to 60"}
	}
	return time.Duration(min(seconds, maxWait.Seconds()) * float64(time.Second)), nil
}

// byPath returns the job that {id} names: a number, or a key, which is never a number.
func (h *Handler) byPath(r *request) (*job.Job, error) {
	word := r.PathValue("id")
	if id, ok := job.ParseID(word); ok {
		return h.o.Service.Job(r.Context(), id)
	}
	return h.o.Service.JobByKey(r.Context(), word)
}

func (h *Handler) listAttempts(w http.ResponseWriter, r *request) error {
	j, err := h.byPath(r)
	if err != nil {
		return err
	}
	attempts, err := h.o.Service.Attempts(r.Context(), j.ID)
	if err != nil {
		return err
	}
	if attempts == nil {
		attempts = []job.Attempt{}
	}
	return h.reply(w, r, http.StatusOK, attemptList{attempts})
}
