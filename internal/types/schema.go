package types

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/queuemgr/queuemgr/internal/config"
)

// schema checks parameters.
type schema struct {
	text     json.RawMessage
	root     *jsonschema.Schema
	resolved *jsonschema.Resolved
}

// compile reads a JSON Schema of an object. Keywords that there are not are refused, with the place in
// the schema: a rule with a typing mistake would let everything through.
func compile(text json.RawMessage) (*schema, error) {
	s := &schema{text: text, root: new(jsonschema.Schema)}
	if err := json.Unmarshal(text, s.root); err != nil {
		return nil, fmt.Errorf("it is no JSON Schema: %w", err)
	}
	if s.root.Type != "object" {
		return nil, errors.New(`it must have type = "object": parameters have names`)
	}
	if err := checkKeywords(s.root, "", 0); err != nil {
		return nil, err
	}
	var err error
	// Nothing is loaded from elsewhere: without a loader, a reference to another document is an error.
	if s.resolved, err = s.root.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true}); err != nil {
		return nil, fmt.Errorf("it is no JSON Schema: %w", err)
	}
	return s, nil
}

// keywords are those that JSON Schema has and people write.
var keywords = []string{"type", "description", "title", "default", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
	"multipleOf", "minLength", "maxLength", "pattern", "format", "items", "minItems", "maxItems", "uniqueItems", "properties", "required",
	"additionalProperties", "examples", "anyOf", "oneOf", "allOf", "not"}

// checkKeywords checks s; level is 0 for the whole schema, 1 for a parameter, 2 for what is within one or elsewhere.
func checkKeywords(s *jsonschema.Schema, at string, level int) error {
	if s.WriteOnly && level != 1 {
		// A record hides parameters as a whole; who wrote this counts on that it is hidden.
		return &keywordError{at: at, word: "writeOnly", says: "only a parameter as a whole can be writeOnly, which is secret, no part of one", hint: "make all of it secret, or a parameter of its own"}
	}
	for name := range s.Extra {
		if strings.HasPrefix(name, "x-") {
			continue
		}
		e := &keywordError{at: at, word: name}
		if near := config.Nearest(name, keywords); near != "" {
			e.hint = fmt.Sprintf("did you mean %q?", near)
		}
		return e
	}
	for _, is := range append(slices.Clone(s.Types), s.Type) {
		if is != "" && !slices.Contains(kinds, is) {
			e := &keywordError{at: at, word: "type", is: is, hint: "there are " + strings.Join(kinds, ", ")}
			if near := config.Nearest(is, kinds); near != "" {
				e.hint = fmt.Sprintf("did you mean %q?", near)
			}
			return e
		}
	}
	within := func(name string, s *jsonschema.Schema, level int) error {
		if s == nil {
			return nil
		}
		return checkKeywords(s, join(at, name), level)
	}
	below := func(name string, s *jsonschema.Schema) error { return within(name, s, 2) }
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if err := within(name, s.Properties[name], min(level+1, 2)); err != nil {
			return err
		}
	}
	for _, one := range []*jsonschema.Schema{s.Items, s.AdditionalProperties, s.Not, s.If, s.Then, s.Else, s.Contains, s.PropertyNames} {
		if err := below("", one); err != nil {
			return err
		}
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		for _, one := range list {
			if err := below("", one); err != nil {
				return err
			}
		}
	}
	for _, group := range []map[string]*jsonschema.Schema{s.Defs, s.PatternProperties, s.DependentSchemas} {
		for _, name := range slices.Sorted(maps.Keys(group)) {
			if err := below("", group[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

// secrets returns the parameters that are writeOnly.
func (s *schema) secrets() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(s.root.Properties)) {
		if s.root.Properties[name].WriteOnly {
			names = append(names, name)
		}
	}
	return names
}

func join(at, name string) string {
	if at == "" || name == "" {
		return at + name
	}
	return at + "." + name
}

// kinds are what a value can be.
var kinds = []string{"string", "integer", "number", "boolean", "array", "object", "null"}

// keywordError is a word in a schema that is none of JSON Schema's: the keyword word, or its value is.
type keywordError struct{ at, word, is, says, hint string } // at: names of properties, joined by dots; says: what is wrong, where it is another thing

func (e *keywordError) Error() string {
	where := ""
	if e.at != "" {
		where = " of " + e.at
	}
	if e.says != "" {
		return fmt.Sprintf("the schema%s: %s", where, e.says)
	}
	if e.is != "" {
		return fmt.Sprintf("unknown %s %q%s in the schema", e.word, e.is, where)
	}
	return fmt.Sprintf("unknown keyword %q%s in the schema", e.word, where)
}

// failure is what is wrong with parameters.
type failure struct {
	pointer string // JSON Pointer into the parameters, "" = all of them
	rule    string // keyword of the schema
	words   string // what it is, without the value: it may be a secret
	hint    string
}

// check returns what is wrong with v, nil for nothing. v is what encoding/json makes of JSON, its
// numbers being float64.
func (s *schema) check(v any) *failure {
	if s.resolved.Validate(v) == nil {
		return nil
	}
	if f := s.explain(s.root, v, "", 0); f != nil {
		return f
	}
	return &failure{rule: "schema", words: "do not satisfy the schema"}
}

// maxDepth bounds references that lead in a circle.
const maxDepth = 100

// explain returns the first thing that is wrong with v, as far as it knows the rules: the library that decides says
// it in prose, with the values and without a path into them.
func (s *schema) explain(r *jsonschema.Schema, v any, at string, depth int) *failure {
	if r == nil || depth > maxDepth {
		return nil
	}
	if name, ok := strings.CutPrefix(r.Ref, "#/$defs/"); ok {
		if f := s.explain(s.root.Defs[name], v, at, depth+1); f != nil {
			return f
		}
	}
	if r.Not != nil && isEmpty(r.Not) {
		return &failure{at, "false", "may not be given", ""}
	}
	wanted := r.Types
	if r.Type != "" {
		wanted = []string{r.Type}
	}
	if is := kindOf(v); len(wanted) > 0 && !slices.ContainsFunc(wanted, func(w string) bool { return w == is || w == "number" && is == "integer" }) {
		return &failure{at, "type", "must be " + strings.Join(withArticle(wanted), " or ") + ", and is " + withArticle([]string{is})[0], ""}
	}
	if r.Enum != nil && !slices.ContainsFunc(r.Enum, func(e any) bool { return jsonschema.Equal(e, v) }) {
		f := &failure{at, "enum", "must be one of " + jsonList(r.Enum), ""}
		if word, ok := v.(string); ok {
			if near := config.Nearest(word, texts(r.Enum)); near != "" {
				f.hint = fmt.Sprintf("did you mean %q?", near)
			}
		}
		return f
	}
	if r.Const != nil && !jsonschema.Equal(*r.Const, v) {
		return &failure{at, "const", "must be " + jsonText(*r.Const), ""}
	}
	var f *failure
	switch v := v.(type) {
	case float64:
		f = explainNumber(r, v, at)
	case string:
		f = explainText(r, v, at)
	case []any:
		f = s.explainList(r, v, at, depth)
	case map[string]any:
		f = s.explainObject(r, v, at, depth)
	}
	if f != nil {
		return f
	}
	for _, one := range r.AllOf {
		if f := s.explain(one, v, at, depth+1); f != nil {
			return f
		}
	}
	fits := func(one *jsonschema.Schema) bool { return s.explain(one, v, at, depth+1) == nil }
	count := func(list []*jsonschema.Schema) (n int) {
		for _, one := range list {
			if fits(one) {
				n++
			}
		}
		return n
	}
	switch {
	case len(r.AnyOf) > 0 && count(r.AnyOf) == 0:
		return &failure{at, "anyOf", "has none of the allowed forms", ""}
	case len(r.OneOf) > 0 && count(r.OneOf) != 1:
		return &failure{at, "oneOf", fmt.Sprintf("must have exactly one of the allowed forms, and has %d", count(r.OneOf)), ""}
	case r.Not != nil && fits(r.Not):
		return &failure{at, "not", "has a form that is not allowed", ""}
	case r.If != nil && fits(r.If):
		return s.explain(r.Then, v, at, depth+1)
	case r.If != nil:
		return s.explain(r.Else, v, at, depth+1)
	}
	return nil
}

func isEmpty(s *jsonschema.Schema) bool {
	text, err := json.Marshal(s)
	return err == nil && (string(text) == "true" || string(text) == "{}")
}

func explainNumber(r *jsonschema.Schema, n float64, at string) *failure {
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	switch {
	case r.Minimum != nil && n < *r.Minimum:
		return &failure{at, "minimum", "must be at least " + number(*r.Minimum), ""}
	case r.Maximum != nil && n > *r.Maximum:
		return &failure{at, "maximum", "must be at most " + number(*r.Maximum), ""}
	case r.ExclusiveMinimum != nil && n <= *r.ExclusiveMinimum:
		return &failure{at, "exclusiveMinimum", "must be more than " + number(*r.ExclusiveMinimum), ""}
	case r.ExclusiveMaximum != nil && n >= *r.ExclusiveMaximum:
		return &failure{at, "exclusiveMaximum", "must be less than " + number(*r.ExclusiveMaximum), ""}
	case r.MultipleOf != nil && n / *r.MultipleOf != float64(int64(n / *r.MultipleOf)):
		return &failure{at, "multipleOf", "must be a multiple of " + number(*r.MultipleOf), ""}
	}
	return nil
}

func explainText(r *jsonschema.Schema, text, at string) *failure {
	n := utf8.RuneCountInString(text)
	switch {
	case r.MinLength != nil && n < *r.MinLength && n == 0:
		return &failure{at, "minLength", "must not be empty", ""}
	case r.MinLength != nil && n < *r.MinLength:
		return &failure{at, "minLength", fmt.Sprintf("must have at least %d characters, and has %d", *r.MinLength, n), ""}
	case r.MaxLength != nil && n > *r.MaxLength:
		return &failure{at, "maxLength", fmt.Sprintf("must have at most %d characters, and has %d", *r.MaxLength, n), ""}
	case r.Pattern != "":
		if p, err := regexp.Compile(r.Pattern); err == nil && !p.MatchString(text) {
			words := "does not match " + r.Pattern
			switch r.Format {
			case "date-time":
				words = "must be a time as 2026-01-02T03:04:05Z"
			case "duration-seconds":
				words = `must be a number of seconds, or a text as "1h30m" or "7d"`
			}
			return &failure{at, "pattern", words, ""}
		}
	}
	return nil
}

func (s *schema) explainList(r *jsonschema.Schema, list []any, at string, depth int) *failure {
	switch n := len(list); {
	case r.MinItems != nil && n < *r.MinItems:
		return &failure{at, "minItems", fmt.Sprintf("must have at least %d items, and has %d", *r.MinItems, n), ""}
	case r.MaxItems != nil && n > *r.MaxItems:
		return &failure{at, "maxItems", fmt.Sprintf("must have at most %d items, and has %d", *r.MaxItems, n), ""}
	}
	for i, item := range list {
		of := r.Items
		if i < len(r.PrefixItems) {
			of = r.PrefixItems[i]
		}
		if f := s.explain(of, item, at+"/"+strconv.Itoa(i), depth+1); f != nil {
			return f
		}
		if r.UniqueItems && slices.ContainsFunc(list[:i], func(before any) bool { return jsonschema.Equal(before, item) }) {
			return &failure{at + "/" + strconv.Itoa(i), "uniqueItems", "is there twice", ""}
		}
	}
	return nil
}

func (s *schema) explainObject(r *jsonschema.Schema, members map[string]any, at string, depth int) *failure {
	known := slices.Sorted(maps.Keys(r.Properties))
	named := slices.Sorted(maps.Keys(members))
	for _, name := range named { // before what is missing: a name with a typing mistake is both
		below := at + "/" + escape(name)
		of, isKnown := r.Properties[name]
		for pattern, by := range r.PatternProperties {
			if p, err := regexp.Compile(pattern); err == nil && p.MatchString(name) {
				if f := s.explain(by, members[name], below, depth+1); f != nil {
					return f
				}
				isKnown = true
			}
		}
		if !isKnown && r.AdditionalProperties != nil {
			if f := s.explain(r.AdditionalProperties, members[name], below, depth+1); f != nil && f.rule == "false" {
				f = &failure{below, "additionalProperties", "is no parameter that there is", "there are: " + strings.Join(known, ", ")}
				if near := config.Nearest(name, known); near != "" {
					f.hint = fmt.Sprintf("did you mean %q?", near)
				} else if len(known) == 0 {
					f.hint = "leave it out"
				}
				return f
			} else if f != nil {
				return f
			}
		}
		if f := s.explain(of, members[name], below, depth+1); f != nil {
			return f
		}
	}
	for _, name := range r.Required {
		if _, ok := members[name]; !ok {
			return &failure{at + "/" + escape(name), "required", "is missing", ""}
		}
	}
	for given, needs := range r.DependentRequired {
		for _, name := range needs {
			if members[given] != nil && members[name] == nil {
				return &failure{at + "/" + escape(name), "dependentRequired", "is missing, and " + given + " needs it", ""}
			}
		}
	}
	return nil
}

// fill puts the defaults of r into members that are not given, those of objects in it too, and reports
// whether it did.
func fill(r *jsonschema.Schema, members map[string]any) (changed bool, _ error) {
	for name, of := range r.Properties {
		v, given := members[name]
		switch below, isObject := v.(map[string]any); {
		case !given && of.Default != nil:
			value, err := decode(of.Default)
			if err != nil {
				return false, err
			}
			members[name] = value
			changed = true
		case isObject:
			did, err := fill(of, below)
			if err != nil {
				return false, err
			}
			changed = changed || did
		}
	}
	return changed, nil
}

// escape returns name as JSON Pointer has it: RFC 6901.
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

func withArticle(kinds []string) []string {
	words := map[string]string{"null": "null", "boolean": "true or false", "integer": "a whole number", "number": "a number",
		"string": "a text", "array": "a list", "object": "an object"}
	list := make([]string, len(kinds))
	for i, kind := range kinds {
		list[i] = words[kind]
	}
	return list
}

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return string(text)
}

func jsonList(values []any) string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = jsonText(v)
	}
	return strings.Join(list, ", ")
}

func texts(values []any) []string {
	var list []string
	for _, v := range values {
		if text, ok := v.(string); ok {
			list = append(list, text)
		}
	}
	return list
}
