package jobtype

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Decode puts parameters into t's fields. It is strict: a member without a field is an error. A
// time.Duration is a number of seconds or a text as "1h30m" or "7d"; fields that params does not name stay
// as they are.
func Decode(params json.RawMessage, t any) error {
	dec := json.NewDecoder(bytes.NewReader(params))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return fmt.Errorf("the parameters are not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the parameters are more than one JSON value")
	}
	if _, isObject := tree.(map[string]any); !isObject {
		return errors.New("the parameters are no JSON object")
	}
	tree, changed, err := durations(tree, reflect.TypeOf(t))
	if err != nil {
		return err
	}
	if changed {
		if params, err = json.Marshal(tree); err != nil {
			return err
		}
	}
	strict := json.NewDecoder(bytes.NewReader(params))
	strict.DisallowUnknownFields()
	if err := strict.Decode(t); err != nil {
		return fmt.Errorf("the parameters do not fit %T: %w", t, err)
	}
	return nil
}

var (
	durationType    = reflect.TypeFor[time.Duration]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// durations returns v, which is for a value of type t, with every time.Duration in it as
// encoding/json has it: nanoseconds.
func durations(v any, t reflect.Type) (_ any, changed bool, _ error) {
	t = indirect(t)
	if t == durationType {
		if v == nil {
			return v, false, nil
		}
		text, err := json.Marshal(v)
		if err != nil {
			return nil, false, err
		}
		var d job.Duration
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, false, err
		}
		return int64(d), true, nil
	}
	if p := reflect.PointerTo(t); p.Implements(jsonUnmarshaler) || p.Implements(textUnmarshaler) {
		return v, false, nil
	}
	each := func(v any, t reflect.Type, put func(any)) error {
		now, is, err := durations(v, t)
		if is {
			put(now)
			changed = true
		}
		return err
	}
	switch t.Kind() {
	case reflect.Struct:
		members, _ := v.(map[string]any)
		for _, f := range fieldsOf(t) {
			for name, member := range members {
				if name == f.name || strings.EqualFold(name, f.name) {
					if err := each(member, f.Type, func(v any) { members[name] = v }); err != nil {
						return nil, false, fmt.Errorf("%s: %w", f.name, err)
					}
				}
			}
		}
	case reflect.Map:
		members, _ := v.(map[string]any)
		for name, member := range members {
			if err := each(member, t.Elem(), func(v any) { members[name] = v }); err != nil {
				return nil, false, fmt.Errorf("%s: %w", name, err)
			}
		}
	case reflect.Slice, reflect.Array:
		items, _ := v.([]any)
		for i, item := range items {
			if err := each(item, t.Elem(), func(v any) { items[i] = v }); err != nil {
				return nil, false, fmt.Errorf("%d: %w", i, err)
			}
		}
	}
	return v, changed, nil
}

// field is a field of a struct that is a member of its JSON.
type field struct {
	reflect.StructField
	name string // in JSON
	omit bool   // has omitempty or omitzero
}

// known are the fields of structs, by type: parameters are decoded at each addition, too.
var known sync.Map

// fieldsOf returns the fields of struct type t that are members of its JSON, those of embedded structs
// among them, in their order.
func fieldsOf(t reflect.Type) []field {
	if list, ok := known.Load(t); ok {
		return list.([]field)
	}
	var list []field
	for _, f := range reflect.VisibleFields(t) {
		tag, _ := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		if !f.IsExported() || tag == "-" || f.Anonymous && name == "" && indirect(f.Type).Kind() == reflect.Struct {
			continue
		}
		if name == "" {
			name = f.Name
		}
		options = "," + options + ","
		list = append(list, field{StructField: f, name: name, omit: strings.Contains(options, ",omitempty,") || strings.Contains(options, ",omitzero,")})
	}
	known.Store(t, list)
	return list
}

func indirect(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}
