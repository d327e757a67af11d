package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

// Exit codes of every command but those that exit as a job did.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitState       = 4
	exitUnreachable = 5
	exitForbidden   = 6
	exitInterrupted = 128 + 2 // as by SIGINT
)

// Exit codes of `job wait` and `job add --wait` beside the job's own, as timeout(1) and env(1)
// have them.
const (
	exitTimeLimit = 124
	exitOwnError  = 125
	exitNoExec    = 126
)

const exitCodesHelp = `Exit codes:
  0 done         2 wrong usage    4 wrong state for this    6 not allowed
  1 failed       3 not found      5 daemon not reachable`

const exitJobHelp = `Exit codes of a wait for one job:
  its own    when it ran to its end
  128+N      when signal N killed it
  127, 126   when its program was not found, or could not be run
  124        when a time limit ended it, or the wait
  125        when it was lost, skipped, stopped or deleted, and for errors of queuemgr
For several jobs: 0 when all completed, else 1. Wrong usage: 2.`

// exitCode is the one place that maps an error's code to an exit code.
func exitCode(code job.Code) int {
	switch code {
	case "":
		return exitDone
	case job.Invalid:
		return exitUsage
	case job.NotFound:
		return exitNotFound
	case job.WrongState, job.Conflict:
		return exitState
	case job.Unavailable:
		return exitUnreachable
	case job.Forbidden, job.Unauthenticated:
		return exitForbidden
	default:
		return exitFailed
	}
}

// jobExitCode is the exit code of a command that waited for j.
func jobExitCode(j *job.Job) int {
	switch {
	case j.State == job.Completed:
		return exitDone
	case j.State != job.Failed:
		return exitOwnError
	}
	switch j.Reason {
	case job.ReasonTimeout:
		return exitTimeLimit
	case job.ReasonLost:
		return exitOwnError
	}
	switch {
	case j.Signal > 0:
		return 128 + j.Signal
	case j.ExitCode != nil && *j.ExitCode > 0:
		return *j.ExitCode
	case j.Reason == job.ReasonSpawn:
		return exitNoExec
	default:
		return exitOwnError
	}
}

// exitError ends the command with a code of its own. Its err is told where there is one.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// asWait gives errors of a command that exits as a job did the code 125, and leaves wrong usage 2.
func asWait(err error) error {
	var e *exitError
	switch {
	case err == nil, errors.As(err, &e), job.CodeOf(err) == job.Invalid:
		return err
	}
	return &exitError{code: exitOwnError, err: err}
}

// exit tells err to the user and returns the exit code.
func (a *app) exit(ctx context.Context, err error, asJSON bool) int {
	if err == nil {
		return exitDone
	}
	code := exitCode(job.CodeOf(err))
	var own *exitError
	if errors.As(err, &own) {
		code, err = own.code, own.err
	}
	switch {
	case err == nil:
	case errors.Is(err, syscall.EPIPE):
		// Who read our output has read enough.
		return exitFailed
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || job.CodeOf(err) == job.Unavailable):
		return exitInterrupted
	default:
		a.tell(err, asJSON)
	}
	return code
}

// tell writes err to standard error. That it cannot be written cannot be told.
func (a *app) tell(err error, asJSON bool) {
	var e *job.Error
	if !errors.As(err, &e) {
		e = &job.Error{Code: job.Internal, Message: err.Error()}
	}
	if asJSON {
		body, marshalErr := json.Marshal(map[string]*job.Error{"error": e})
		if marshalErr == nil {
			_, _ = fmt.Fprintf(a.Stderr, "%s\n", body)
			return
		}
	}
	_, _ = fmt.Fprintf(a.Stderr, "queuemgr: %s\n", printableLines(e.Message))
	if e.Hint != "" {
		_, _ = fmt.Fprintf(a.Stderr, "hint: %s\n", printableLines(a.suggest(e.Hint)))
	}
}

// warn writes a line to standard error.
func (a *app) warn(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Stderr, "queuemgr: "+a.suggestFormat(format)+"\n", args...) // nowhere else to say it
}

// usage is wrong usage of the command line.
func usage(message, hint string) error {
	return &job.Error{Code: job.Invalid, Message: message, Hint: hint}
}

// flagError is wrong usage of the flag called name (without --).
func flagError(name string, err error) error {
	e := &job.Error{Code: job.Invalid, Field: name, Err: err}
	var inner *job.Error
	if errors.As(err, &inner) {
		e.Message, e.Hint = "--"+name+": "+inner.Message, inner.Hint
	} else {
		e.Message = "--" + name + ": " + err.Error()
	}
	return e
}

// wantsJSON reports whether the error of cmd is to be JSON.
func wantsJSON(cmd *cobra.Command, args []string, err error) bool {
	if err == nil || cmd == nil {
		return false
	}
	for _, name := range []string{"json", "jsonl"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			return true
		}
	}
	// A flag before it may have been wrong, and the rest was not read.
	end := slices.Index(args, "--")
	if end < 0 {
		end = len(args)
	}
	return cmd.Flags().Lookup("json") != nil && cmd.Flags().NArg() == 0 && slices.Contains(args[:end], "--json")
}

// didYouMean is a hint that names the nearest right name, or all of them.
func didYouMean(word, what string, names []string) string {
	if near := config.Nearest(word, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return what + ": " + strings.Join(names, ", ")
}
