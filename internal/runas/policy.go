package runas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// Policy is what an administrator allows. The zero value of a list allows nobody.
type Policy struct {
	// Accounts are root and system accounts that jobs may run as.
	Accounts []string
	// MayChoose are the accounts that, besides root, may say which account a job of theirs runs as.
	MayChoose []string
	// DefaultAccount runs root's own jobs and those added with a token or on the web.
	DefaultAccount string
}

// DefaultPolicy is what holds without a policy file.
func DefaultPolicy() Policy { return Policy{DefaultAccount: "queuemgr-job"} }

// maxPolicy bounds a policy file in bytes.
const maxPolicy = 64 << 10

// setting is a key of the policy file; exactly one of one and many is set.
type setting struct {
	name string
	one  *string
	many *[]string
}

func (p *Policy) settings() []setting {
	return []setting{
		{name: "accounts", many: &p.Accounts},
		{name: "may_choose", many: &p.MayChoose},
		{name: "default_account", one: &p.DefaultAccount},
	}
}

// Parse reads the text of a policy file, named name in errors (FILE:LINE: TEXT). It knows the part of
// TOML that such a file needs: comments, and keys with a string or with a list of strings. Whatever it
// accepts means the same to every other reader of TOML.
func Parse(name string, text []byte) (Policy, error) {
	p := DefaultPolicy()
	if err := parse(name, text, p.settings()); err != nil {
		return Policy{}, err
	}
	return p, nil
}

// readPolicy reads and checks an open policy file. owner is the uid that must own it.
func readPolicy(f *os.File, info fs.FileInfo, owner uint32) (Policy, error) {
	path := f.Name()
	if !info.Mode().IsRegular() {
		return Policy{}, fmt.Errorf("the policy file %s is not a regular file", path)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != owner {
		return Policy{}, fmt.Errorf("the policy file %s does not belong to root: chown root %s", path, path)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return Policy{}, fmt.Errorf("the policy file %s can be written by others than root (mode %04o): chmod go-w %s",
			path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPolicy+1))
	if err != nil {
		return Policy{}, fmt.Errorf("read the policy file: %w", err)
	}
	if len(text) > maxPolicy {
		return Policy{}, fmt.Errorf("the policy file %s is longer than %d bytes", path, maxPolicy)
	}
	return Parse(path, text)
}

// checkName says what is wrong with the name of an account, nil if nothing is. A number is no name:
// what looks accounts up would take it for a uid.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("an account name is empty")
	case len(name) > 256:
		return errors.New("an account name is longer than 256 bytes")
	case strings.Trim(name, "0123456789") == "":
		return fmt.Errorf("%q is a number: give the account's name", name)
	case name[0] == '-' || name[0] == '+' || strings.ContainsAny(name, ":/,\x00") || strings.TrimSpace(name) != name,
		!utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%q cannot be an account name", name)
	}
	return nil
}

// parser reads the text of a policy file from left to right.
type parser struct {
	name string
	text []byte
	pos  int
	line int
}

func parse(name string, text []byte, settings []setting) error {
	p := &parser{name: name, text: bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), line: 1}
	seen := map[string]int{}
	for p.blank(true); p.pos < len(p.text); p.blank(true) {
		line := p.line
		key, err := p.key()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(settings, func(s setting) bool { return s.name == key })
		switch {
		case i < 0:
			return p.errorf("%s", unknownKey(key, settings))
		case seen[key] != 0:
			return p.errorf("%s is set in line %d already", key, seen[key])
		}
		seen[key] = line
		if err := p.value(settings[i]); err != nil {
			return err
		}
		if p.blank(false); p.pos < len(p.text) && p.text[p.pos] != '\n' {
			return p.errorf("%s: the line should end here, not go on with %s", key, p.next())
		}
	}
	return nil
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.name, p.line, fmt.Sprintf(format, args...))
}

// next is what stands at the present place, for errors.
func (p *parser) next() string {
	if p.pos >= len(p.text) {
		return "the end of the file"
	}
	if p.text[p.pos] == '\n' {
		return "the end of the line"
	}
	r, _ := utf8.DecodeRune(p.text[p.pos:])
	return fmt.Sprintf("%q", r)
}

// blank passes over spaces and a comment, and over line ends too if lines is set. A comment with what
// TOML does not allow in one stops it.
func (p *parser) blank(lines bool) {
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case c == ' ' || c == '\t':
			p.pos++
		case c == '\n' && lines:
			p.pos++
			p.line++
		case c == '#':
			end := bytes.IndexByte(p.text[p.pos:], '\n')
			if end < 0 {
				end = len(p.text) - p.pos
			}
			if comment := p.text[p.pos : p.pos+end]; !utf8.Valid(comment) || bytes.ContainsFunc(comment, forbidden) {
				return
			}
			p.pos += end
		default:
			return
		}
	}
}

// forbidden are the control characters that TOML does not allow in comments and strings.
func forbidden(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// key reads `name =`.
func (p *parser) key() (string, error) {
	begin := p.pos
	for p.pos < len(p.text) && isKey(p.text[p.pos]) {
		p.pos++
	}
	key := string(p.text[begin:p.pos])
	if key == "" {
		return "", p.errorf("a line is KEY = VALUE; it cannot begin with %s", p.next())
	}
	if p.blank(false); p.pos >= len(p.text) || p.text[p.pos] != '=' {
		return "", p.errorf("after %s comes =, not %s", key, p.next())
	}
	p.pos++
	p.blank(false)
	return key, nil
}

func isKey(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

func (p *parser) value(s setting) error {
	list := p.pos < len(p.text) && p.text[p.pos] == '['
	switch {
	case s.one != nil && list:
		return p.errorf(`%s is one account name, as in %s = "queuemgr-job"`, s.name, s.name)
	case s.one != nil:
		name, err := p.account(s.name)
		*s.one = name
		return err
	case !list:
		return p.errorf(`%s is a list of account names, as in %s = ["backup"], and cannot begin with %s`, s.name, s.name, p.next())
	}
	p.pos++
	*s.many = nil
	for p.blank(true); p.pos >= len(p.text) || p.text[p.pos] != ']'; p.blank(true) {
		name, err := p.account(s.name)
		if err != nil {
			return err
		}
		*s.many = append(*s.many, name)
		p.blank(true)
		switch {
		case p.pos < len(p.text) && p.text[p.pos] == ',':
			p.pos++
		case p.pos >= len(p.text) || p.text[p.pos] != ']':
			return p.errorf("%s: after an account name comes , or ], not %s", s.name, p.next())
		}
	}
	p.pos++
	return nil
}

// account reads a quoted account name.
func (p *parser) account(key string) (string, error) {
	if p.pos >= len(p.text) || p.text[p.pos] != '"' && p.text[p.pos] != '\'' {
		return "", p.errorf("%s: an account name stands in quotes; %s does not begin one", key, p.next())
	}
	quote := p.text[p.pos]
	p.pos++
	var name []byte
	for {
		if p.pos >= len(p.text) || p.text[p.pos] == '\n' {
			return "", p.errorf("%s: a quote is not closed on its line", key)
		}
		c := p.text[p.pos]
		p.pos++
		switch {
		case c == quote:
			if err := checkName(string(name)); err != nil {
				return "", p.errorf("%s: %s", key, err)
			}
			return string(name), nil
		case c == '\\' && quote == '"':
			if p.pos >= len(p.text) || p.text[p.pos] != '\\' && p.text[p.pos] != '"' {
				return "", p.errorf(`%s: in double quotes \ is written \\`, key)
			}
			c = p.text[p.pos]
			p.pos++
		}
		name = append(name, c)
	}
}

func unknownKey(key string, settings []setting) string {
	best, bestDistance := "", 4
	var names []string
	for _, s := range settings {
		names = append(names, s.name)
		if d := distance(key, s.name); d < bestDistance {
			best, bestDistance = s.name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("unknown key %s: did you mean %s?", key, best)
	}
	return fmt.Sprintf("unknown key %s: there are %s", key, strings.Join(names, ", "))
}

// distance is how many letters must be changed, put in or left out to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
