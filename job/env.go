package job

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Env is a job's environment by variable. It is most of the JSON of an added job, so it is read
// without the detours of a general map.
type Env map[string]string

// UnmarshalJSON adds the members of a JSON object of strings, as for any map.
func (e *Env) UnmarshalJSON(text []byte) error {
	read, plain := readPlain(text)
	if !plain {
		return json.Unmarshal(text, (*map[string]string)(e))
	}
	if *e == nil {
		*e = make(Env, len(read)/2)
	}
	for i := 0; i < len(read); i += 2 {
		(*e)[read[i]] = read[i+1]
	}
	return nil
}

// readPlain returns the names and values of an object of strings, in turns. plain is false for
// anything that is not that or that has an escape or bytes that are no UTF-8 in it.
func readPlain(text []byte) (members []string, plain bool) {
	if bytes.IndexByte(text, '\\') >= 0 || !utf8.Valid(text) {
		return nil, false
	}
	s := string(text) // the members share it
	i, n := skipSpace(s, 0), 0
	if i == len(s) || s[i] != '{' {
		return nil, false
	}
	members = make([]string, 0, 2*bytes.Count(text, []byte{':'}))
	// The text is valid JSON, so it is enough to look for strings between the punctuation.
	for i++; ; n++ {
		i = skipSpace(s, i)
		if i < len(s) && s[i] == '}' {
			return members, n%2 == 0
		}
		if i < len(s) && (s[i] == ',' || s[i] == ':') {
			i = skipSpace(s, i+1)
		}
		if i == len(s) || s[i] != '"' {
			return nil, false
		}
		end := i + 1
		for end < len(s) && s[end] != '"' {
			end++
		}
		if end == len(s) {
			return nil, false
		}
		members = append(members, s[i+1:end])
		i = end + 1
	}
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}
