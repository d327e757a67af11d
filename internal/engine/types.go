package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// Types are the job types that make a job's command of its parameters.
type Types interface {
	// Types returns all by name, those that have a Problem too.
	Types() []job.Type
	// Type returns one. Errors: job.NotFound with the nearest name.
	Type(name string) (*job.Type, error)
	// Prepare checks s, whose Type is neither command nor shell, against its type and makes a job of it: what
	// the type says is filled in where s says nothing, Command is set to what runs it, and secrets in
	// Params are replaced by job.Redacted. full are the parameters with their secrets. What s shares with
	// other specs, its Env, Tags and the bytes of Params, is left as it is. Errors: job.NotFound (field
	// type), job.Invalid (field params/<JSON pointer>).
	Prepare(s *job.Spec) (full json.RawMessage, err error)
}

// builtIn are the types that need no Types.
var builtIn = []job.Type{
	{Name: job.TypeCommand, Source: "built in", Description: "runs a program as it is given"},
	{Name: job.TypeShell, Source: "built in", Description: "runs a script with /bin/sh -c"},
}

// Types implements job.Service.
func (e *Engine) Types(context.Context) ([]job.Type, error) {
	var all []job.Type
	if e.o.Types != nil {
		all = slices.Clone(e.o.Types.Types())
	}
	for _, b := range builtIn {
		if !slices.ContainsFunc(all, func(t job.Type) bool { return t.Name == b.Name }) {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b job.Type) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Type implements job.Service.
func (e *Engine) Type(ctx context.Context, name string) (*job.Type, error) {
	all, err := e.Types(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Name == name {
			return &all[i], nil
		}
	}
	if e.o.Types != nil {
		if _, err := e.o.Types.Type(name); err != nil {
			return nil, err // with the nearest name
		}
	}
	return nil, noType(name)
}

func noType(name string) *job.Error {
	return &job.Error{Code: job.NotFound, Field: "type", Message: fmt.Sprintf("there is no job type %q", name), Hint: "queuemgr type list shows all"}
}

// prepare has the type of s make a job of it. It returns the parameters as only the job may see them, nil
// where those on record are the same.
func (e *Engine) prepare(s *job.Spec) (json.RawMessage, error) {
	if e.o.Types == nil {
		return nil, noType(s.Type)
	}
	full, err := e.o.Types.Prepare(s)
	if err != nil {
		return nil, err
	}
	if err := s.CheckPrepared(); err != nil {
		return nil, err
	}
	if len(s.Params) == 0 {
		s.Params = json.RawMessage("{}") // its process reads them from a file
	}
	if len(full) == 0 || bytes.Equal(full, s.Params) && !mayHaveSecrets(s.Params) {
		return nil, nil
	}
	return full, nil
}

// mayHaveSecrets reports whether parameters on record may have places where a secret was. The full ones
// are kept of all that look so.
func mayHaveSecrets(params json.RawMessage) bool {
	return bytes.Contains(params, []byte(`"`+job.Redacted+`"`))
}

// paramsEntry begins the entry of a captured environment that holds parameters with secrets. No
// variable can be called so.
const paramsEntry = "=params="

// withParams returns env with the parameters as an entry of their own, in their place by name.
func withParams(env []string, params json.RawMessage) []string {
	if params == nil {
		return env
	}
	entry := paramsEntry + string(params)
	at, _ := slices.BinarySearch(env, entry)
	return slices.Insert(slices.Clone(env), at, entry)
}

// captured is what was kept of a job beside its record.
type captured struct {
	env    []string        // without the variables that are set for each job
	params json.RawMessage // with their secrets; nil = as on record
}

// newCaptured reads the entries of a captured environment. One that was captured by an older version may
// hold variables that are the job's own now.
func newCaptured(entries []string) captured {
	c := captured{env: make([]string, 0, len(entries))}
	for _, e := range entries {
		if params, ok := strings.CutPrefix(e, paramsEntry); ok {
			c.params = json.RawMessage(params)
			continue
		}
		if name, _, _ := strings.Cut(e, "="); !slices.Contains(ownVariables, name) {
			c.env = append(c.env, e)
		}
	}
	return c
}

// hasFolder reports whether the runner makes a folder for j's runs: jobs that have parameters read them
// there.
func hasFolder(j *job.Job) bool { return len(j.Params) > 0 || typed(j) }

// typed reports whether a type other than command and shell has made j's command.
func typed(j *job.Job) bool {
	return j.Type != "" && j.Type != job.TypeCommand && j.Type != job.TypeShell
}

// needsReports reports whether only a runner that has Welcome.Reports can run j as it shall be.
func needsReports(j *job.Job) bool { return hasFolder(j) || j.Watchdog > 0 }

// checkSecrets refuses to start a job whose secrets are not on record here.
func (c *core) checkSecrets(ctx context.Context, j *job.Job) *job.Error {
	if !typed(j) || !mayHaveSecrets(j.Params) {
		return nil
	}
	kept, err := c.captured(ctx, j)
	if err != nil {
		return asError(err)
	}
	if kept.params != nil {
		return nil
	}
	return &job.Error{Code: job.WrongState, JobID: j.ID, Message: fmt.Sprintf("the secret parameters of job %d are not on record", j.ID),
		Hint: "it was imported, and an export holds no secrets; add it anew"}
}
