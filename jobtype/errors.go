package jobtype

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ErrStopped is the cause of the end of Execute's context: the job is to stop.
var ErrStopped = errors.New("the job was stopped")

// NoRetry returns err as one that another attempt would meet again: the job has failed for good,
// however many attempts it may have.
func NoRetry(err error) error {
	if err == nil {
		return nil
	}
	return &retryError{err, "never"}
}

// RetryAfter returns err as one after which another attempt has no use before d has passed.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryError{err, strconv.FormatFloat(math.Ceil(max(d, 0).Seconds()), 'f', 0, 64)}
}

// retryError is an error with what another attempt is worth, as it is sent.
type retryError struct {
	error
	retry string
}

func (e *retryError) Unwrap() error { return e.error }

// PanicError is a panic in one of the methods of a job type.
type PanicError struct {
	Method string // "Execute", "OnStart", …
	Value  any
	Stack  []byte
}

func (e *PanicError) Error() string {
	first, _, _ := strings.Cut(fmt.Sprint(e.Value), "\n")
	return fmt.Sprintf("panic in %s: %s", e.Method, first)
}

// Unwrap returns what was panicked with, where that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
