package job

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// CheckNames refuses a JSON object in which a name stands twice, or is written with capitals: names of
// fields are lower case here, and encoding/json would take any case and let the last one win. It looks at
// the object's own names alone. data is valid JSON, as who has decoded it knows; of what is no object
// nothing is said. Errors: Invalid, with the field.
func CheckNames(data []byte) error {
	seen := make([][]byte, 0, 16)
	depth, name := 0, false // name: what comes is one, where it is a string
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{':
			depth++
			name = depth == 1
		case '[':
			if depth++; depth == 1 {
				return nil
			}
		case '}', ']':
			depth--
		case ',':
			name = depth == 1
		case '"':
			end := i + 1
			for data[end] != '"' {
				if data[end] == '\\' {
					end++
				}
				end++
			}
			if name {
				if err := checkName(data[i:end+1], seen); err != nil {
					return err
				}
				seen, name = append(seen, data[i:end+1]), false
			}
			i = end
		}
	}
	return nil
}

// checkName checks a name in its quotes.
func checkName(quoted []byte, seen [][]byte) error {
	text := string(quoted[1 : len(quoted)-1])
	if strings.Contains(text, `\`) {
		// What must be escaped is in no name of a field; what need not be is not worth telling apart.
		_ = json.Unmarshal(quoted, &text) // valid, as all of it is
		return &Error{Code: Invalid, Field: text, Message: fmt.Sprintf("the name of the field %q is written with escapes", text), Hint: "write names as they are"}
	}
	if lower := strings.ToLower(text); lower != text {
		return &Error{Code: Invalid, Field: text, Message: fmt.Sprintf("unknown field %q", text), Hint: fmt.Sprintf("did you mean %q? Names are lower case", lower)}
	}
	for _, other := range seen {
		if bytes.Equal(other, quoted) {
			return &Error{Code: Invalid, Field: text, Message: text + " is given twice", Hint: "give it once"}
		}
	}
	return nil
}
