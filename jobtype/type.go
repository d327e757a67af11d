// Package jobtype is what the author of a job type uses. A job type is a pointer to a struct: its
// exported fields are the job's parameters, and its method Execute does the work, in a process of
// the job's own.
//
//	type Resize struct {
//		Source string `json:"source" doc:"picture to read"`
//		Width  int    `json:"width,omitempty" default:"800" minimum:"1"`
//	}
//
//	func (r *Resize) Execute(ctx context.Context, run *jobtype.Run) error {
//		run.Progress(40, "scaling")
//		return run.Result(map[string]int{"width": r.Width})
//	}
//
// A program with it is made by the package queuemgr: New, Register, Main. What order the methods are
// called in, and what of a field's tags becomes the parameters' JSON Schema, is in docs/types.md.
package jobtype

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// Type is a job type: a pointer to a struct. Execute does the work of one job; the fields hold its
// parameters by then. What it returns ends the job: nil = completed, an error = failed. ctx ends
// when the job is to stop, its cause being ErrStopped; Execute then returns soon.
//
// A type may also have the methods of Starter, Stopper, ErrorHandler, Ender and Describer.
type Type interface {
	Execute(ctx context.Context, run *Run) error
}

// Starter is a Type that prepares something. OnStart runs before Execute. With an error Execute
// does not run and the job has failed; OnError and OnEnd run all the same.
type Starter interface {
	OnStart(ctx context.Context, run *Run) error
}

// Stopper is a Type that has something to do when its job is stopped, by hand, by its time limit or
// with the service. OnStop runs once Execute has returned, or StopPatience after the stop when it
// has not: beside it then. The job's grace bounds all of it. ctx does not end.
type Stopper interface {
	OnStop(ctx context.Context, run *Run)
}

// ErrorHandler is a Type that has something to do when OnStart or Execute has failed with err; a
// panic is a *PanicError. It does not run for a job that was stopped. ctx does not end.
type ErrorHandler interface {
	OnError(ctx context.Context, run *Run, err error)
}

// Ender is a Type that cleans up. OnEnd runs last, whatever was before. ctx does not end.
type Ender interface {
	OnEnd(ctx context.Context, run *Run)
}

// StopPatience is how long OnStop waits for an Execute that does not return when it is stopped.
const StopPatience = time.Second

// Describer is a Type that says more of itself than its fields do.
type Describer interface {
	Describe() Description
}

// Description is what a type says of itself, and what its jobs have unless they say otherwise. Zero
// values mean: as for every job.
type Description struct {
	Name    string // "" = that of the struct, MyJob being my-job; see job.CheckTypeName
	Summary string // one line
	Example any    // parameters that are valid, as JSON or a value that becomes it

	Queue        string
	Timeout      time.Duration // time limit
	Grace        time.Duration // between stop and KILL
	Watchdog     time.Duration // silence (no Progress, Status, Result, Alive) after which it is stopped
	StopSignal   string        // "TERM", "INT", "HUP", "USR1", "USR2": those reach OnStop
	Requeue      bool          // run it again where its outcome can't be known: for work that may safely run twice
	SuccessCodes []int         // further exit codes that count as completed
}

// Describe returns what t says of itself, its name included.
func Describe(t Type) Description {
	var d Description
	if says, ok := t.(Describer); ok {
		d = says.Describe()
	}
	if d.Name == "" {
		d.Name = kebab(reflect.Indirect(reflect.ValueOf(t)).Type().Name())
	}
	return d
}

// kebab returns MyHTTPJob as my-http-job.
func kebab(name string) string {
	var b strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		if unicode.IsUpper(r) && i > 0 {
			next := i+1 < len(letters) && unicode.IsLower(letters[i+1])
			if !unicode.IsUpper(letters[i-1]) || next {
				b.WriteByte('-')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Check returns what makes t no usable type: no pointer to a struct, or a method that is called as
// a hook and does not have its form, so that it would never run.
func Check(t Type) error {
	v := reflect.ValueOf(t)
	if t == nil || v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("%T is no job type: register a pointer to a struct, as &Resize{}", t)
	}
	for _, hook := range hooks {
		if _, there := v.Type().MethodByName(hook.name); there && !v.Type().Implements(hook.form) {
			return fmt.Errorf("%s.%s would never run: write it as %s", v.Type(), hook.name, hook.written)
		}
	}
	return nil
}

var hooks = []struct {
	name    string
	form    reflect.Type
	written string
}{
	{"OnStart", reflect.TypeFor[Starter](), "OnStart(ctx context.Context, run *jobtype.Run) error"},
	{"OnStop", reflect.TypeFor[Stopper](), "OnStop(ctx context.Context, run *jobtype.Run)"},
	{"OnError", reflect.TypeFor[ErrorHandler](), "OnError(ctx context.Context, run *jobtype.Run, err error)"},
	{"OnEnd", reflect.TypeFor[Ender](), "OnEnd(ctx context.Context, run *jobtype.Run)"},
	{"Describe", reflect.TypeFor[Describer](), "Describe() jobtype.Description"},
}
