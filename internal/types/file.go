package types

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/regular"
	"github.com/queuemgr/queuemgr/job"
)

// maxFile bounds a file of types, in bytes.
const maxFile = 1 << 20

// files is what a reading of types.d has found.
type files struct {
	kinds  map[string]*kind
	unread []unread
	// problems are all that is wrong, in words with the place: unread, those of single types, and names
	// that are taken.
	problems []string
}

// unread is a file that could not be read at all, or the folder, path being "".
type unread struct{ path, why string }

// read reads all files of the folder, by name.
func (r *Registry) read() files {
	found := files{kinds: map[string]*kind{}}
	if r.o.Dir == "" {
		return found
	}
	entries, err := os.ReadDir(r.o.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return found
	}
	if err != nil {
		found.cannotRead("", fmt.Sprintf("the folder of job types can't be read: %v", err))
		return found
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") {
			r.readFile(filepath.Join(r.o.Dir, e.Name()), &found)
		}
	}
	return found
}

func (f *files) cannotRead(path, why string) {
	f.unread = append(f.unread, unread{path, why})
	f.problems = append(f.problems, why)
}

func (r *Registry) readFile(path string, found *files) {
	data, err := regular.ReadFile(path)
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it has more than %d bytes", maxFile)
	}
	if err != nil {
		found.cannotRead(path, fmt.Sprintf("%s can't be read: %v", path, err))
		return
	}
	var tree map[string]any
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if err := toml.Unmarshal(data, &tree); err != nil {
		place := path
		if e := (*toml.DecodeError)(nil); errors.As(err, &e) {
			line, column := e.Position()
			place = config.Position{Line: line, Column: column}.In(path)
		}
		found.cannotRead(path, fmt.Sprintf("%s: not valid TOML: %s", place, strings.TrimPrefix(err.Error(), "toml: ")))
		return
	}
	places, err := config.KeyPositions(data)
	if err != nil {
		found.cannotRead(path, fmt.Sprintf("%s: %v", path, err))
		return
	}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		if key != "types" {
			found.problems = append(found.problems, fmt.Sprintf("%s: unknown table %q: a type is [types.NAME]", places[key].In(path), key))
		}
	}
	list, isTable := tree["types"].(map[string]any)
	if tree["types"] != nil && !isTable {
		found.problems = append(found.problems, fmt.Sprintf("%s: types is no table: a type is [types.NAME]", places["types"].In(path)))
	}
	names := slices.SortedFunc(maps.Keys(list), func(a, b string) int {
		return cmp.Compare(places["types."+a].Line, places["types."+b].Line)
	})
	for _, name := range names {
		fr := &fromFile{path: path, places: places, key: "types." + name}
		k := fr.kind(name, list[name])
		other := found.kinds[name]
		switch {
		case job.CheckTypeName(name) != nil:
			found.problems = append(found.problems, fmt.Sprintf("%s: %v", k.where, job.CheckTypeName(name)))
			continue
		case r.fixed[name] != nil:
			found.problems = append(found.problems, fmt.Sprintf("%s: the type %s is there already: %s; that one stays", k.where, name, r.fixed[name].where))
			continue
		case other != nil:
			// Which of the two is meant, nobody knows: none is.
			other.Problem = fmt.Sprintf("it is there twice: %s and %s", other.where, k.where)
			found.problems = append(found.problems, fmt.Sprintf("the type %s can't be used: %s", name, other.Problem))
			continue
		}
		if k.Problem != "" {
			found.problems = append(found.problems, fmt.Sprintf("the type %s can't be used: %s", name, k.Problem))
		}
		found.kinds[name] = k
	}
}

// fromFile reads one type of a file.
type fromFile struct {
	path   string
	places map[string]config.Position
	key    string // of the type, dotted
}

// at returns the place of a key below the type, or of the nearest one above it.
func (f *fromFile) at(key string) string {
	for full := f.key + "." + key; ; full = full[:strings.LastIndexByte(full, '.')] {
		if p, ok := f.places[full]; ok {
			return p.In(f.path)
		}
		if !strings.Contains(full, ".") {
			return f.path
		}
	}
}

// typeError is a mistake in a type, at a key below it.
type typeError struct{ key, words string }

func (e *typeError) Error() string { return e.words }

func wrong(key, format string, args ...any) error {
	return &typeError{key, key + ": " + fmt.Errorf(format, args...).Error()}
}

func (f *fromFile) kind(name string, value any) *kind {
	k := &kind{Type: job.Type{Name: name, Source: f.path}, where: f.at("")}
	members, isTable := value.(map[string]any)
	if !isTable {
		k.Problem = fmt.Sprintf("%s: it is no table: write [types.%s]", k.where, name)
		return k
	}
	if err := f.fill(k, members); err != nil {
		place := k.where
		if e := (*typeError)(nil); errors.As(err, &e) {
			place = f.at(e.key)
		}
		k.Problem = fmt.Sprintf("%s: %v", place, err)
	}
	return k
}

// fill reads the members of a type, in the order of the file so that the first mistake is told.
func (f *fromFile) fill(k *kind, members map[string]any) error {
	keys := slices.SortedFunc(maps.Keys(members), func(a, b string) int {
		pa, pb := f.places[f.key+"."+a], f.places[f.key+"."+b]
		return cmp.Or(cmp.Compare(pa.Line, pb.Line), cmp.Compare(pa.Column, pb.Column))
	})
	for _, key := range keys {
		read := settingsOfType[key]
		if read == nil {
			names := slices.Sorted(maps.Keys(settingsOfType))
			if near := config.Nearest(key, names); near != "" {
				return &typeError{key, fmt.Sprintf("unknown key %q: did you mean %q?", key, near)}
			}
			return &typeError{key, fmt.Sprintf("unknown key %q: there are %s", key, strings.Join(names, ", "))}
		}
		if err := read(f, k, members[key]); err != nil {
			if e := (*typeError)(nil); errors.As(err, &e) {
				return err
			}
			return wrong(key, "%w", err)
		}
	}
	if members["params"] != nil && members["schema"] != nil {
		return wrong("schema", "params are described already: write either of the two")
	}
	if k.schema == nil {
		if err := f.params(k, map[string]any{}); err != nil {
			return err
		}
	}
	if len(k.Command) == 0 {
		return &typeError{"", `it has no command: write command = ["program", "{parameter}"]`}
	}
	return f.finish(k)
}

// finish checks what members of a type say together.
func (f *fromFile) finish(k *kind) error {
	for _, name := range k.schema.secrets() {
		if !slices.Contains(k.Secret, name) {
			k.Secret = append(k.Secret, name)
		}
	}
	known := slices.Sorted(maps.Keys(k.schema.root.Properties))
	for _, name := range k.Secret {
		if !slices.Contains(known, name) {
			return wrong("secret", "%q is no parameter", name)
		}
	}
	var err error
	if k.template, err = parseTemplate(k.Command, known); err != nil {
		return &typeError{"command", err.Error()}
	}
	for _, name := range k.template.params() {
		if slices.Contains(k.Secret, name) {
			return wrong("command", "{%s} is secret, and everybody on the machine can see a command: let the program read it from the file that $QUEUEMGR_PARAMS names", name)
		}
	}
	for i, arg := range k.template {
		for _, p := range arg {
			if p.param != "" && len(arg) > 1 && k.schema.root.Properties[p.param].Type == "array" {
				return wrong("command", "command[%d]: {%s} is a list and must be alone in its argument", i, p.param)
			}
		}
	}
	if k.Example != nil {
		if _, _, err := k.parameters(k.Example); err != nil {
			return wrong("example", "%w", err)
		}
	}
	return nil
}

// settingsOfType are the keys of a type in a file.
var settingsOfType map[string]func(f *fromFile, k *kind, v any) error

func init() { // a literal would refer to itself
	text := func(place func(*kind) *string) func(*fromFile, *kind, any) error {
		return func(_ *fromFile, k *kind, v any) error {
			s, ok := v.(string)
			if !ok {
				return errors.New("it must be a text")
			}
			*place(k) = s
			return k.check()
		}
	}
	duration := func(place func(*kind) *job.Duration) func(*fromFile, *kind, any) error {
		return func(_ *fromFile, k *kind, v any) error {
			d, err := job.ParseDuration(fmt.Sprint(v))
			*place(k) = d
			return err
		}
	}
	settingsOfType = map[string]func(*fromFile, *kind, any) error{
		"description": text(func(k *kind) *string { return &k.Description }),
		"queue":       text(func(k *kind) *string { return &k.Queue }),
		"stop_signal": text(func(k *kind) *string { return &k.StopSignal }),
		"timeout":     duration(func(k *kind) *job.Duration { return &k.Timeout }),
		"grace":       duration(func(k *kind) *job.Duration { return &k.Grace }),
		"watchdog":    duration(func(k *kind) *job.Duration { return &k.Watchdog }),
		"command": func(_ *fromFile, k *kind, v any) (err error) {
			k.Command, err = textList(v)
			if err == nil && (len(k.Command) == 0 || k.Command[0] == "") {
				err = errors.New("it names no program")
			}
			return err
		},
		"secret": func(_ *fromFile, k *kind, v any) error {
			list, err := textList(v)
			k.Secret = append(k.Secret, list...)
			return err
		},
		"on_lost": func(_ *fromFile, k *kind, v any) error {
			s, _ := v.(string)
			if k.OnLost = job.OnLost(s); k.OnLost != job.OnLostFail && k.OnLost != job.OnLostRequeue {
				return errors.New(`it must be "fail" or "requeue"`)
			}
			return nil
		},
		"success_codes": func(_ *fromFile, k *kind, v any) error {
			list, ok := v.([]any)
			for _, item := range list {
				n, isInt := item.(int64)
				ok = ok && isInt && n >= 0 && n <= 255
				k.SuccessCodes = append(k.SuccessCodes, int(n))
			}
			if !ok {
				return errors.New("it must be a list of exit codes, from 0 to 255")
			}
			return nil
		},
		"hooks": func(_ *fromFile, k *kind, v any) error {
			text, err := asJSON(v)
			if err != nil {
				return err
			}
			dec := json.NewDecoder(bytes.NewReader(text))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&k.Hooks); err != nil {
				return fmt.Errorf(`it must be a list of {on = ["failure"], command = ["program"]}, or url instead of command: %w`, err)
			}
			return job.CheckHooks(k.Hooks)
		},
		"example": func(_ *fromFile, k *kind, v any) (err error) {
			k.Example, err = asJSON(v)
			return err
		},
		"params": func(f *fromFile, k *kind, v any) error {
			table, ok := v.(map[string]any)
			if !ok {
				return errors.New("it must be a table: [" + f.key + ".params.NAME]")
			}
			return f.params(k, table)
		},
		"schema": func(_ *fromFile, k *kind, v any) error {
			if text, ok := v.(string); ok {
				var err error
				if v, err = decode([]byte(text)); err != nil {
					return fmt.Errorf("it is not JSON: %w", err)
				}
			}
			text, err := asJSON(v)
			if err != nil {
				return err
			}
			k.Schema = text
			k.schema, err = compile(text)
			return placed("schema.properties", "schema", err)
		},
	}
}

// params reads the short form of a schema: a table for each parameter, with the keywords of JSON Schema and required
// and secret besides. A parameter must be given unless it has a default, or required = false.
func (f *fromFile) params(k *kind, table map[string]any) error {
	properties, required := &ordered{}, []string{}
	names := slices.SortedFunc(maps.Keys(table), func(a, b string) int {
		pa, pb := f.places[f.key+".params."+a], f.places[f.key+".params."+b]
		return cmp.Or(cmp.Compare(pa.Line, pb.Line), cmp.Compare(pa.Column, pb.Column))
	})
	for _, name := range names {
		key := "params." + name
		of, ok := table[name].(map[string]any)
		if !ok {
			return wrong(key, "it must be a table of the parameter's rules, as { type = \"string\" }")
		}
		rules := maps.Clone(of)
		_, optional := rules["default"]
		needed, secret := !optional, false
		for word, place := range map[string]*bool{"required": &needed, "secret": &secret} {
			v, given := rules[word]
			if !given {
				continue
			}
			if *place, ok = v.(bool); !ok {
				return wrong(key+"."+word, "it must be true or false")
			}
			delete(rules, word)
		}
		if needed {
			required = append(required, name)
		}
		if secret {
			rules["writeOnly"] = true
		}
		text, err := asJSON(rules)
		if err != nil {
			return wrong(key, "%w", err)
		}
		properties.add(name, text)
	}
	text, err := encode(map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false})
	if err != nil {
		return err
	}
	k.Schema = text
	k.schema, err = compile(text)
	return placed("params", "params", err)
}

// placed returns err with the key that it is about: below for a mistake in a property, else all.
func placed(below, all string, err error) error {
	if e := (*keywordError)(nil); errors.As(err, &e) {
		words := e.Error()
		if e.hint != "" {
			words += ": " + e.hint
		}
		return &typeError{join(join(below, e.at), e.word), words}
	}
	if err != nil {
		return wrong(all, "%w", err)
	}
	return nil
}

// ordered is a JSON object with its members in order.
type ordered struct {
	names  []string
	values []json.RawMessage
}

func (o *ordered) add(name string, value json.RawMessage) {
	o.names, o.values = append(o.names, name), append(o.values, value)
}

// MarshalJSON implements json.Marshaler.
func (o *ordered) MarshalJSON() ([]byte, error) {
	b := bytes.NewBufferString("{")
	for i, name := range o.names {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := encode(name)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(o.values[i])
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func textList(v any) ([]string, error) {
	list, ok := v.([]any)
	texts := make([]string, len(list))
	for i, item := range list {
		s, isText := item.(string)
		ok = ok && isText
		texts[i] = s
	}
	if !ok {
		return nil, errors.New("it must be a list of texts")
	}
	return texts, nil
}

// asJSON returns what TOML holds as JSON.
func asJSON(v any) (json.RawMessage, error) {
	plain, err := plainJSON(v)
	if err != nil {
		return nil, err
	}
	return encode(plain)
}

func plainJSON(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case map[string]any:
		members := map[string]any{}
		for name, member := range v {
			if members[name], err = plainJSON(member); err != nil {
				return nil, err
			}
		}
		return members, nil
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			if items[i], err = plainJSON(item); err != nil {
				return nil, err
			}
		}
		return items, nil
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, errors.New("JSON has no inf and no nan")
		}
	case time.Time:
		return v.Format(time.RFC3339Nano), nil
	case fmt.Stringer: // a date or time of day without a zone
		return v.String(), nil
	}
	return v, nil
}
