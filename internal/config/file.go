package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/queuemgr/queuemgr/job"
)

// Position is a place in a file, counting from 1.
type Position struct{ Line, Column int }

// In returns file:line:column.
func (p Position) In(file string) string { return fmt.Sprintf("%s:%d:%d", file, p.Line, p.Column) }

// parse reads the text of a settings file into c.
func (c *Config) parse(file string, data []byte) error {
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		if e := (*toml.DecodeError)(nil); errors.As(err, &e) {
			line, column := e.Position()
			return &job.Error{Code: job.Invalid, Line: line, Err: err,
				Message: fmt.Sprintf("%s: not valid TOML: %s", Position{line, column}.In(file), strings.TrimPrefix(e.Error(), "toml: ")),
				Hint:    `a setting is a line like: max_concurrent_jobs = 50`}
		}
		return &job.Error{Code: job.Invalid, Message: fmt.Sprintf("%s: not valid TOML: %v", file, err), Err: err}
	}
	places, err := KeyPositions(data)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	if hooks, given := tree[hooksKey]; given {
		delete(tree, hooksKey)
		if err := c.readHooks(file, data, hooks); err != nil {
			return err
		}
	}
	flat := map[string]any{}
	flatten(flat, "", tree)
	// In the order of the file, so that the first mistake is the one that is told.
	keys := slices.SortedFunc(maps.Keys(flat), func(a, b string) int {
		pa, pb := places[a], places[b]
		if pa.Line != pb.Line {
			return pa.Line - pb.Line
		}
		return pa.Column - pb.Column
	})
	for _, key := range keys {
		if err := c.setFromFile(file, places[key], key, flat[key]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) setFromFile(file string, at Position, key string, value any) error {
	origin := fmt.Sprintf("%s:%d", file, at.Line)
	if name, isLimit := strings.CutPrefix(key, typeLimits+"."); isLimit {
		if err := checkTypeLimit(name, value); err != nil {
			return located(at.In(file), key, at.Line, err)
		}
		c.TypeLimits[name] = value.(int64)
		c.origins[key] = origin
		return nil
	}
	s := find(key)
	if s == nil {
		return unknownKey(file, at, key)
	}
	if err := s.set(c, value, false); err != nil {
		return located(at.In(file), key, at.Line, err)
	}
	c.origins[key] = origin
	return nil
}

func unknownKey(file string, at Position, key string) error {
	e := &job.Error{Code: job.Invalid, Field: key, Line: at.Line,
		Message: fmt.Sprintf("%s: unknown setting %q", at.In(file), key)}
	if slices.Contains(tables, key) || key == typeLimits {
		e.Message = fmt.Sprintf("%s: %s is a table", at.In(file), key)
		e.Hint = fmt.Sprintf("write [%s] on a line of its own and the settings below it", key)
		return e
	}
	switch right := Nearest(key, names()); {
	case right != "":
		e.Hint = fmt.Sprintf("did you mean %q?", right)
	default:
		e.Hint = "the settings are: " + strings.Join(names(), ", ")
	}
	return e
}

// flatten puts every value of tree into flat under its dotted key.
func flatten(flat map[string]any, prefix string, tree map[string]any) {
	for key, value := range tree {
		sub, isTable := value.(map[string]any)
		if isTable && prefix == "" && (slices.Contains(tables, key) || key == typeLimits) {
			flatten(flat, key+".", sub)
			continue
		}
		flat[prefix+key] = value // a table elsewhere is told as a whole, as no setting
	}
}

// KeyPositions returns where each key and table of a valid TOML text begins, by its dotted name.
func KeyPositions(data []byte) (map[string]Position, error) {
	var p unstable.Parser
	p.Reset(data)
	places := map[string]Position{}
	table := ""
	for p.NextExpression() {
		switch node := p.Expression(); node.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = dotted(&p, places, "", node.Key()) + "."
		case unstable.KeyValue:
			keyValue(&p, places, table, node)
		}
	}
	return places, p.Error()
}

func keyValue(p *unstable.Parser, places map[string]Position, prefix string, node *unstable.Node) {
	key := dotted(p, places, prefix, node.Key())
	if value := node.Value(); value.Kind == unstable.InlineTable {
		for children := value.Children(); children.Next(); {
			keyValue(p, places, key+".", children.Node())
		}
	}
}

// dotted returns prefix and the key's parts joined by dots, and notes where each part begins.
func dotted(p *unstable.Parser, places map[string]Position, prefix string, parts unstable.Iterator) string {
	key := strings.TrimSuffix(prefix, ".")
	for parts.Next() {
		node := parts.Node()
		if key != "" {
			key += "."
		}
		key += string(node.Data)
		if _, seen := places[key]; !seen {
			start := p.Shape(node.Raw).Start
			places[key] = Position{start.Line, start.Column}
		}
	}
	return key
}
