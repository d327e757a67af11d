package job

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckNamesTheField(t *testing.T) {
	big, low, mask := MaxPriority+1, -MaxPriority-1, uint32(0o1000)
	for field, s := range map[string]Spec{
		"command":     {},
		"shell":       {Command: []string{"a"}, Shell: "b"},
		"command[0]":  {Command: []string{""}},
		"command[1]":  {Command: []string{"a", "b\x00c"}},
		"command[2]":  {Command: []string{"a", "b", "\xff"}},
		"cwd":         {Command: []string{"a"}, Cwd: "relative"},
		"env":         {Command: []string{"a"}, Env: map[string]string{"A=B": "c"}},
		"env.A":       {Command: []string{"a"}, Env: map[string]string{"A": "\x00"}},
		"queue":       {Command: []string{"a"}, Queue: "no/slash"},
		"key":         {Command: []string{"a"}, Key: "3-5"},
		"name":        {Command: []string{"a"}, Name: "two\nlines"},
		"tags[1]":     {Command: []string{"a"}, Tags: []string{"ok", "a,b"}},
		"priority":    {Command: []string{"a"}, Priority: &big},
		"umask":       {Command: []string{"a"}, Umask: &mask},
		"on_lost":     {Command: []string{"a"}, OnLost: "perhaps"},
		"stop_signal": {Command: []string{"a"}, StopSignal: "SIGNOPE"},
		"timeout":     {Command: []string{"a"}, Timeout: -1},
		"type":        {Command: []string{"a"}, Type: "x\x1b[31mRED\nState: fake"},
		"params":      {Command: []string{"a"}, Params: []byte(`"` + strings.Repeat("x", MaxParams) + `"`)},
	} {
		t.Run(field, func(t *testing.T) { wantInvalid(t, s, field) })
	}
	wantInvalid(t, Spec{Command: []string{"a"}, Priority: &low}, "priority")
	wantInvalid(t, Spec{Command: []string{"a"}, Type: TypeShell}, "type")
	wantInvalid(t, Spec{Shell: "a", Type: TypeCommand}, "type")
	wantInvalid(t, Spec{Command: []string{"a"}, Params: []byte("{")}, "params")
	for _, key := range []string{"+1", "-1", "--1", "+3-5"} {
		wantInvalid(t, Spec{Command: []string{"a"}, Key: key}, "key")
	}
	wantInvalid(t, Spec{Command: []string{"a", strings.Repeat("x", MaxArg+1)}}, "command[1]")
	many := []string{"a"}
	for range 20 {
		many = append(many, strings.Repeat("x", MaxArg))
	}
	wantInvalid(t, Spec{Command: many}, "command") // more than 2 MiB
}

func wantInvalid(t *testing.T, s Spec, field string) {
	t.Helper()
	var e *Error
	if err := s.Check(); !errors.As(err, &e) || e.Code != Invalid || e.Field != field || e.Message == "" {
		t.Errorf("got %#v, want Invalid with field %s", err, field)
	}
}

func TestCheckTakesWhatLinuxTakes(t *testing.T) {
	for name, s := range map[string]Spec{
		"empty argument": {Command: []string{"printf", ""}},
		"longest":        {Command: []string{"echo", strings.Repeat("x", MaxArg)}},
		"typed":          {Command: []string{"a"}, Type: TypeCommand, Params: []byte(`{"a":1}`), Key: "a-1"},
		"typed shell":    {Shell: "a", Type: TypeShell, Key: "-a"},
		"everything": {Shell: "a | b", Queue: "gpu-1", Key: "nightly", Name: "Nächtlich", Tags: []string{"a", "b"}, Cwd: "/tmp",
			StopSignal: "SIGINT", OnLost: OnLostRequeue, Env: map[string]string{"A": "line\nline"}},
	} {
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseSelector(t *testing.T) {
	var f Filter
	if err := ParseSelector(&f, "7", "3,5-8", "last", "nightly"); err != nil {
		t.Fatal(err)
	}
	if len(f.IDs) != 3 || f.IDs[0] != (Range{7, 7}) || f.IDs[2] != (Range{5, 8}) || !f.Last || len(f.Keys) != 1 || !f.Explicit() {
		t.Errorf("got %+v", f)
	}
	f = Filter{}
	if err := ParseSelector(&f, "all"); err != nil || !f.Empty() || f.Explicit() {
		t.Errorf("all: %+v, %v", f, err)
	}
	for _, bad := range []string{"", "8-5", "0", "3,", "a b", "99999999999999999999", "+1", "2,all", "all,last", "all,all"} {
		if err := ParseSelector(&Filter{}, bad); CodeOf(err) != Invalid {
			t.Errorf("%q: got %v, want Invalid", bad, err)
		}
	}
}

func TestDuration(t *testing.T) {
	for in, want := range map[string]float64{"90": 90, "1.5": 1.5, "1h30m": 5400, "7d": 604800, "2d12h": 216000, "0": 0, "250ms": 0.25} {
		d, err := ParseDuration(in)
		if err != nil || float64(d)/1e9 != want {
			t.Errorf("%q: got %v, %v; want %v s", in, d, err, want)
		}
	}
	for _, bad := range []string{"", "-1", "x", "1x", "-5m", "NaN", "Inf", "1e30"} {
		if d, err := ParseDuration(bad); CodeOf(err) != Invalid {
			t.Errorf("%q: got %v, %v; want Invalid", bad, d, err)
		}
	}
	var d Duration
	if err := d.UnmarshalJSON([]byte(`"2m"`)); err != nil || d.String() != "2m0s" {
		t.Errorf("from JSON string: %v, %v", d, err)
	}
	if b, err := Duration(1500e6).MarshalJSON(); err != nil || string(b) != "1.5" {
		t.Errorf("to JSON: %s, %v", b, err)
	}
}

func TestParseID(t *testing.T) {
	if id, ok := ParseID("42"); id != 42 || !ok {
		t.Errorf("got %d, %v", id, ok)
	}
	for _, bad := range []string{"", "+1", "-1", "1_0", "0x1", " 1", "99999999999999999999"} {
		if id, ok := ParseID(bad); ok {
			t.Errorf("%q is taken for job %d", bad, id)
		}
	}
}

func TestFilterRefusesEmptyValues(t *testing.T) {
	for field, f := range map[string]Filter{"keys": {Keys: []string{""}}, "states": {States: []State{""}}, "queues": {Queues: []string{"a", ""}},
		"types": {Types: []string{""}}, "tags": {Tags: []string{""}}} {
		var e *Error
		if err := f.Check(); !errors.As(err, &e) || e.Code != Invalid || e.Field != field {
			t.Errorf("%+v: got %v, want Invalid with field %s", f, err, field)
		}
	}
	if err := (&Filter{Tags: []string{"a"}}).Check(); err != nil {
		t.Error(err)
	}
}
