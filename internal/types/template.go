package types

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/queuemgr/queuemgr/internal/config"
)

// template is a command with places for parameters. There is no shell: a value is one argument, or a
// part of one, whatever it holds.
type template [][]piece

// piece is a part of an argument: text, or the place of a parameter.
type piece struct {
	text  string
	param string // "" = text
}

// parseTemplate reads argv, in which {name} stands for a parameter of names and {{ and }} for
// braces.
func parseTemplate(argv, names []string) (template, error) {
	t := make(template, len(argv))
	for i, arg := range argv {
		pieces, err := parseArg(arg, names)
		if err != nil {
			return nil, fmt.Errorf("command[%d] %q: %w", i, arg, err)
		}
		if i == 0 && slices.ContainsFunc(pieces, func(p piece) bool { return p.param != "" }) {
			return nil, fmt.Errorf("command[0] %q: the program can't be a parameter: whoever adds a job would choose what runs", arg)
		}
		t[i] = pieces
	}
	return t, nil
}

func parseArg(arg string, names []string) ([]piece, error) {
	var pieces []piece
	text := ""
	for rest := arg; ; {
		at := strings.IndexAny(rest, "{}")
		if at < 0 {
			text += rest
			break
		}
		text += rest[:at]
		brace := rest[at]
		rest = rest[at+1:]
		if rest != "" && rest[0] == brace {
			text += string(brace)
			rest = rest[1:]
			continue
		}
		if brace == '}' {
			return nil, fmt.Errorf("a } without its {: write }} for a brace")
		}
		name, behind, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, fmt.Errorf("a { without its }: write {{ for a brace")
		}
		if !slices.Contains(names, name) {
			if near := config.Nearest(name, names); near != "" {
				return nil, fmt.Errorf("{%s} is no parameter: did you mean {%s}?", name, near)
			}
			return nil, fmt.Errorf("{%s} is no parameter: describe it under params, or write {{%s}} for braces", name, name)
		}
		if text != "" {
			pieces = append(pieces, piece{text: text})
			text = ""
		}
		pieces = append(pieces, piece{param: name})
		rest = behind
	}
	if text != "" || len(pieces) == 0 {
		pieces = append(pieces, piece{text: text})
	}
	return pieces, nil
}

// params returns the parameters that have a place in t.
func (t template) params() []string {
	var names []string
	for _, arg := range t {
		for _, p := range arg {
			if p.param != "" && !slices.Contains(names, p.param) {
				names = append(names, p.param)
			}
		}
	}
	return names
}

// expand returns the command for parameters: a list that is alone in its argument becomes as many
// arguments as it has items.
func (t template) expand(params map[string]any) ([]string, *failure) {
	var argv []string
	for i, arg := range t {
		if len(arg) == 1 && arg[0].param != "" {
			if list, ok := params[arg[0].param].([]any); ok {
				for k, item := range list {
					at := fmt.Sprintf("/%s/%d", escape(arg[0].param), k)
					if item == nil {
						return nil, &failure{at, "placeholder", "is null, and the command needs it", "give a value"}
					}
					argv = append(argv, argument(item))
				}
				continue
			}
		}
		text := ""
		for _, p := range arg {
			if p.param == "" {
				text += p.text
				continue
			}
			at := "/" + escape(p.param)
			switch v := params[p.param].(type) {
			case nil:
				return nil, &failure{at, "placeholder", fmt.Sprintf("has no value, and argument %d of the command needs it", i), "give it, or have the type's author give it a default"}
			case []any:
				return nil, &failure{at, "placeholder", fmt.Sprintf("is a list, and argument %d of the command takes one value", i), "have the type's author put it into an argument of its own"}
			default:
				text += argument(v)
			}
		}
		argv = append(argv, text)
	}
	return argv, nil
}

// argument returns a value as a program is given it.
func argument(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	text, err := encode(v)
	if err != nil {
		return ""
	}
	return string(text)
}
