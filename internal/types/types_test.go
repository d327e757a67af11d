package types

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/jobtype"
)

// Resize is a type with a field of each kind.
type Resize struct {
	Source   string            `json:"source" doc:"picture to read" minLength:"1"`
	Width    int               `json:"width" default:"800" minimum:"1" maximum:"10000"`
	Mode     string            `json:"mode,omitempty" enum:"fit,fill"`
	Sizes    []int             `json:"sizes,omitempty" maxItems:"3"`
	Wait     time.Duration     `json:"wait,omitempty"`
	Until    time.Time         `json:"until,omitzero"`
	Labels   map[string]string `json:"labels,omitempty"`
	Password string            `json:"password,omitempty" secret:"true"`
	Quality  uint8             `json:"quality"`
	Where    struct {
		X float64 `json:"x"`
		Y float64 `json:"y" default:"0.5"`
	} `json:"where,omitzero"`
	begun  time.Time
	Client any `json:"-"`
}

func (r *Resize) Execute(context.Context, *jobtype.Run) error {
	r.begun = time.Now()
	return nil
}

func (*Resize) Describe() jobtype.Description {
	return jobtype.Description{Summary: "makes pictures smaller", Queue: "images", Timeout: time.Minute, Watchdog: 5 * time.Second,
		SuccessCodes: []int{3}, Example: map[string]any{"source": "a.png"}}
}

func registry(t *testing.T, files map[string]string, registered ...jobtype.Type) *Registry {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, files)
	r, err := New(Options{Program: "/opt/prog", Dir: dir, Registered: registered})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPrepareGo(t *testing.T) {
	r := registry(t, nil, &Resize{Quality: 90})
	for _, c := range []struct {
		name, params string
		full         string // "" = refused
		shown        string // "" = as full
		field, words string
		hint         string
	}{
		{name: "defaults", params: `{"source":"a.png"}`, full: `{"quality":90,"source":"a.png","width":800}`},
		{name: "all", params: `{"source":"a<b&c.png","width":10,"mode":"fit","sizes":[1,2],"wait":"1m","until":"2026-01-02T03:04:05Z","labels":{"a":"b"},"quality":1,"where":{"x":1}}`,
			full: `{"labels":{"a":"b"},"mode":"fit","quality":1,"sizes":[1,2],"source":"a<b&c.png","until":"2026-01-02T03:04:05Z","wait":"1m","where":{"x":1,"y":0.5},"width":10}`},
		{name: "no int to Go", params: `{"source":"a","width":10.0}`, field: "params/width", words: "does not fit"}, // told before the job runs
		{name: "secret", params: `{"source":"a","password":"hunter2"}`, full: `{"password":"hunter2","quality":90,"source":"a","width":800}`,
			shown: `{"password":"(secret)","quality":90,"source":"a","width":800}`},
		{name: "no params", params: ``, field: "params/source", words: "is missing (rule required of type resize)", hint: "queuemgr type show resize"},
		{name: "empty", params: `{"source":""}`, field: "params/source", words: "must not be empty (rule minLength"},
		{name: "type", params: `{"source":7}`, field: "params/source", words: "must be a text, and is a whole number (rule type"},
		{name: "minimum", params: `{"source":"a","width":0}`, field: "params/width", words: "must be at least 1 (rule minimum"},
		{name: "fraction", params: `{"source":"a","width":1.5}`, field: "params/width", words: "must be a whole number, and is a number (rule type"},
		{name: "enum", params: `{"source":"a","mode":"filll"}`, field: "params/mode", words: `must be one of "fit", "fill" (rule enum`, hint: `did you mean "fill"?`},
		{name: "list", params: `{"source":"a","sizes":[1,"x"]}`, field: "params/sizes/1", words: "must be a whole number, and is a text (rule type"},
		{name: "list too long", params: `{"source":"a","sizes":[1,2,3,4]}`, field: "params/sizes", words: "at most 3 items, and has 4 (rule maxItems"},
		{name: "unknown", params: `{"sorce":"a"}`, field: "params/sorce", words: "is no parameter that there is (rule additionalProperties", hint: `did you mean "source"?`},
		{name: "below", params: `{"source":"a","where":{"x":1,"z":2}}`, field: "params/where/z", words: "is no parameter"},
		{name: "duration", params: `{"source":"a","wait":"soon"}`, field: "params/wait", words: `number of seconds, or a text as "1h30m"`},
		{name: "time", params: `{"source":"a","until":"tomorrow"}`, field: "params/until", words: "must be a time as"},
		{name: "no such day", params: `{"source":"a","until":"2026-02-31T00:00:00Z"}`, field: "params", words: "do not fit"},
		{name: "map", params: `{"source":"a","labels":{"a/b~":7}}`, field: "params/labels/a~1b~0", words: "must be a text"},
		{name: "byte", params: `{"source":"a","quality":256}`, field: "params/quality", words: "must be at most 255 (rule maximum"},
		{name: "redacted", params: `{"source":"a","password":"(secret)"}`, field: "params/password", words: "rule secret"},
		{name: "no object", params: `[1]`, field: "params", words: "must be an object, and are a list"},
		{name: "no JSON", params: `{`, field: "params", words: "are not JSON"},
		{name: "two values", params: `{} {}`, field: "params", words: "are not JSON"},
		{name: "huge exponent", params: `{"source":"a","width":1e999999999}`, field: "params", words: "out of range"},
		{name: "tiny exponent", params: `{"source":"a","width":1e-999999999}`, field: "params/width", words: "must be at least 1"},
	} {
		s := &job.Spec{Type: "resize", Params: json.RawMessage(c.params)}
		full, err := r.Prepare(s)
		if c.field != "" {
			e := (*job.Error)(nil)
			if !errors.As(err, &e) || e.Code != job.Invalid || e.Field != c.field || !strings.Contains(e.Message, c.words) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("%s: error %#v, want field %s, %q, %q", c.name, err, c.field, c.words, c.hint)
			}
			if s.Command != nil || s.Queue != "" || string(s.Params) != c.params {
				t.Errorf("%s: a refused job was changed: %+v", c.name, s)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := job.Spec{Type: "resize", Command: []string{"/opt/prog", "_job", "resize"}, Queue: "images", Timeout: job.Duration(time.Minute),
			Watchdog: job.Duration(5 * time.Second), SuccessCodes: []int{3}, Params: json.RawMessage(c.full)}
		if c.shown != "" {
			want.Params = json.RawMessage(c.shown)
		}
		if d := cmp.Diff(want, *s); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
		if string(full) != c.full {
			t.Errorf("%s: full parameters %s, want %s", c.name, full, c.full)
		}
	}
}

func TestDefaultsNeverReplace(t *testing.T) {
	r := registry(t, nil, &Resize{Quality: 90})
	said := job.Spec{Type: "resize", Params: json.RawMessage(`{"source":"a","quality":1}`), Queue: "q", Timeout: 1, Grace: 2, StopSignal: "INT",
		OnLost: job.OnLostFail, Watchdog: 3, SuccessCodes: []int{}}
	s := said
	if _, err := r.Prepare(&s); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(said, s, cmpopts.IgnoreFields(job.Spec{}, "Params", "Command")); d != "" {
		t.Errorf("-said +got:\n%s", d)
	}
}

func TestPrepareRefuses(t *testing.T) {
	r := registry(t, map[string]string{"a.toml": "[types.bad]\ncomand = []\n"}, &Resize{Quality: 90})
	for _, c := range []struct {
		spec        job.Spec
		code        job.Code
		field, says string
	}{
		{job.Spec{Type: "resise"}, job.NotFound, "type", `did you mean "resize"?`},
		{job.Spec{Type: "zzz"}, job.NotFound, "type", "queuemgr type list"},
		{job.Spec{Type: "bad"}, job.Invalid, "type", `a.toml:2:1: unknown key "comand": did you mean "command"?`},
		{job.Spec{Type: "command"}, job.Invalid, "type", "there is nothing to run"},
		{job.Spec{Type: "resize", Command: []string{"ls"}}, job.Invalid, "command", "has its own"},
		{job.Spec{Type: "resize", Shell: "ls"}, job.Invalid, "command", "has its own"},
		{job.Spec{Type: "resize", Params: json.RawMessage(`{"source":"` + strings.Repeat("x", job.MaxParams) + `"}`)}, job.Invalid, "params", "bytes long"},
	} {
		_, err := r.Prepare(&c.spec)
		if job.CodeOf(err) != c.code || job.FieldOf(err) != c.field || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s %s %q", c.spec.Type, err, c.code, c.field, c.says)
		}
	}
}

type nameless struct {
	Name string `json:"-"`
	N    int    `json:"n,omitempty"`
}

func (*nameless) Execute(context.Context, *jobtype.Run) error { return nil }
func (n *nameless) Describe() jobtype.Description             { return jobtype.Description{Name: n.Name} }

type badQueue struct{ nameless }

func (*badQueue) Describe() jobtype.Description { return jobtype.Description{Name: "x", Queue: "a b"} }

type badExample struct{ nameless }

func (*badExample) Describe() jobtype.Description {
	return jobtype.Description{Name: "x", Example: map[string]any{"n": "text"}}
}

type circle struct {
	nameless
	Next []circle `json:"next"`
}

func (*circle) Describe() jobtype.Description { return jobtype.Description{Name: "x"} }

type channel struct {
	nameless
	C chan int
}

func (*channel) Describe() jobtype.Description { return jobtype.Description{Name: "x"} }

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		types []jobtype.Type
		says  string
	}{
		{[]jobtype.Type{&nameless{Name: "a"}, &nameless{Name: "a"}}, "the type a is there twice: program (*types.nameless) and program (*types.nameless)"},
		{[]jobtype.Type{&nameless{Name: "shell"}}, "the type shell is there twice: built in and program"},
		{[]jobtype.Type{&nameless{Name: "a b"}}, `bad type name "a b"`},
		{[]jobtype.Type{&badQueue{}}, `bad queue name "a b"`},
		{[]jobtype.Type{&badExample{}}, "params/n must be a whole number"},
		{[]jobtype.Type{&circle{}}, "holds itself"},
		{[]jobtype.Type{&channel{}}, "field C"},
	} {
		_, err := New(Options{Registered: c.types})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%T: %v, want %q", c.types[0], err, c.says)
		}
	}
}

func TestTypes(t *testing.T) {
	r := registry(t, map[string]string{"b.toml": "[types.zip]\ncommand=[\"zip\"]\n[types.bad]\ncommand=7\n"}, &Resize{Quality: 90})
	var names []string
	for _, k := range r.Types() {
		names = append(names, fmt.Sprintf("%s %t", k.Name, k.Problem == ""))
	}
	if d := cmp.Diff([]string{"bad false", "command true", "resize true", "shell true", "zip true"}, names); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	k, err := r.Type("resize")
	if err != nil {
		t.Fatal(err)
	}
	if k.Source != "program" || k.Description != "makes pictures smaller" || string(k.Example) != `{"source":"a.png"}` {
		t.Errorf("%+v", k)
	}
	if at := strings.Index(string(k.Schema), `"source"`); at < 0 || at > strings.Index(string(k.Schema), `"width"`) || strings.Contains(string(k.Schema), "Client") || strings.Contains(string(k.Schema), "begun") {
		t.Errorf("the schema does not have the fields in order: %s", k.Schema)
	}
	k.Secret[0] = "x" // what is given out is a copy
	if again, _ := r.Type("resize"); again.Secret[0] != "password" {
		t.Error("a caller can change the registry")
	}
}

func BenchmarkPrepare(b *testing.B) {
	r, err := New(Options{Program: "/opt/prog", Registered: []jobtype.Type{&Resize{Quality: 90}}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s := job.Spec{Type: "resize", Params: json.RawMessage(`{"source":"a.png","mode":"fit","width":100}`)}
		if _, err := r.Prepare(&s); err != nil {
			b.Fatal(err)
		}
	}
}

// TestUndecodedKeepsSecrets: what a decoder says may quote values.
func TestUndecodedKeepsSecrets(t *testing.T) {
	err := fmt.Errorf("do not fit: %w", &json.UnmarshalTypeError{Value: "number 123456", Type: reflect.TypeFor[int8](), Field: "pin.first"})
	k := &kind{Type: job.Type{Name: "x", Secret: []string{"pin"}}}
	if got := k.refuse(k.undecoded(err)); strings.Contains(got.Error(), "123456") || job.FieldOf(got) != "params/pin" {
		t.Errorf("%v, about %s", got, job.FieldOf(got))
	}
	k.Secret = nil
	if got := k.refuse(k.undecoded(err)); !strings.Contains(got.Error(), "number 123456") {
		t.Errorf("without secrets: %v", got)
	}
}
