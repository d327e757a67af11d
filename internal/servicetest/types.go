package servicetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Types are the job types of a service under test: one, greet, that greets somebody. It checks its
// params by hand and stands in for the registry of types, which tests of its own hold to its contract.
type Types struct{}

// greet is the type. The password is not used for anything.
var greet = job.Type{
	Name: "greet", Source: "program", Description: "Greets somebody.\nAs often as asked to.", Secret: []string{"password"},
	Schema: json.RawMessage(`{"type":"object","required":["name"],"additionalProperties":false,"properties":` +
		`{"name":{"type":"string","description":"whom"},"times":{"type":"integer","minimum":1,"default":1},"password":{"type":"string"}}}`),
	Example: json.RawMessage(`{"name":"Ada","times":2}`),
	Timeout: job.Duration(90 * time.Second), Watchdog: job.Duration(30 * time.Second), SuccessCodes: []int{3},
}

// Types returns all.
func (Types) Types() []job.Type { return []job.Type{greet} }

// Type returns one.
func (Types) Type(name string) (*job.Type, error) {
	if name == greet.Name {
		t := greet
		return &t, nil
	}
	return nil, &job.Error{Code: job.NotFound, Field: "type", Message: fmt.Sprintf("there is no job type %q", name), Hint: `did you mean "greet"?`}
}

// Prepare makes a job of s.
func (t Types) Prepare(s *job.Spec) (json.RawMessage, error) {
	if _, err := t.Type(s.Type); err != nil {
		return nil, err
	}
	wrong := func(pointer, rule string) error {
		return &job.Error{Code: job.Invalid, Field: "params" + pointer, Message: "params" + pointer + ": " + rule, Hint: "queuemgr type show greet"}
	}
	var p struct {
		Name     *string `json:"name"`
		Times    *int    `json:"times"`
		Password *string `json:"password,omitempty"`
	}
	if err := json.Unmarshal(s.Params, &p); err != nil {
		return nil, wrong("", "type: an object is wanted")
	}
	switch {
	case p.Name == nil:
		return nil, wrong("/name", "required: it is not there")
	case p.Times != nil && *p.Times < 1:
		return nil, wrong("/times", "minimum: at least 1")
	}
	one := 1
	if p.Times == nil {
		p.Times = &one
	}
	full, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	if p.Password != nil {
		hidden := job.Redacted
		p.Password = &hidden
	}
	if s.Params, err = json.Marshal(p); err != nil {
		return nil, err
	}
	s.Command = []string{"/bin/sh", "-c", `cat "$QUEUEMGR_PARAMS"`}
	if s.Timeout == 0 {
		s.Timeout = greet.Timeout
	}
	if s.Watchdog == 0 {
		s.Watchdog = greet.Watchdog
	}
	if s.SuccessCodes == nil {
		s.SuccessCodes = greet.SuccessCodes
	}
	return full, nil
}

var typeCases = []testCase{
	{"List", typeList},
	{"Show", typeShow},
	{"Add", typeAdd},
	{"Refused", typeRefused},
	{"Batch", typeBatch},
	{"Secrets", typeSecrets},
}

func typeList(s *suite) {
	types, err := s.Types(s.ctx)
	s.ok(err)
	var names []string
	for _, t := range types {
		names = append(names, t.Name)
		if t.Source == "" || t.Description == "" {
			s.Errorf("%s comes from %q and says %q of itself", t.Name, t.Source, t.Description)
		}
	}
	for _, want := range []string{job.TypeCommand, greet.Name, job.TypeShell} {
		if !slices.Contains(names, want) {
			s.Errorf("the types are %v: %s is missing", names, want)
		}
	}
	if !slices.IsSorted(names) {
		s.Errorf("not by name: %v", names)
	}
}

func typeShow(s *suite) {
	t, err := s.Type(s.ctx, greet.Name)
	s.ok(err)
	s.same("the type", t, &greet)
	t, err = s.Type(s.ctx, job.TypeShell)
	s.ok(err)
	if t.Name != job.TypeShell || t.Schema != nil {
		s.Errorf("%+v", t)
	}
	for _, name := range []string{"gret", "nosuch", "", "..", "a/b", "a b"} {
		_, err := s.Type(s.ctx, name)
		e := s.refused(err, job.NotFound, "type")
		if name == "gret" && !strings.Contains(e.Hint, "greet") {
			s.Errorf("the nearest name is not shown: %v", e)
		}
	}
}

func typeAdd(s *suite) {
	params := json.RawMessage(`{"name":"Ada"}`)
	j := s.add(job.Spec{Type: greet.Name, Params: params, Hold: true})
	if j.Type != greet.Name || len(j.Command) == 0 || j.Timeout != greet.Timeout || j.Watchdog != greet.Watchdog {
		s.Errorf("%+v", j)
	}
	s.same("params", string(j.Params), `{"name":"Ada","times":1}`)
	s.same("success codes", j.SuccessCodes, greet.SuccessCodes)
	s.same("as it is on record", visible(s.job(j.ID)), visible(j))

	own := s.add(job.Spec{Type: greet.Name, Params: params, Hold: true, Timeout: job.Duration(time.Second), Watchdog: job.Duration(time.Minute), SuccessCodes: []int{}})
	if own.Timeout != job.Duration(time.Second) || own.Watchdog != job.Duration(time.Minute) || len(own.SuccessCodes) > 0 {
		s.Errorf("what the job says itself: %+v", own)
	}
	s.same("of the type", s.list(job.Filter{Types: []string{greet.Name}}), []int64{own.ID, j.ID})
}

func typeRefused(s *suite) {
	name := json.RawMessage(`{"name":"Ada"}`)
	for _, c := range []struct {
		what  string
		spec  job.Spec
		code  job.Code
		field string
	}{
		{"an unknown type", job.Spec{Type: "gret", Params: name}, job.NotFound, "type"},
		{"no name of a type", job.Spec{Type: "a/b"}, job.Invalid, "type"},
		{"a command beside it", job.Spec{Type: greet.Name, Command: []string{"true"}}, job.Invalid, "type"},
		{"a script beside it", job.Spec{Type: greet.Name, Shell: "true"}, job.Invalid, "type"},
		{"no params", job.Spec{Type: greet.Name}, job.Invalid, "params"},
		{"params that are no JSON", job.Spec{Type: greet.Name, Params: json.RawMessage(`7`)}, job.Invalid, "params"},
		{"one that is missing", job.Spec{Type: greet.Name, Params: json.RawMessage(`{}`)}, job.Invalid, "params/name"},
		{"one that breaks a rule", job.Spec{Type: greet.Name, Params: json.RawMessage(`{"name":"Ada","times":0}`)}, job.Invalid, "params/times"},
		{"a negative watchdog", job.Spec{Command: []string{"true"}, Watchdog: -1}, job.Invalid, "watchdog"},
		{"no exit code", job.Spec{Command: []string{"true"}, SuccessCodes: []int{1, 256}}, job.Invalid, "success_codes[1]"},
		{"too many exit codes", job.Spec{Command: []string{"true"}, SuccessCodes: make([]int, job.MaxCodes+1)}, job.Invalid, "success_codes"},
	} {
		s.Run(c.what, func(t *testing.T) {
			sub := *s
			sub.T = t
			_, err := s.AddJob(s.ctx, c.spec)
			sub.refused(err, c.code, c.field)
			_, err = s.AddJobs(s.ctx, job.Batch{Jobs: []job.Spec{{Command: []string{"true"}}, c.spec}})
			if e := sub.refused(err, c.code, c.field); e.Line != 2 {
				t.Errorf("line %d of a batch, want 2", e.Line)
			}
		})
	}
	s.same("jobs on record", s.list(job.Filter{}), []int64{})
}

func typeBatch(s *suite) {
	added, err := s.AddJobs(s.ctx, job.Batch{
		Defaults: job.Spec{Type: greet.Name, Params: json.RawMessage(`{"name":"Ada"}`), Watchdog: job.Duration(time.Minute), Hold: true},
		Jobs: []job.Spec{
			{},
			{Params: json.RawMessage(`{"name":"Grace","times":2}`), SuccessCodes: []int{4}},
			{Command: []string{"true"}},
			{Shell: "true", Type: job.TypeShell},
		},
	})
	s.ok(err)
	for i, want := range []struct{ kind, params string }{
		{greet.Name, `{"name":"Ada","times":1}`}, {greet.Name, `{"name":"Grace","times":2}`}, {job.TypeCommand, ""}, {job.TypeShell, ""},
	} {
		j := s.job(added[i])
		if j.Type != want.kind || string(j.Params) != want.params || j.Watchdog != job.Duration(time.Minute) {
			s.Errorf("job %d of the batch: %+v", i+1, j)
		}
	}
	s.same("its own exit codes", s.job(added[1]).SuccessCodes, []int{4})
	_, err = s.AddJobs(s.ctx, job.Batch{Defaults: job.Spec{Command: []string{"true"}, Hold: true}, Jobs: []job.Spec{{Type: greet.Name, Params: json.RawMessage(`{"name":"Ada"}`)}}})
	s.ok(err) // the type of a job goes before the defaults' command
}

// typeSecrets wants a secret nowhere: not in a record, a list, a change.
func typeSecrets(s *suite) {
	params := json.RawMessage(`{"name":"Ada","password":"hunter2"}`)
	j := s.add(job.Spec{Type: greet.Name, Params: params, Hold: true, Env: map[string]string{"A": "1"}})
	s.same("params", string(j.Params), `{"name":"Ada","times":1,"password":"`+job.Redacted+`"}`)
	added, err := s.AddJobs(s.ctx, job.Batch{Defaults: job.Spec{Type: greet.Name, Hold: true}, Jobs: []job.Spec{{Params: params}}})
	s.ok(err)
	page, err := s.ListJobs(s.ctx, job.Filter{})
	s.ok(err)
	s.hides("the list", page)
	s.hides("the record", s.job(added[0]))
	s.act(job.ActStop, j.ID)
	seen := 0
	for c, err := range s.Events(s.ctx, job.EventOptions{After: new(uint64), JobIDs: []int64{j.ID}}) {
		s.ok(err)
		s.hides("a change", c)
		if seen++; seen == 2 {
			break
		}
	}
}

func (s *suite) hides(what string, v any) {
	s.Helper()
	text, err := json.Marshal(v)
	s.ok(err)
	if strings.Contains(string(text), "hunter2") {
		s.Errorf("%s shows the secret: %s", what, text)
	}
}
