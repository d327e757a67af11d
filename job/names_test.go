package job

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestCheckNames(t *testing.T) {
	for _, c := range []struct{ text, field, message string }{
		{`{}`, "", ""},
		{` {"command":["a","command"],"env":{"PATH":"x","PATH ":"{\"command\":1"},"name":"\\\"Command\":"} `, "", ""},
		{`{"shell":"a","shell":"b"}`, "shell", "shell is given twice"},
		{`{"env":{"A":"1","A":"2"},"tags":[{"x":1,"x":2}],"env":{}}`, "env", "env is given twice"},
		{`{"Command":["true"]}`, "Command", `unknown field "Command"`},
		{`{"c\u006fmmand":["true"]}`, "command", `the name of the field "command" is written with escapes`},
		{`[{"A":1}]`, "", ""},
		{`"A"`, "", ""},
		{`{"a":"\\","b":1,"a":2}`, "a", "a is given twice"},
	} {
		err := CheckNames([]byte(c.text))
		message := ""
		if err != nil {
			e := (*Error)(nil)
			if !errors.As(err, &e) || e.Hint == "" {
				t.Fatalf("%s: %v without a hint", c.text, err)
			}
			message = e.Message
		}
		if message != c.message || FieldOf(err) != c.field || err != nil && CodeOf(err) != Invalid {
			t.Errorf("%s: %q, field %q; want %q, %q", c.text, message, FieldOf(err), c.message, c.field)
		}
	}
}

func FuzzCheckNames(f *testing.F) {
	f.Add(`{"a":{"b":[1,"\""]},"a":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		if json.Valid([]byte(text)) {
			_ = CheckNames([]byte(text)) // must end, within the text
		}
	})
}

func TestParseStateSaysWhichThereAre(t *testing.T) {
	_, err := ParseState("fialed")
	if e := (*Error)(nil); !errors.As(err, &e) || e.Field != "state" || e.Hint != "the states are held, scheduled, blocked, queued, starting, running, paused, stopping, completed, failed, stopped, skipped, deleted" {
		t.Errorf("%v", err)
	}
}
