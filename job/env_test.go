package job

import (
	"encoding/json"
	"maps"
	"testing"
)

// TestEnvJSON holds Env to what encoding/json does with a map.
func TestEnvJSON(t *testing.T) {
	for _, text := range []string{
		`{}`, ` { } `, `null`, `{"A":"1"}`, "{ \"A\" :\t\"1\",\r\n\"B\": \"\" }", `{"":""}`, `{"A":"1","A":"2"}`, `{"A":"a:b,c{}[]"}`,
		`{"A":"x\ny"}`, `{"\u0041":"1"}`, `{"A":"ü€"}`, "{\"A\":\"\xff\"}", `{"A":1}`, `{"A":null,"B":"b"}`, `{"A":{"B":"C"}}`, `{"A":["x"]}`, `["A","B"]`, `"A"`, `7`,
	} {
		var want map[string]string
		wantErr := json.Unmarshal([]byte(text), &want)
		var got Env
		err := json.Unmarshal([]byte(text), &got)
		if (err == nil) != (wantErr == nil) || !maps.Equal(want, got) || (want == nil) != (got == nil) {
			t.Errorf("%s: %v, %v; want %v, %v", text, got, err, want, wantErr)
		}
	}
	into := Env{"KEPT": "1", "A": "old"}
	if err := json.Unmarshal([]byte(`{"A":"new"}`), &into); err != nil || !maps.Equal(into, Env{"KEPT": "1", "A": "new"}) {
		t.Errorf("into one that is not empty: %v, %v", into, err)
	}
}

func FuzzEnvJSON(f *testing.F) {
	f.Add([]byte(`{"A":"1","B":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var want map[string]string
		wantErr := json.Unmarshal(text, &want)
		var got Env
		err := json.Unmarshal(text, &got)
		if (err == nil) != (wantErr == nil) || err == nil && !maps.Equal(want, got) {
			t.Errorf("%s: %v, %v; want %v, %v", text, got, err, want, wantErr)
		}
	})
}

func BenchmarkEnvJSON(b *testing.B) {
	env := map[string]string{}
	for _, c := range "ABCDEFGHIJKLMNOPQRST" {
		env["VARIABLE_"+string(c)] = "/some/value/of/ordinary/length"
	}
	text, err := json.Marshal(env)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("map", func(b *testing.B) {
		for b.Loop() {
			var m map[string]string
			_ = json.Unmarshal(text, &m)
		}
	})
	b.Run("env", func(b *testing.B) {
		for b.Loop() {
			var m Env
			_ = json.Unmarshal(text, &m)
		}
	})
}
