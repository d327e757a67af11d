package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// AddJob implements job.Service.
func (c *Client) AddJob(ctx context.Context, s job.Spec) (*job.Job, error) {
	// Here already, because JSON would change bytes that are no UTF-8.
	if err := s.Check(); err != nil {
		return nil, err
	}
	j := new(job.Job)
	if err := c.call(ctx, http.MethodPost, "/api/jobs", s, j); err != nil {
		return nil, err
	}
	return j, nil
}

// AddJobs implements job.Service. The jobs are sent as they are encoded: a batch takes the memory
// of its specs only.
func (c *Client) AddJobs(ctx context.Context, b job.Batch) ([]int64, error) {
	if err := checkBatch(&b); err != nil {
		return nil, err
	}
	in, out := io.Pipe()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = out.CloseWithError(writeBatch(out, &b)) // nil always; the reader gets the error
	}()
	defer func() {
		_ = in.Close() // ends the writer where the daemon has answered before it read all
		<-sent
	}()
	resp, err := c.send(ctx, http.MethodPost, "/api/jobs", nil, in)
	if err != nil {
		return nil, err
	}
	defer drain(resp.Body)
	var added struct {
		IDs []int64 `json:"ids"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&added); err != nil {
		return nil, c.broken(ctx, err, http.MethodPost, true)
	}
	return added.IDs, nil
}

// checkBatch refuses what JSON would change. The daemon checks again, with defaults filled in.
func checkBatch(b *job.Batch) error {
	if len(b.Jobs) > job.MaxBatch {
		return job.AtLine(job.TooManyJobs(), job.MaxBatch+1)
	}
	check := func(s job.Spec) error {
		if s.Shell == "" && len(s.Command) == 0 {
			s.Command, s.Type = []string{"of the defaults"}, "" // the daemon sees what they are
		}
		return s.Check()
	}
	if err := check(b.Defaults); err != nil {
		return err
	}
	for i := range b.Jobs {
		if err := check(b.Jobs[i]); err != nil {
			return job.AtLine(err, i+1)
		}
	}
	return nil
}

func writeBatch(w io.Writer, b *job.Batch) error {
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	_, err1 := out.WriteString(`{"defaults":`)
	err2 := enc.Encode(b.Defaults)
	_, err3 := out.WriteString(`,"jobs":[`)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	for i := range b.Jobs {
		if i > 0 {
			if err := out.WriteByte(','); err != nil {
				return err
			}
		}
		if err := enc.Encode(&b.Jobs[i]); err != nil {
			return &job.Error{Code: job.Invalid, Line: i + 1, Message: "this job cannot be sent as JSON: " + err.Error(), Err: err}
		}
	}
	if _, err := out.WriteString("]}"); err != nil {
		return err
	}
	return out.Flush()
}

// Job implements job.Service.
func (c *Client) Job(ctx context.Context, id int64) (*job.Job, error) {
	return c.job(ctx, c.o.Patience, jobPath(id, ""))
}

// JobByKey implements job.Service.
func (c *Client) JobByKey(ctx context.Context, key string) (*job.Job, error) {
	if err := job.CheckKey(key); err != nil {
		return nil, &job.Error{Code: job.NotFound, Field: "key", Message: "no job has the key " + strconv.Quote(key), Hint: "no job can have it", Err: err}
	}
	return c.job(ctx, c.o.Patience, "/api/jobs/"+url.PathEscape(key))
}

func (c *Client) job(ctx context.Context, limit time.Duration, path string) (*job.Job, error) {
	j := new(job.Job)
	if err := c.get(ctx, limit, path, j); err != nil {
		return nil, err
	}
	return j, nil
}

// Attempts implements job.Service.
func (c *Client) Attempts(ctx context.Context, id int64) ([]job.Attempt, error) {
	var list struct {
		Attempts []job.Attempt `json:"attempts"`
	}
	if err := c.get(ctx, c.o.Patience, jobPath(id, "/attempts"), &list); err != nil {
		return nil, err
	}
	return list.Attempts, nil
}

// ListJobs implements job.Service.
func (c *Client) ListJobs(ctx context.Context, f job.Filter) (job.Page, error) {
	var page job.Page
	err := c.get(ctx, c.o.Patience, withQuery("/api/jobs", filterQuery(&f)), &page)
	return page, err
}

func filterQuery(f *job.Filter) url.Values {
	q := url.Values{}
	list := func(name string, words []string) {
		if len(words) > 0 {
			q.Set(name, strings.Join(words, ","))
		}
	}
	var selected []string
	for _, r := range f.IDs {
		word := strconv.FormatInt(r.From, 10)
		if r.To != r.From {
			word += "-" + strconv.FormatInt(r.To, 10)
		}
		selected = append(selected, word)
	}
	selected = append(selected, f.Keys...)
	if f.Last {
		selected = append(selected, "last")
	}
	list("select", selected)
	states := make([]string, len(f.States))
	for i, s := range f.States {
		states[i] = string(s)
	}
	list("state", states)
	list("queue", f.Queues)
	list("type", f.Types)
	list("tag", f.Tags)
	reasons := make([]string, len(f.Reasons))
	for i, r := range f.Reasons {
		reasons[i] = string(r)
	}
	list("reason", reasons)
	codes := make([]string, len(f.ExitCodes))
	for i, code := range f.ExitCodes {
		codes[i] = strconv.Itoa(code)
	}
	list("exit_code", codes)
	for name, t := range map[string]time.Time{"since": f.Since, "until": f.Until, "ended_since": f.EndedSince, "ended_until": f.EndedUntil} {
		if !t.IsZero() {
			q.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	for name, text := range map[string]string{"owner": f.Owner, "name": f.Name, "text": f.Text, "sort": string(f.Sort), "cursor": f.Cursor} {
		if text != "" {
			q.Set(name, text)
		}
	}
	if f.Limit != 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	if f.Oldest {
		q.Set("oldest", "true")
	}
	return q
}

// Act implements job.Service.
func (c *Client) Act(ctx context.Context, r job.ActRequest) (job.ActResult, error) {
	var result job.ActResult
	err := c.call(ctx, http.MethodPost, "/api/jobs/actions", r, &result)
	return result, err
}
