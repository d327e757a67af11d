package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"github.com/queuemgr/queuemgr/job"
)

// problem returns the error that the daemon answered.
func problem(resp *http.Response) error {
	var p struct {
		Detail string   `json:"detail"`
		Code   job.Code `json:"code"`
		Field  string   `json:"field"`
		Hint   string   `json:"hint"`
		Line   int      `json:"line"`
		JobID  int64    `json:"job_id"`
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode == http.StatusRequestHeaderFieldsTooLarge {
		return &job.Error{Code: job.Invalid, Field: "selector", Message: "the selection is too long for one request", Hint: "give ranges in place of single numbers, or select by state, queue or tag"}
	}
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil || p.Code == "" {
		return &job.Error{Code: job.Internal, Err: err, Message: "the answer is none of a queuemgr daemon: " + resp.Status, Hint: "look what listens at that address"}
	}
	return &job.Error{Code: p.Code, Message: p.Detail, Hint: p.Hint, Field: p.Field, Line: p.Line, JobID: p.JobID}
}

// broken returns what to say of a request that got no answer, or half of one. reached says that a
// daemon was there for it: then a failed dial is that of a second try.
func (c *Client) broken(ctx context.Context, err error, method string, reached bool) error {
	if ctx.Err() != nil {
		return ctx.Err() // not context.Cause: callers compare with the well-known ones
	}
	if e := (*job.Error)(nil); errors.As(err, &e) {
		return e // of a body that is made while it is sent
	}
	where := c.o.Socket
	if where == "" {
		where = c.base
	}
	op := (*net.OpError)(nil)
	if !reached && errors.As(err, &op) && op.Op == "dial" {
		err = noAnswerError{err}
		switch {
		case errors.Is(err, fs.ErrPermission):
			return &job.Error{Code: job.Forbidden, Message: "you may not use the daemon at " + where, Hint: "the system service is for members of group queuemgr (sudo usermod -aG queuemgr $USER, then log in anew); or use a home of your own (--home)", Err: err}
		case len(c.o.Socket) > job.MaxSocketPath:
			return &job.Error{Code: job.Invalid, Err: err, Hint: "use a home with a shorter path (--home or QUEUEMGR_HOME)",
				Message: fmt.Sprintf("the socket's path is %d bytes long, Linux takes at most %d: %s", len(c.o.Socket), job.MaxSocketPath, c.o.Socket)}
		case errors.Is(err, syscall.EAGAIN):
			return &job.Error{Code: job.Unavailable, Message: "the daemon at " + where + " takes no more connections now", Hint: "try again", Err: err}
		}
		return &job.Error{Code: job.Unavailable, Message: "no daemon answers at " + where, Hint: "start it: queuemgr service start", Err: err}
	}
	e := &job.Error{Code: job.Unavailable, Message: "the daemon at " + where + " went away before it answered", Hint: "try again", Err: err}
	if method != http.MethodGet {
		e.Hint = "it may have done what was asked: look before you ask again"
	}
	return e
}
