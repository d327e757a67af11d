package types

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"

	"github.com/queuemgr/queuemgr/jobtype"
)

// decode returns one JSON value with its numbers as they are written.
func decode(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return v, nil
}

// encode returns v as JSON in one line, with texts as they are.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// numbers returns v with a number at the top as float64.
func numbers(v any) any {
	if n, ok := v.(json.Number); ok {
		f, err := n.Float64()
		if err != nil {
			return 0.5 // out of range, and no whole number that anybody could use
		}
		return f
	}
	return v
}

// fresh returns a new value as t, with what t holds in its fields.
func fresh(t jobtype.Type) jobtype.Type {
	v := reflect.New(reflect.TypeOf(t).Elem())
	v.Elem().Set(reflect.ValueOf(t).Elem())
	return v.Interface().(jobtype.Type)
}
