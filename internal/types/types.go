// Package types is the registry of job types: those that are built in, those that the program's
// author registered in Go, and those of the files in types.d. It checks the parameters of a job that is
// added, and makes its command of them.
package types

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/jobtype"
)

// Sources of types that come from no file; see job.Type.
const (
	builtIn = "built in"
	program = "program"
)

// Child is the hidden command of a program that runs one job of a registered type: `PROGRAM _job NAME`.
const Child = "_job"

// Options is what a registry is made of.
type Options struct {
	// Program is the path of this program, which runs jobs of types that are registered in Go.
	Program string
	// Registered are those types, BuiltIn those that every program has.
	Registered, BuiltIn []jobtype.Type
	// Dir holds the files of types, "" = none. It need not be there.
	Dir string
}

// Registry is all job types of a daemon. Its methods may be called from anywhere.
type Registry struct {
	o     Options
	fixed map[string]*kind // command, shell, and what is registered

	mu    sync.RWMutex
	files files
}

// kind is a job type, and what makes jobs of it.
type kind struct {
	job.Type
	schema   *schema
	template template     // of types.d
	value    jobtype.Type // registered in Go
	where    string       // place for people: file:line:column, or what Source says
}

// New returns the types of o. A mistake in a file is no error: the type that it is in can't be used,
// see Problems. Errors: what is wrong with a type in Go.
func New(o Options) (*Registry, error) {
	r := &Registry{o: o, fixed: map[string]*kind{
		job.TypeCommand: {Type: job.Type{Name: job.TypeCommand, Source: builtIn, Description: "runs a program as it is given"}, where: builtIn},
		job.TypeShell:   {Type: job.Type{Name: job.TypeShell, Source: builtIn, Description: "runs a script with /bin/sh -c"}, where: builtIn},
	}}
	for i, list := range [][]jobtype.Type{o.BuiltIn, o.Registered} {
		for _, value := range list {
			k, err := fromGo(value, []string{builtIn, program}[i], o.Program)
			if err != nil {
				return nil, err
			}
			if other := r.fixed[k.Name]; other != nil {
				return nil, fmt.Errorf("the type %s is there twice: %s and %s", k.Name, other.where, k.where)
			}
			r.fixed[k.Name] = k
		}
	}
	r.files = r.read()
	return r, nil
}

// fromGo returns the type that value is.
func fromGo(value jobtype.Type, source, path string) (*kind, error) {
	text, secret, err := jobtype.Schema(value)
	if err != nil {
		return nil, err
	}
	d := jobtype.Describe(value)
	bad := func(what string, err error) error {
		return fmt.Errorf("the type %s (%T): %s: %w", d.Name, value, what, err)
	}
	if err := job.CheckTypeName(d.Name); err != nil {
		return nil, bad("name", err)
	}
	k := &kind{value: value, where: fmt.Sprintf("%s (%T)", source, value), Type: job.Type{Name: d.Name, Description: d.Summary, Source: source,
		Schema: text, Secret: secret, Queue: d.Queue, Timeout: job.Duration(d.Timeout), Grace: job.Duration(d.Grace), Watchdog: job.Duration(d.Watchdog),
		StopSignal: d.StopSignal, SuccessCodes: d.SuccessCodes}}
	if d.Requeue {
		k.OnLost = job.OnLostRequeue
	}
	if k.schema, err = compile(text); err != nil {
		return nil, bad("schema", err)
	}
	if err := k.check(); err != nil {
		return nil, bad("description", err)
	}
	if d.Example != nil {
		if k.Example, err = encode(d.Example); err != nil {
			return nil, bad("example", err)
		}
		if _, _, err := k.parameters(k.Example); err != nil {
			return nil, bad("example", err)
		}
	}
	k.template = template{{{text: path}}, {{text: Child}}, {{text: d.Name}}}
	return k, nil
}

// check returns what is wrong with what jobs of k have unless they say otherwise.
func (k *kind) check() error {
	if k.Queue != "" {
		if err := job.CheckQueueName(k.Queue); err != nil {
			return err
		}
	}
	if _, err := job.ParseSignal(k.StopSignal); err != nil {
		return err
	}
	for _, d := range []job.Duration{k.Timeout, k.Grace, k.Watchdog} {
		if d < 0 {
			return fmt.Errorf("a negative duration: %s", d)
		}
	}
	return checkCodes(k.SuccessCodes)
}

func checkCodes(codes []int) error {
	for _, code := range codes {
		if code < 0 || code > 255 {
			return fmt.Errorf("success code %d: exit codes go from 0 to 255", code)
		}
	}
	return nil
}

// Types returns all types by name, those that can't be used too.
func (r *Registry) Types() []job.Type {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := map[string]*kind{}
	maps.Copy(all, r.files.kinds)
	maps.Copy(all, r.fixed)
	list := make([]job.Type, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[name].shown())
	}
	return list
}

// Type returns one type. Errors: NotFound, with the nearest name.
func (r *Registry) Type(name string) (*job.Type, error) {
	k, err := r.find(name)
	if err != nil {
		return nil, err
	}
	t := k.shown()
	return &t, nil
}

// shown returns what users see of k: a copy that is theirs.
func (k *kind) shown() job.Type {
	t := k.Type
	t.Secret, t.Command, t.SuccessCodes = slices.Clone(t.Secret), slices.Clone(t.Command), slices.Clone(t.SuccessCodes)
	t.Schema, t.Example = slices.Clone(t.Schema), slices.Clone(t.Example)
	t.Hooks = copyHooks(t.Hooks)
	for i := range t.Hooks {
		t.Hooks[i].URL = job.ShownURL(t.Hooks[i].URL)
	}
	return t
}

// Hooks returns the hooks of the types that have some, by the type's name, with all of their URLs: they
// are for whoever calls them and may be shown to nobody.
func (r *Registry) Hooks() map[string][]job.Hook {
	r.mu.RLock()
	defer r.mu.RUnlock()
	byType := map[string][]job.Hook{}
	for _, kinds := range []map[string]*kind{r.files.kinds, r.fixed} {
		for name, k := range kinds {
			if len(k.Hooks) > 0 {
				byType[name] = copyHooks(k.Hooks)
			}
		}
	}
	return byType
}

func copyHooks(list []job.Hook) []job.Hook {
	list = slices.Clone(list)
	for i := range list {
		list[i].On, list[i].Command = slices.Clone(list[i].On), slices.Clone(list[i].Command)
	}
	return list
}

func (r *Registry) find(name string) (*kind, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if k := r.fixed[name]; k != nil {
		return k, nil
	}
	if k := r.files.kinds[name]; k != nil {
		return k, nil
	}
	names := slices.Concat(slices.Collect(maps.Keys(r.fixed)), slices.Collect(maps.Keys(r.files.kinds)))
	slices.Sort(names)
	e := &job.Error{Code: job.NotFound, Field: "type", Message: fmt.Sprintf("there is no job type %q", name), Hint: "queuemgr type list shows those that there are"}
	if near := config.Nearest(name, names); near != "" {
		e.Hint = fmt.Sprintf("did you mean %q? %s", near, e.Hint)
	}
	for _, p := range r.files.unread { // it may be in a file that can't be read
		e.Hint += "; " + p.why
	}
	return nil, e
}

// Prepare checks s, whose Type is neither command nor shell, against its type: see the contract of the engine's
// option Types. s is changed only where there is no error.
func (r *Registry) Prepare(s *job.Spec) (full json.RawMessage, err error) {
	k, err := r.find(s.Type)
	if err != nil {
		return nil, err
	}
	switch {
	case k.Problem != "":
		return nil, &job.Error{Code: job.Invalid, Field: "type", Message: fmt.Sprintf("no job of type %s can be added: %s", k.Name, k.Problem),
			Hint: "mend it, then: queuemgr daemon reload"}
	case k.schema == nil:
		return nil, &job.Error{Code: job.Invalid, Field: "type", Message: fmt.Sprintf("the type is %q, and there is nothing to run", k.Name),
			Hint: "give a command after --, or a script with --shell"}
	case len(s.Command) > 0 || s.Shell != "":
		return nil, &job.Error{Code: job.Invalid, Field: "command", Message: fmt.Sprintf("a command is given, and the type %s has its own", k.Name),
			Hint: "give parameters with --params, or leave the type out"}
	}
	if len(s.Params) > job.MaxParams {
		return nil, &job.Error{Code: job.Invalid, Field: "params", Message: fmt.Sprintf("params are %d bytes long", len(s.Params)),
			Hint: fmt.Sprintf("at most %d; put more into a file that the job reads", job.MaxParams)}
	}
	given := s.Params
	if len(given) == 0 {
		given = json.RawMessage("{}")
	}
	tree, full, err := k.parameters(given)
	if err != nil {
		return nil, err
	}
	argv, f := k.template.expand(tree)
	if f != nil {
		return nil, k.refuse(f)
	}
	shown := full
	if len(k.Secret) > 0 {
		for _, name := range k.Secret {
			if _, there := tree[name]; there {
				tree[name] = job.Redacted
			}
		}
		if shown, err = encode(tree); err != nil {
			return nil, err
		}
	}
	s.Command, s.Params = argv, shown
	k.defaults(s)
	return full, nil
}

// parameters checks parameters and returns them with defaults filled in.
func (k *kind) parameters(given json.RawMessage) (map[string]any, json.RawMessage, error) {
	v, err := decode(given)
	if err != nil {
		return nil, nil, k.refuse(&failure{rule: "JSON", words: "are not JSON: " + err.Error()})
	}
	tree, isObject := v.(map[string]any)
	if !isObject {
		return nil, nil, k.refuse(&failure{rule: "type", words: "must be an object, and are " + withArticle([]string{kindOf(numbers(v))})[0]})
	}
	if _, err := fill(k.schema.root, tree); err != nil {
		return nil, nil, err
	}
	full, err := encode(tree)
	if err != nil {
		return nil, nil, err
	}
	// The numbers that are checked are float64: as big.Rat, of which 1e999999999 makes gigabytes, they
	// are none that a caller may choose.
	var plain any
	if err := json.Unmarshal(full, &plain); err != nil {
		return nil, nil, k.refuse(&failure{rule: "type", words: "hold a number that is out of range"})
	}
	if f := k.schema.check(plain); f != nil {
		return nil, nil, k.refuse(f)
	}
	for _, name := range k.Secret {
		if tree[name] == job.Redacted {
			return nil, nil, k.refuse(&failure{"/" + escape(name), "secret", "is what a record shows in place of the secret", "give the secret itself"})
		}
	}
	if k.value != nil {
		if err := jobtype.Decode(full, fresh(k.value)); err != nil {
			return nil, nil, k.refuse(k.undecoded(err))
		}
	}
	return tree, full, nil
}

// undecoded says that the parameters don't fit the type's fields. Where some are secret that is all of it, with the parameter
// where it is known: err may quote values.
func (k *kind) undecoded(err error) *failure {
	if len(k.Secret) == 0 {
		return &failure{rule: "decode", words: "can't be used: " + err.Error()}
	}
	f := &failure{rule: "decode", words: "do not fit the type's fields"}
	if e := (*json.UnmarshalTypeError)(nil); errors.As(err, &e) && e.Field != "" {
		name, _, _ := strings.Cut(e.Field, ".")
		f.pointer, f.words = "/"+escape(name), "does not fit the type's field"
	}
	return f
}

// refuse returns the error of parameters.
func (k *kind) refuse(f *failure) error {
	field := "params" + f.pointer
	hint := f.hint
	if hint == "" {
		hint = "queuemgr type show " + k.Name + " tells what it takes"
	}
	return &job.Error{Code: job.Invalid, Field: field, Message: fmt.Sprintf("%s %s (rule %s of type %s)", field, f.words, f.rule, k.Name), Hint: hint}
}

// defaults fills what s leaves out.
func (k *kind) defaults(s *job.Spec) {
	if s.Queue == "" {
		s.Queue = k.Queue
	}
	if s.Timeout == 0 {
		s.Timeout = k.Timeout
	}
	if s.Grace == 0 {
		s.Grace = k.Grace
	}
	if s.StopSignal == "" {
		s.StopSignal = k.StopSignal
	}
	if s.OnLost == "" {
		s.OnLost = k.OnLost
	}
	if s.Watchdog == 0 {
		s.Watchdog = k.Watchdog
	}
	if s.SuccessCodes == nil {
		s.SuccessCodes = slices.Clone(k.SuccessCodes)
	}
}
