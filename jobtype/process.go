package jobtype

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

// Exit codes of a job's process.
const (
	ExitDone  = 0
	ExitError = 1
	ExitPanic = 2
)

// Process is what a job's process has of the world. The package queuemgr and queuemgrtest use it;
// authors of job types have no need to.
type Process struct {
	Environ []string         // NAME=VALUE: QUEUEMGR_PARAMS, NOTIFY_SOCKET and others, see docs/types.md
	Stderr  io.Writer        // the job's log
	Stop    <-chan os.Signal // the job is to stop
	// Calls is told which method is about to run, "Execute", "OnStart", …; may be nil.
	Calls func(method string)
}

// Main runs t as the job that this process is, and returns its exit code.
func Main(t Type) int {
	stop := make(chan os.Signal, 1)
	// Those by which a job may be stopped: which one it is, the job's record says.
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	return Process{Environ: os.Environ(), Stderr: os.Stderr, Stop: stop}.Run(t)
}

// Run runs the methods of t in their order, t's fields holding the parameters, and returns the exit
// code of the process.
func (p Process) Run(t Type) int {
	run, err := newRun(lookup(p.Environ), p.Stderr)
	defer run.reports.close()
	if err == nil {
		err = Decode(run.Params, t)
	}
	if err != nil {
		return p.end(run, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-p.Stop:
			cancel(ErrStopped)
		case <-ended:
		}
	}()
	return p.run(ctx, t, run)
}

func (p Process) run(ctx context.Context, t Type, run *Run) int {
	after := context.WithoutCancel(ctx)
	result := make(chan error, 1)
	go func() { result <- p.work(ctx, t, run) }()
	var err error
	returned := false
	select {
	case err = <-result:
		returned = true
	case <-ctx.Done():
		patience := time.NewTimer(StopPatience)
		defer patience.Stop()
		select {
		case err = <-result:
			returned = true
		case <-patience.C:
		}
	}
	stopped := ctx.Err() != nil
	var later []error // of the methods after it
	if h, ok := t.(Stopper); ok && stopped {
		later = append(later, p.guard("OnStop", func() error { h.OnStop(after, run); return nil }))
	}
	if !returned {
		err = <-result // or KILL, when the grace is over
	}
	if h, ok := t.(ErrorHandler); ok && err != nil && !stopped {
		later = append(later, p.guard("OnError", func() error { h.OnError(after, run, err); return nil }))
	}
	if h, ok := t.(Ender); ok {
		later = append(later, p.guard("OnEnd", func() error { h.OnEnd(after, run); return nil }))
	}
	if stopped && errors.Is(err, context.Canceled) {
		err = ErrStopped
	}
	return p.end(run, append([]error{err}, later...)...)
}

// work prepares and does the work.
func (p Process) work(ctx context.Context, t Type, run *Run) error {
	if h, ok := t.(Starter); ok {
		if err := p.guard("OnStart", func() error { return h.OnStart(ctx, run) }); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ErrStopped
		}
	}
	return p.guard("Execute", func() error { return t.Execute(ctx, run) })
}

// guard calls a method in a goroutine of its own: a panic, or the end of the goroutine, is an
// error.
func (p Process) guard(method string, call func() error) error {
	if p.Calls != nil {
		p.Calls(method)
	}
	done := make(chan error, 1)
	go func() {
		err := fmt.Errorf("%s ended its goroutine (runtime.Goexit)", method)
		defer func() {
			if v := recover(); v != nil {
				err = &PanicError{Method: method, Value: v, Stack: debug.Stack()}
			}
			done <- err
		}()
		err = call()
	}()
	return <-done
}

// end tells of the errors, the first of which is the job's, and returns the exit code.
func (p Process) end(run *Run, errs ...error) int {
	code := ExitDone
	var first error
	for _, err := range errs {
		if err == nil {
			continue
		}
		if first == nil {
			first, code = err, max(code, ExitError)
		}
		if panicked := (*PanicError)(nil); errors.As(err, &panicked) {
			code = ExitPanic
			fmt.Fprintf(p.Stderr, "panic in %s: %v\n\n%s\n", panicked.Method, panicked.Value, panicked.Stack)
		} else {
			fmt.Fprintf(p.Stderr, "error: %v\n", err)
		}
	}
	if first != nil {
		run.reports.change(func(m *message) {
			m.err = cmp.Or(first.Error(), fmt.Sprintf("%T without words", first))
			if e := (*retryError)(nil); errors.As(first, &e) {
				m.retry = e.retry
			}
		})
	}
	return code
}
