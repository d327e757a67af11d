package types

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/job"
)

const resizeFile = `# pictures
[types.resize]
description = "makes pictures smaller"
command = ["convert", "--", "{source}", "-resize", "{width}x{height}{{!}}", "{options}", "out/{source}", "{flag}", "{scale}"]
queue = "images"
timeout = "10m"
grace = 5
watchdog = "30s"
stop_signal = "INT"
on_lost = "requeue"
success_codes = [1, 2]
example = { source = "a.png", height = 3 }

[types.resize.params]
source = { type = "string", minLength = 1, description = "picture to read" }
width = { type = "integer", default = 800, minimum = 1 }
height = { type = "integer", required = false }
options = { type = "array", items = { type = "string" }, default = [] }
flag = { type = "boolean", default = false }
scale = { type = "number", default = 0.5 }
token = { type = "string", required = false, secret = true }
`

func TestFile(t *testing.T) {
	r := registry(t, map[string]string{"pictures.toml": resizeFile, "README": "no types", ".hidden.toml": "["})
	if p := r.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	for _, c := range []struct {
		name, params string
		command      []string
		field, says  string
	}{
		{name: "plain", params: `{"source":"a b.png","height":600}`,
			command: []string{"convert", "--", "a b.png", "-resize", "800x600{!}", "out/a b.png", "false", "0.5"}},
		{name: "list", params: `{"source":"$(id); rm -rf /","height":12345678901234567890,"options":["-quality","9 0","","{width}"],"flag":true,"scale":1e3}`,
			command: []string{"convert", "--", "$(id); rm -rf /", "-resize", "800x12345678901234567890{!}", "-quality", "9 0", "", "{width}", "out/$(id); rm -rf /", "true", "1e3"}},
		{name: "no value", params: `{"source":"a"}`, field: "params/height", says: "has no value, and argument 4 of the command needs it (rule placeholder"},
		{name: "missing", params: `{"height":1}`, field: "params/source", says: "is missing (rule required"},
		{name: "wrong", params: `{"source":"a","height":1,"options":"-q"}`, field: "params/options", says: "must be a list, and is a text"},
	} {
		s := job.Spec{Type: "resize", Params: json.RawMessage(c.params)}
		_, err := r.Prepare(&s)
		if c.field != "" {
			if job.CodeOf(err) != job.Invalid || job.FieldOf(err) != c.field || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %s %q", c.name, err, c.field, c.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := cmp.Diff(c.command, s.Command); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
		want := job.Spec{Type: "resize", Command: s.Command, Params: s.Params, Queue: "images", Timeout: job.Duration(10 * time.Minute), Grace: job.Duration(5 * time.Second),
			Watchdog: job.Duration(30 * time.Second), StopSignal: "INT", OnLost: job.OnLostRequeue, SuccessCodes: []int{1, 2}}
		if d := cmp.Diff(want, s); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
	s := job.Spec{Type: "resize", Params: json.RawMessage(`{"source":"a","height":1,"token":"hunter2"}`)}
	full, err := r.Prepare(&s)
	if err != nil || !strings.Contains(string(full), "hunter2") || strings.Contains(string(s.Params)+strings.Join(s.Command, " "), "hunter2") ||
		!strings.Contains(string(s.Params), `"token":"(secret)"`) {
		t.Errorf("full %s, on record %s, command %q: %v", full, s.Params, s.Command, err)
	}
	k, err := r.Type("resize")
	if err != nil {
		t.Fatal(err)
	}
	order := []string{`"source"`, `"width"`, `"height"`, `"options"`, `"token"`}
	for i := 1; i < len(order); i++ {
		if strings.Index(string(k.Schema), order[i-1]) > strings.Index(string(k.Schema), order[i]) {
			t.Errorf("the schema does not have the parameters in the order of the file: %s", k.Schema)
		}
	}
}

func TestFileSchema(t *testing.T) {
	for name, schema := range map[string]string{
		"JSON": "schema = '''{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},\"required\":[\"n\"]}'''\n",
		"TOML": "[types.a.schema]\ntype = \"object\"\nrequired = [\"n\"]\n[types.a.schema.properties]\nn = { type = \"integer\" }\n",
	} {
		r := registry(t, map[string]string{"a.toml": "[types.a]\ncommand = [\"echo\", \"{n}\"]\n" + schema})
		s := job.Spec{Type: "a", Params: json.RawMessage(`{"n":7,"more":true}`)}
		if _, err := r.Prepare(&s); err != nil || len(s.Command) != 2 || s.Command[1] != "7" {
			t.Errorf("%s: %q, %v", name, s.Command, err)
		}
		s = job.Spec{Type: "a", Params: json.RawMessage(`{}`)}
		if _, err := r.Prepare(&s); job.FieldOf(err) != "params/n" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFileSchemaSecrets: what a schema calls writeOnly is as secret as what the type calls secret.
func TestFileSchemaSecrets(t *testing.T) {
	schema := `{"type":"object","properties":{"token":{"type":"string","writeOnly":true},"key":{"type":"object","writeOnly":true},"name":{"type":"string"}}}`
	for name, text := range map[string]string{
		"schema": "secret = [\"token\"]\nschema = '" + schema + "'\n",
		"params": "[types.a.params]\ntoken = { type = \"string\", writeOnly = true }\nkey = { type = \"object\", secret = true }\nname = { type = \"string\" }\n",
	} {
		r := registry(t, map[string]string{"a.toml": "[types.a]\ncommand = [\"x\", \"{name}\"]\n" + text})
		s := job.Spec{Type: "a", Params: json.RawMessage(`{"token":"T","key":{"k":1},"name":"n"}`)}
		full, err := r.Prepare(&s)
		if err != nil {
			t.Fatal(name, err, r.Problems())
		}
		if string(s.Params) != `{"key":"(secret)","name":"n","token":"(secret)"}` || !strings.Contains(string(full), `"T"`) {
			t.Errorf("%s: on record is %s, the job gets %s", name, s.Params, full)
		}
	}
}

func TestFileHooks(t *testing.T) {
	r := registry(t, map[string]string{"a.toml": "[types.a]\ncommand = [\"x\"]\nhooks = [{on = [\"failure\", \"stop\"], command = [\"mail\", \"ops\"]}]\n\n[[types.b.hooks]]\non = [\"success\"]\nurl = \"https://ci.example.org/\"\n[types.b]\ncommand = [\"x\"]\n"})
	if p := r.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	for name, want := range map[string][]job.Hook{
		"a": {{On: []job.HookEvent{job.HookFailure, job.HookStop}, Command: []string{"mail", "ops"}}},
		"b": {{On: []job.HookEvent{job.HookSuccess}, URL: "https://ci.example.org/"}},
	} {
		if d := cmp.Diff(want, r.Hooks()[name]); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if n := len(r.Hooks()); n != 2 {
		t.Errorf("%d types have hooks", n)
	}
}

// TestHooksKeepSecrets: who delivers knows the whole of a hook's URL, and nobody is shown it.
func TestHooksKeepSecrets(t *testing.T) {
	file := "[types.a]\ncommand = [\"x\"]\nhooks = [{on = [\"failure\"], url = \"https://hooks.example.org/in?token=SECRET\"}]\n"
	r := registry(t, map[string]string{"a.toml": file})
	one, err := r.Type("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range append(r.Types(), *one) {
		for _, h := range shown.Hooks {
			if strings.Contains(h.URL, "SECRET") || !strings.HasPrefix(h.URL, "https://hooks.example.org/") || h.URL != job.ShownURL("https://hooks.example.org/in?token=SECRET") {
				t.Errorf("shown is %s", h.URL)
			}
		}
	}
	one.Hooks[0].On[0] = job.HookStop
	r.Hooks()["a"][0].On[0] = job.HookStop // both are copies
	want := []job.Hook{{On: []job.HookEvent{job.HookFailure}, URL: "https://hooks.example.org/in?token=SECRET"}}
	if d := cmp.Diff(want, r.Hooks()["a"]); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	write(t, r.o.Dir, map[string]string{"a.toml": strings.Replace(file, "SECRET", "OTHER", 1)})
	if d := cmp.Diff([]string{"changed a: hooks"}, r.Reload()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestReloadNamesEverything: whatever of a type changes has a name, and values are shown of what can't be a secret alone.
func TestReloadNamesEverything(t *testing.T) {
	noValue := []string{"Name", "Description", "Schema", "Example", "Hooks", "Problem"}
	of := reflect.TypeFor[job.Type]()
	for i := range of.NumField() {
		if name := of.Field(i).Name; (labels[name] != "") == slices.Contains(noValue, name) {
			t.Errorf("job.Type.%s: decide in difference what a reload says of it", name)
		}
	}
}

func TestFileMistakes(t *testing.T) {
	const good = "[types.good]\ncommand = [\"true\"]\n"
	for _, c := range []struct{ name, text, says string }{
		{"not TOML", "[types.a]\ncommand = [\n", "a.toml:2:12: not valid TOML"},
		{"other table", "[type.a]\ncommand = [\"x\"]\n", `a.toml:1:2: unknown table "type"`},
		{"no table", "[types]\na = 7\n", "a.toml:2:1: it is no table: write [types.a]"},
		{"name", "[types.\"a b\"]\ncommand = [\"x\"]\n", `a.toml:1:8: bad type name "a b"`},
		{"no command", "[types.a]\nqueue = \"x\"\n", "a.toml:1:8: it has no command"},
		{"empty command", "[types.a]\ncommand = []\n", "a.toml:2:1: command: it names no program"},
		{"command kind", "[types.a]\ncommand = \"x\"\n", "a.toml:2:1: command: it must be a list of texts"},
		{"key", "[types.a]\ncommand = [\"x\"]\ntimout = 7\n", `a.toml:3:1: unknown key "timout": did you mean "timeout"?`},
		{"duration", "[types.a]\ncommand = [\"x\"]\ntimeout = \"soon\"\n", `a.toml:3:1: timeout: bad duration "soon"`},
		{"negative", "[types.a]\ncommand = [\"x\"]\ngrace = -1\n", "a.toml:3:1: grace: bad duration"},
		{"queue", "[types.a]\nqueue = \"a b\"\n", "a.toml:2:1: queue: bad queue name"},
		{"signal", "[types.a]\nstop_signal = \"FOO\"\n", "a.toml:2:1: stop_signal: unknown signal"},
		{"lost", "[types.a]\non_lost = \"x\"\n", `a.toml:2:1: on_lost: it must be "fail" or "requeue"`},
		{"codes", "[types.a]\nsuccess_codes = [256]\n", "a.toml:2:1: success_codes: it must be a list of exit codes"},
		{"hooks kind", "[types.a]\ncommand = [\"x\"]\nhooks = 7\n", "a.toml:3:1: hooks: it must be a list of"},
		{"hook's key", "[types.a]\ncommand = [\"x\"]\nhooks = [{on = [\"failure\"], comand = [\"x\"]}]\n", `a.toml:3:1: hooks: it must be a list of {on = ["failure"]`},
		{"hook's event", "[types.a]\ncommand = [\"x\"]\nhooks = [{on = [\"fail\"], command = [\"x\"]}]\n", "a.toml:3:1: hooks: "},
		{"hook's receiver", "[types.a]\ncommand = [\"x\"]\nhooks = [{on = [\"failure\"]}]\n", "a.toml:3:1: hooks: "},
		{"placeholder", "[types.a]\ncommand = [\"x\", \"{heigth}\"]\n[types.a.params]\nheight = {}\n", `a.toml:2:1: command[1] "{heigth}": {heigth} is no parameter: did you mean {height}?`},
		{"no such parameter", "[types.a]\ncommand = [\"x\", \"{a}\"]\n", "{a} is no parameter: describe it under params, or write {{a}} for braces"},
		{"open brace", "[types.a]\ncommand = [\"x\", \"{a\"]\n", "a { without its }"},
		{"closing brace", "[types.a]\ncommand = [\"x\", \"a}\"]\n", "a } without its {"},
		{"program", "[types.a]\ncommand = [\"{p}\"]\n[types.a.params]\np = {}\n", "the program can't be a parameter"},
		{"secret argument", "[types.a]\ncommand = [\"x\", \"{p}\"]\n[types.a.params]\np = { secret = true }\n", "{p} is secret, and everybody on the machine can see a command"},
		{"secret name", "[types.a]\ncommand = [\"x\"]\nsecret = [\"p\"]\n", `a.toml:3:1: secret: "p" is no parameter`},
		{"list within", "[types.a]\ncommand = [\"x\", \"-{l}\"]\n[types.a.params]\nl = { type = \"array\" }\n", "{l} is a list and must be alone in its argument"},
		{"keyword", "[types.a]\ncommand = [\"x\"]\n[types.a.params]\nn = { type = \"integer\",\n minimun = 1 }\n", `a.toml:5:2: unknown keyword "minimun" of n in the schema: did you mean "minimum"?`},
		{"kind", "[types.a]\ncommand = [\"x\"]\n[types.a.params]\nn = 7\n", "a.toml:4:1: params.n: it must be a table"},
		{"type of schema", "[types.a]\ncommand = [\"x\"]\n[types.a.params]\nn = { type = \"int\" }\n", `a.toml:4:7: unknown type "int" of n in the schema: did you mean "integer"?`},
		{"required", "[types.a]\ncommand = [\"x\"]\n[types.a.params]\nn = { required = \"yes\" }\n", "a.toml:4:7: params.n.required: it must be true or false"},
		{"default", "[types.a]\ncommand = [\"x\"]\n[types.a.params]\nn = { type = \"integer\", default = \"x\" }\n", "a.toml:3:10: params: it is no JSON Schema"},
		{"both", "[types.a]\ncommand = [\"x\"]\nschema = '{\"type\":\"object\"}'\n[types.a.params]\n", "params are described already"},
		{"schema", "[types.a]\ncommand = [\"x\"]\nschema = '{'\n", "a.toml:3:1: schema: it is not JSON"},
		{"schema of a list", "[types.a]\ncommand = [\"x\"]\nschema = '{\"type\":\"array\"}'\n", `a.toml:3:1: schema: it must have type = "object"`},
		{"part that is writeOnly", "[types.a]\ncommand = [\"x\"]\nschema = '{\"type\":\"object\",\"properties\":{\"login\":{\"type\":\"object\",\"properties\":{\"password\":{\"type\":\"string\",\"writeOnly\":true}}}}}'\n", "a.toml:3:1: the schema of login.password: only a parameter as a whole can be writeOnly"},
		{"part of short form", "[types.a]\ncommand = [\"x\"]\n[types.a.params]\nlogins = { type = \"array\", items = { type = \"string\", writeOnly = true } }\n", "only a parameter as a whole can be writeOnly"},
		{"all writeOnly", "[types.a]\ncommand = [\"x\"]\nschema = '{\"type\":\"object\",\"writeOnly\":true}'\n", "only a parameter as a whole can be writeOnly"},
		{"secret in command by schema", "[types.a]\ncommand = [\"x\", \"{t}\"]\nschema = '{\"type\":\"object\",\"properties\":{\"t\":{\"type\":\"string\",\"writeOnly\":true}}}'\n", "{t} is secret"},
		{"reference", "[types.a]\ncommand = [\"x\"]\nschema = '{\"type\":\"object\",\"$ref\":\"https://example.org/x\"}'\n", "a.toml:3:1: schema: it is no JSON Schema"},
		{"example", "[types.a]\ncommand = [\"x\"]\nexample = { n = 1 }\n", "a.toml:3:1: example: params/n is no parameter that there is"},
		{"twice", good, "b.toml:1:8"},
		{"shell", "[types.shell]\ncommand = [\"x\"]\n", "a.toml:1:8: the type shell is there already: built in; that one stays"},
	} {
		files := map[string]string{"a.toml": c.text, "b.toml": good, "c.toml": "[types.fine]\ncommand = [\"true\"]\n"}
		r := registry(t, files)
		if p := strings.Join(r.Problems(), "\n"); !strings.Contains(p, c.says) {
			t.Errorf("%s: problems are %q, want %q", c.name, p, c.says)
		}
		s := job.Spec{Type: "fine"}
		if _, err := r.Prepare(&s); err != nil {
			t.Errorf("%s: another type does not work: %v", c.name, err)
		}
		for name, says := range map[string]string{"a": "can be added: ", "good": "it is there twice: "} {
			if k, err := r.Type(name); err == nil && k.Problem != "" {
				s := job.Spec{Type: name}
				if _, err := r.Prepare(&s); job.FieldOf(err) != "type" || !strings.Contains(err.Error(), says) {
					t.Errorf("%s: %v", c.name, err)
				}
			}
		}
	}
}

// A pipe in the place of a file would hold the daemon for ever.
func TestFileKinds(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"big.toml": strings.Repeat("#", maxFile+1)})
	if err := os.Mkdir(filepath.Join(dir, "folder.toml"), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := New(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if p := strings.Join(r.Problems(), "\n"); !strings.Contains(p, "folder.toml can't be read") || !strings.Contains(p, "big.toml can't be read: it has more than") {
		t.Errorf("%q", p)
	}
	if _, err := r.Type("x"); !strings.Contains(err.Error(), "folder.toml can't be read") {
		t.Errorf("nobody is told where the type may be: %v", err)
	}
}

func TestReload(t *testing.T) {
	r := registry(t, map[string]string{"a.toml": resizeFile, "b.toml": "[types.gone]\ncommand = [\"true\"]\n[types.bad]\ncommand = [\"true\"]\n", "c.toml": "[types.torn]\ncommand = [\"true\"]\n"})
	if w := r.Reload(); len(w) > 0 {
		t.Errorf("nothing changed, and it says %q", w)
	}
	changed := strings.NewReplacer(`timeout = "10m"`, `timeout = "20m"`, "minimum = 1", "minimum = 2", `success_codes = [1, 2]`, "").Replace(resizeFile)
	write(t, r.o.Dir, map[string]string{"a.toml": changed, "b.toml": "[types.bad]\ncommand = 7\n[types.new]\ncommand = [\"true\"]\n", "c.toml": "[types"})
	dir := r.o.Dir
	want := []string{
		"bad can't be used any more: " + dir + "/b.toml:2:1: command: it must be a list of texts",
		"added new (" + dir + "/b.toml)",
		"changed resize: parameters",
		"changed resize: timeout from 10m0s to 20m0s",
		"changed resize: success_codes from [1 2] to none",
	}
	got := r.Reload()
	var torn string
	for i, w := range got {
		if strings.HasPrefix(w, "torn can't be used any more: "+dir+"/c.toml:1:") {
			torn = w
			got = append(got[:i:i], got[i+1:]...)
			break
		}
	}
	if torn == "" {
		t.Errorf("nothing is said of a file that can't be read any more: %q", got)
	}
	if d := cmp.Diff(append(want, "removed gone ("+dir+"/b.toml)"), got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	write(t, dir, map[string]string{"c.toml": "[types.torn]\ncommand = [\"true\"]\n", "b.toml": ""})
	if d := cmp.Diff([]string{"changed torn: it can be used again", "removed bad (" + dir + "/b.toml)", "removed new (" + dir + "/b.toml)"}, r.Reload()); d != "" {
		t.Errorf("mended (-want +got):\n%s", d)
	}
}
