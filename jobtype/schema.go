package jobtype

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Schema returns the JSON Schema (2020-12) of t's parameters, and which of them are secret. A field
// must be given unless its tag json says omitempty or omitzero, it is a pointer, it has a default, or t holds
// a value in it, which then is the default. Tags are named as the keyword that they become: doc
// (description), default, enum, minimum, maximum, minLength, maxLength, minItems, maxItems, pattern, format,
// example; required:"true|false" and secret:"true" besides.
func Schema(t Type) (schema json.RawMessage, secret []string, err error) {
	if err := Check(t); err != nil {
		return nil, nil, err
	}
	d := deriver{}
	s, err := d.object(reflect.ValueOf(t).Elem(), true)
	if err != nil {
		return nil, nil, fmt.Errorf("%T: %w", t, err)
	}
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	schema, err = json.Marshal(s)
	return schema, d.secret, err
}

// schemaOf is a JSON Schema with what can be derived from Go.
type schemaOf struct {
	Schema      string            `json:"$schema,omitempty"`
	Type        any               `json:"type,omitempty"` // text or texts
	Description string            `json:"description,omitempty"`
	Default     json.RawMessage   `json:"default,omitempty"`
	Enum        []json.RawMessage `json:"enum,omitempty"`
	Minimum     json.Number       `json:"minimum,omitempty"`
	Maximum     json.Number       `json:"maximum,omitempty"`
	MinLength   json.Number       `json:"minLength,omitempty"`
	MaxLength   json.Number       `json:"maxLength,omitempty"`
	MinItems    json.Number       `json:"minItems,omitempty"`
	MaxItems    json.Number       `json:"maxItems,omitempty"`
	Pattern     string            `json:"pattern,omitempty"`
	Format      string            `json:"format,omitempty"`
	Examples    []json.RawMessage `json:"examples,omitempty"`
	WriteOnly   bool              `json:"writeOnly,omitempty"` // a secret
	Items       *schemaOf         `json:"items,omitempty"`
	Properties  *properties       `json:"properties,omitempty"`
	Required    []string          `json:"required,omitempty"`
	Additional  any               `json:"additionalProperties,omitempty"` // false, or a schema
}

// properties keep the order of a struct's fields, which is that of a form.
type properties struct {
	names   []string
	schemas []*schemaOf
}

func (p *properties) MarshalJSON() ([]byte, error) {
	b := bytes.NewBufferString("{")
	for i, name := range p.names {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(p.schemas[i])
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// deriver makes a schema of a value and its type.
type deriver struct {
	secret []string
	within []reflect.Type // structs that are being derived
}

func (d *deriver) object(v reflect.Value, top bool) (*schemaOf, error) {
	t := v.Type()
	for _, outer := range d.within {
		if outer == t {
			return nil, fmt.Errorf("%s holds itself: parameters have no end then; use json.RawMessage", t)
		}
	}
	d.within = append(d.within, t)
	defer func() { d.within = d.within[:len(d.within)-1] }()
	s := &schemaOf{Type: "object", Properties: &properties{}, Additional: false}
	for _, f := range fieldsOf(t) {
		preset, err := v.FieldByIndexErr(f.Index)
		if err != nil {
			preset = reflect.Zero(f.Type) // of an embedded pointer that is nil
		}
		p, err := d.field(f, preset)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		s.Properties.names = append(s.Properties.names, f.name)
		s.Properties.schemas = append(s.Properties.schemas, p)
		required := !f.omit && p.Default == nil && f.Type.Kind() != reflect.Pointer
		if tag, ok := f.Tag.Lookup("required"); ok {
			if required, err = strconv.ParseBool(tag); err != nil {
				return nil, fmt.Errorf("field %s: required:%q is neither true nor false", f.Name, tag)
			}
		}
		if required {
			s.Required = append(s.Required, f.name)
		}
		if f.Tag.Get("secret") == "true" {
			if !top {
				return nil, fmt.Errorf("field %s: only a parameter as a whole can be secret, no part of one", f.Name)
			}
			p.WriteOnly = true
			d.secret = append(d.secret, f.name)
		}
	}
	return s, nil
}

// field returns the schema of f, which holds preset.
func (d *deriver) field(f field, preset reflect.Value) (*schemaOf, error) {
	s, err := d.value(f.Type, preset)
	if err != nil {
		return nil, err
	}
	tag := f.Tag.Get
	s.Description = tag("doc")
	if tag("pattern") != "" {
		s.Pattern = tag("pattern")
	}
	if tag("format") != "" {
		s.Format = tag("format")
	}
	for name, place := range map[string]*json.Number{"minimum": &s.Minimum, "maximum": &s.Maximum, "minLength": &s.MinLength,
		"maxLength": &s.MaxLength, "minItems": &s.MinItems, "maxItems": &s.MaxItems} {
		if text := tag(name); text != "" {
			if _, err := strconv.ParseFloat(text, 64); err != nil {
				return nil, fmt.Errorf("%s:%q is no number", name, text)
			}
			*place = json.Number(text)
		}
	}
	if text, ok := f.Tag.Lookup("default"); ok {
		if s.Default, err = literal(text, f.Type); err != nil {
			return nil, fmt.Errorf("default:%q: %w", text, err)
		}
	} else if preset.IsValid() && !preset.IsZero() {
		if s.Default, err = presetJSON(preset); err != nil {
			return nil, err
		}
	}
	if text, ok := f.Tag.Lookup("example"); ok {
		example, err := literal(text, f.Type)
		if err != nil {
			return nil, fmt.Errorf("example:%q: %w", text, err)
		}
		s.Examples = []json.RawMessage{example}
	}
	if text, ok := f.Tag.Lookup("enum"); ok {
		of, items := s, indirect(f.Type)
		if s.Items != nil { // of a list: what its items may be
			of, items = s.Items, items.Elem()
		}
		for word := range strings.SplitSeq(text, ",") {
			value, err := literal(strings.TrimSpace(word), items)
			if err != nil {
				return nil, fmt.Errorf("enum:%q: %w", text, err)
			}
			of.Enum = append(of.Enum, value)
		}
	}
	return s, nil
}

// durationPattern is what job.ParseDuration takes.
const durationPattern = `^([0-9]+(\.[0-9]*)?|([0-9]+(\.[0-9]*)?d)?([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))*)$`

// value returns the schema of what a field of type t may hold.
func (d *deriver) value(t reflect.Type, preset reflect.Value) (*schemaOf, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
		if preset.IsValid() {
			preset = preset.Elem()
		}
	}
	if !preset.IsValid() {
		preset = reflect.Zero(t)
	}
	switch t {
	case durationType, reflect.TypeFor[job.Duration]():
		return &schemaOf{Type: []string{"number", "string"}, Minimum: "0", Pattern: durationPattern, Format: "duration-seconds"}, nil
	case reflect.TypeFor[time.Time]():
		return &schemaOf{Type: "string", Format: "date-time", Pattern: `^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$`}, nil
	case reflect.TypeFor[json.Number]():
		return &schemaOf{Type: "number"}, nil
	}
	p := reflect.PointerTo(t)
	if p.Implements(jsonUnmarshaler) {
		return &schemaOf{}, nil // its own form: the type itself refuses what it can't read
	}
	if p.Implements(textUnmarshaler) {
		return &schemaOf{Type: "string"}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return &schemaOf{Type: "boolean"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s := &schemaOf{Type: "integer"}
		if bits := t.Bits(); bits < 64 {
			s.Minimum, s.Maximum = json.Number(fmt.Sprint(-1<<(bits-1))), json.Number(fmt.Sprint(1<<(bits-1)-1))
		}
		return s, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		s := &schemaOf{Type: "integer", Minimum: "0"}
		if bits := t.Bits(); bits < 64 {
			s.Maximum = json.Number(fmt.Sprint(1<<bits - 1))
		}
		return s, nil
	case reflect.Float32, reflect.Float64:
		return &schemaOf{Type: "number"}, nil
	case reflect.String:
		return &schemaOf{Type: "string"}, nil
	case reflect.Interface:
		return &schemaOf{}, nil
	case reflect.Struct:
		return d.object(preset, false)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("%s has keys that are no texts, which JSON does not have", t)
		}
		of, err := d.value(t.Elem(), reflect.Value{})
		return &schemaOf{Type: "object", Additional: of}, err
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 && t.Kind() == reflect.Slice {
			return &schemaOf{Type: "string", Format: "byte"}, nil
		}
		of, err := d.value(t.Elem(), reflect.Value{})
		s := &schemaOf{Type: "array", Items: of}
		if t.Kind() == reflect.Array {
			s.MinItems = json.Number(strconv.Itoa(t.Len()))
			s.MaxItems = s.MinItems
		}
		return s, err
	}
	return nil, fmt.Errorf(`%s can't come from JSON: give it the tag json:"-", or a small first letter`, t)
}

// literal returns the JSON of a value of type t that a tag has as text: as it is for texts and
// durations, else as JSON.
func literal(text string, t reflect.Type) (json.RawMessage, error) {
	t = indirect(t)
	quoted, err := json.Marshal(text)
	if err != nil {
		return nil, err
	}
	if t.Kind() == reflect.String || t == durationType || t == reflect.TypeFor[job.Duration]() || reflect.PointerTo(t).Implements(textUnmarshaler) {
		return quoted, nil
	}
	if !json.Valid([]byte(text)) {
		return nil, errors.New("it is not JSON")
	}
	v := reflect.New(t)
	if err := json.Unmarshal([]byte(text), v.Interface()); err != nil {
		return nil, err
	}
	return json.RawMessage(text), nil
}

// presetJSON returns the JSON of a value that a registered type holds.
func presetJSON(v reflect.Value) (json.RawMessage, error) {
	if v = reflect.Indirect(v); v.Type() == durationType {
		return json.Marshal(job.Duration(v.Int()))
	}
	return json.Marshal(v.Interface())
}
