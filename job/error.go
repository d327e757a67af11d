package job

import (
	"errors"
	"strings"
)

// Code classes errors; one place maps it to an HTTP status (internal/httpapi) and one to an exit
// code (internal/cli).
type Code string

// Codes of an Error.
const (
	Invalid         Code = "invalid"         // the request is wrong: Field says where
	NotFound        Code = "not_found"       // no such job, queue, log
	WrongState      Code = "wrong_state"     // the job's or queue's state does not allow it
	Conflict        Code = "conflict"        // a key that is taken, a queue that exists
	Forbidden       Code = "forbidden"       // not this caller
	Unauthenticated Code = "unauthenticated" // nobody who is known: no login, or one that is over
	Throttled       Code = "throttled"       // too many failed logins: later again
	Exhausted       Code = "exhausted"       // a limit of the settings or the disk is reached
	Unavailable     Code = "unavailable"     // the daemon is not reachable or is stopping
	Internal        Code = "internal"        // our fault, or the machine's
)

// Error is an error with a code that a user can act on.
type Error struct {
	Code       Code     `json:"code"`
	Message    string   `json:"message"`         // what happened, to what
	Hint       string   `json:"hint,omitempty"`  // what to do next
	Field      string   `json:"field,omitempty"` // of Invalid: the field, with its path
	Line       int      `json:"line,omitempty"`  // of a bulk add: which job, counting from 1
	JobID      int64    `json:"job_id,omitempty"`
	RetryAfter Duration `json:"-"` // of Throttled: for how long there is no use in trying again
	Err        error    `json:"-"` // cause, for the log
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString(" (")
		b.WriteString(e.Hint)
		b.WriteString(")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// AtLine returns err with the line that it is about, where it is an *Error.
func AtLine(err error, line int) error {
	e := (*Error)(nil)
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	at.Line = line
	return &at
}

// CodeOf returns the code of err: Internal for one that is no Error, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// FieldOf returns the field that err is about, "" for none.
func FieldOf(err error) string {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Field
	}
	return ""
}
