package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/queuemgr/queuemgr/job"
)

// set puts value (of a TOML file: string, int64, float64, bool or another type; of a variable or
// flag: text) into c. The error says what is wrong and what is allowed, not where.
func (s *setting) set(c *Config, value any, text bool) error {
	switch field := s.field(c).(type) {
	case *time.Duration:
		return s.setDuration(field, value)
	case *int64:
		return s.setNumber(field, value, text)
	case *slog.Level:
		return setLevel(field, value)
	case *[]string:
		return setList(field, value)
	case *string:
		return s.setText(c, field, value)
	case *bool:
		return setFlag(field, value, text)
	default:
		panic("config: setting " + s.key + " has a field of an unknown type")
	}
}

func (s *setting) setText(c *Config, field *string, value any) error {
	word, ok := value.(string)
	if !ok || word == "" && !s.empty || !utf8.ValidString(word) || strings.ContainsFunc(word, func(r rune) bool { return r < ' ' }) {
		allowed := "it must be a text that is not empty and has no control characters"
		if s.empty {
			allowed = "it must be a text without control characters"
		}
		return bad(value, allowed)
	}
	var err error
	switch {
	case s.read != nil:
		word, err = s.read(word)
	case word != "" && !filepath.IsAbs(word):
		word = filepath.Join(c.Paths.Home, word)
	}
	if err != nil {
		return err
	}
	*field = word
	return nil
}

// setFlag takes a truth value.
func setFlag(field *bool, value any, text bool) error {
	on, ok := value.(bool)
	if word, isText := value.(string); isText && text {
		var err error
		on, err = strconv.ParseBool(word)
		ok = err == nil
	}
	if !ok {
		return bad(value, "it must be true or false")
	}
	*field = on
	return nil
}

func (s *setting) setDuration(field *time.Duration, value any) error {
	allowed := fmt.Sprintf("it must be seconds (30) or a text with units (\"1h30m\", \"7d\"), from %s to %s",
		FormatDuration(time.Duration(s.min)*time.Second), FormatDuration(time.Duration(s.max)*time.Second))
	if s.forever {
		allowed += "; 0 means for ever"
	}
	var d job.Duration
	var err error
	switch v := value.(type) {
	case int64:
		d, err = job.ParseDuration(strconv.FormatInt(v, 10))
	case float64:
		d, err = job.ParseDuration(strconv.FormatFloat(v, 'f', -1, 64))
	case string:
		if v != "" || !s.forever {
			d, err = job.ParseDuration(v)
		}
	default:
		return bad(value, allowed)
	}
	if err != nil || d < job.Duration(time.Duration(s.min)*time.Second) || d > job.Duration(time.Duration(s.max)*time.Second) {
		return bad(value, allowed)
	}
	*field = time.Duration(d)
	return nil
}

func (s *setting) setNumber(field *int64, value any, text bool) error {
	allowed := fmt.Sprintf("it must be a whole number from %d to %d", s.min, s.max)
	if s.size {
		allowed = "it must be bytes (67108864) or a text with a unit (\"64MiB\", \"1GB\"), at most " + FormatSize(s.max)
	}
	var n int64
	var err error
	switch v := value.(type) {
	case int64:
		n = v
	case string:
		switch {
		case s.size:
			n, err = ParseSize(v)
		case text:
			n, err = strconv.ParseInt(v, 10, 64)
		default:
			return bad(value, allowed+", without quotation marks")
		}
	default:
		return bad(value, allowed)
	}
	if err != nil || n < s.min || n > s.max {
		return bad(value, allowed)
	}
	*field = n
	return nil
}

// setList takes a list of a file, or words with commas between them.
func setList(field *[]string, value any) error {
	allowed := `it must be a list of names, as ["ann", "bob"]; as variable: ann,bob`
	var words []string
	switch v := value.(type) {
	case []any:
		for _, e := range v {
			word, ok := e.(string)
			if !ok {
				return bad(value, allowed)
			}
			words = append(words, word)
		}
	case string:
		words = strings.Split(v, ",")
	default:
		return bad(value, allowed)
	}
	for i, word := range words {
		if words[i] = strings.TrimSpace(word); words[i] == "" || strings.ContainsFunc(words[i], unicode.IsSpace) || !utf8.ValidString(word) {
			return bad(value, allowed)
		}
	}
	*field = words
	return nil
}

func setLevel(field *slog.Level, value any) error {
	word, _ := value.(string)
	switch word {
	case "debug", "info", "warn", "error":
		return field.UnmarshalText([]byte(word))
	}
	return bad(value, "it must be debug, info, warn or error")
}

// parseTypeLimits reads "command=5,shell=3".
func parseTypeLimits(text string) (map[string]int64, error) {
	limits := map[string]int64{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, number, ok := strings.Cut(part, "=")
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if name = strings.TrimSpace(name); !ok || err != nil || checkTypeLimit(name, n) != nil {
			return nil, bad(text, fmt.Sprintf("%q must be TYPE=N with N from 1 to %d", part, maxTypeLimit))
		}
		limits[name] = n
	}
	return limits, nil
}

func checkTypeLimit(name string, value any) error {
	n, ok := value.(int64)
	if name == "" || !ok || n < 1 || n > maxTypeLimit {
		return bad(value, fmt.Sprintf("it must be a whole number from 1 to %d", maxTypeLimit))
	}
	return nil
}

// valueError is a value that is not allowed.
type valueError struct{ message, allowed string }

func (e *valueError) Error() string { return e.message + ": " + e.allowed }

func bad(value any, allowed string) error {
	shown := fmt.Sprint(value)
	switch v := value.(type) {
	case string:
		shown = strconv.Quote(v)
	case map[string]any:
		shown = "a table"
	case []any:
		shown = "a list"
	}
	return &valueError{message: "bad value " + shown, allowed: allowed}
}

// FormatDuration writes d as a settings file takes it: whole days as "7d", else seconds as a
// number where they are whole, else Go's form.
func FormatDuration(d time.Duration) string {
	switch {
	case d >= day*time.Second && d%(day*time.Second) == 0:
		return strconv.FormatInt(int64(d/(day*time.Second)), 10) + "d"
	case d%time.Second == 0:
		return strconv.FormatInt(int64(d/time.Second), 10)
	}
	return d.String()
}

// toml writes the setting's value as a settings file takes it.
func (s *setting) toml(c *Config) string {
	switch v := s.field(c).(type) {
	case *time.Duration:
		if text := FormatDuration(*v); *v%time.Second != 0 || strings.HasSuffix(text, "d") {
			return strconv.Quote(text)
		}
		return FormatDuration(*v)
	case *int64:
		if text := FormatSize(*v); s.size && strings.HasSuffix(text, "B") {
			return strconv.Quote(text)
		}
		return strconv.FormatInt(*v, 10)
	case *slog.Level:
		return strconv.Quote(strings.ToLower(v.String()))
	case *[]string:
		words := make([]string, len(*v))
		for i, word := range *v {
			words[i] = quoteTOML(word)
		}
		return "[" + strings.Join(words, ", ") + "]"
	case *string:
		return quoteTOML(*v)
	case *bool:
		return strconv.FormatBool(*v)
	default:
		panic("config: setting " + s.key + " has a field of an unknown type")
	}
}

// json returns the setting's value as JSON has it: durations in seconds, sizes in bytes.
func (s *setting) json(c *Config) any {
	switch v := s.field(c).(type) {
	case *time.Duration:
		return job.Duration(*v)
	case *int64:
		return *v
	case *slog.Level:
		return strings.ToLower(v.String())
	case *[]string:
		return append([]string{}, *v...)
	case *string:
		return *v
	case *bool:
		return *v
	default:
		panic("config: setting " + s.key + " has a field of an unknown type")
	}
}

// quoteTOML writes s as a basic string of TOML, whose escapes JSON's are among.
func quoteTOML(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return strconv.Quote(s) // no string fails to marshal
	}
	return string(b)
}
