package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// statuses is the one place that maps codes to HTTP.
var statuses = map[job.Code]int{
	job.Invalid:         http.StatusUnprocessableEntity,
	job.NotFound:        http.StatusNotFound,
	job.WrongState:      http.StatusConflict,
	job.Conflict:        http.StatusConflict,
	job.Forbidden:       http.StatusForbidden,
	job.Unauthenticated: http.StatusUnauthorized,
	job.Throttled:       http.StatusTooManyRequests,
	job.Exhausted:       http.StatusInsufficientStorage,
	job.Unavailable:     http.StatusServiceUnavailable,
	job.Internal:        http.StatusInternalServerError,
}

// problem is an error as RFC 9457 has it, with the members of job.Error beside.
type problem struct {
	Type   string   `json:"type"`
	Title  string   `json:"title"`
	Status int      `json:"status"`
	Detail string   `json:"detail"`
	Code   job.Code `json:"code"`
	Field  string   `json:"field,omitempty"`
	Hint   string   `json:"hint,omitempty"`
	Line   int      `json:"line,omitempty"`
	JobID  int64    `json:"job_id,omitempty"`
}

// statusError is an error for which HTTP has a closer status than its code's.
type statusError struct {
	status int
	err    *job.Error
}

func (e statusError) Error() string { return e.err.Error() }

// Unwrap makes errors.As find the job.Error.
func (e statusError) Unwrap() error { return e.err }

// problemOf returns what to answer to err. What is not for callers stays out of it.
func problemOf(err error) problem {
	status := 0
	if s := (statusError{}); errors.As(err, &s) {
		status = s.status
	}
	e := (*job.Error)(nil)
	if !errors.As(err, &e) {
		e = &job.Error{Code: job.Internal, Message: "internal error", Hint: "daemon.log tells the cause"}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			e = &job.Error{Code: job.Unavailable, Message: "the request was given up before it was done"}
		}
	}
	if status == 0 {
		status = statuses[e.Code]
	}
	if status == 0 {
		status = http.StatusInternalServerError
	}
	return problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: e.Message,
		Code: e.Code, Field: e.Field, Hint: e.Hint, Line: e.Line, JobID: e.JobID}
}

// fail answers err, and logs what is the server's fault with its cause.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		cause := err
		for e := errors.Unwrap(cause); e != nil; e = errors.Unwrap(cause) {
			cause = e
		}
		h.o.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err, "cause", cause)
	}
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="queuemgr"`)
	case http.StatusTooManyRequests:
		if e := (*job.Error)(nil); errors.As(err, &e) {
			w.Header().Set("Retry-After", strconv.Itoa(int(time.Duration(e.RetryAfter)/time.Second)+1))
		}
	}
	h.write(w, r, p.Status, "application/problem+json", p)
}
