package runas

import "fmt"

// Kind says what an Error is about, so that callers can tell a refusal from a fault.
type Kind int

// Kinds of errors.
const (
	Denied      Kind = iota + 1 // the policy does not allow it; asking again does not help
	Unknown                     // there is no such account
	Broken                      // the policy or the accounts cannot be read: nothing is allowed until that is mended
	Unavailable                 // accounts could not be asked for at this moment
)

// Error is why a job may not or cannot run as an account. Its text is for the user.
type Error struct {
	Kind Kind
	Text string
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

func errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Text: fmt.Sprintf(format, args...)}
}
