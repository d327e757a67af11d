package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// Value is one setting as it is in force.
type Value struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`  // durations in seconds, sizes in bytes
	Origin string `json:"origin"` // "default", FILE:LINE, the variable or the flag
	Text   string `json:"-"`      // as a settings file takes it
}

// Values returns every setting with where it came from, in the order of the example file.
func (c *Config) Values() []Value {
	var values []Value
	for i := range settings {
		s := &settings[i]
		values = append(values, Value{Key: s.key, Value: s.json(c), Origin: c.origin(s.key), Text: s.toml(c)})
	}
	for _, name := range slices.Sorted(maps.Keys(c.TypeLimits)) {
		key := typeLimits + "." + name
		values = append(values, Value{Key: key, Value: c.TypeLimits[name], Origin: c.origin(key),
			Text: fmt.Sprint(c.TypeLimits[name])})
	}
	for i := range c.Hooks {
		key := hooksKey + "." + c.Hooks[i].Name
		h := c.Hooks[i]
		h.URL = job.ShownURL(h.URL)
		values = append(values, Value{Key: key, Value: h, Origin: c.origin(key), Text: h.text()})
	}
	return values
}

// Compare returns what differs from c in newer: what a daemon can take over as it runs, and what it
// takes over when it is started again.
func (c *Config) Compare(newer *Config) job.Reloaded {
	what := job.Reloaded{Changed: []job.SettingChange{}, Restart: []job.SettingChange{}}
	for i := range settings {
		s := &settings[i]
		change := job.SettingChange{Key: s.key, Old: s.toml(c), New: s.toml(newer)}
		switch {
		case change.Old == change.New:
		case s.restart:
			what.Restart = append(what.Restart, change)
		default:
			what.Changed = append(what.Changed, change)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(merged(c.TypeLimits, newer.TypeLimits))) {
		change := job.SettingChange{Key: typeLimits + "." + name, Old: limitText(c.TypeLimits, name), New: limitText(newer.TypeLimits, name)}
		if change.Old != change.New {
			what.Changed = append(what.Changed, change)
		}
	}
	before, after := c.hookTexts(), newer.hookTexts()
	for _, key := range slices.Sorted(maps.Keys(merged(before, after))) {
		change := job.SettingChange{Key: key, Old: before[key], New: after[key]}
		if change.Old == change.New && c.hookURL(key) != newer.hookURL(key) {
			change.New += ", another url" // of which nothing more is shown
		}
		if change.Old != change.New {
			what.Changed = append(what.Changed, change)
		}
	}
	return what
}

func merged[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// limitText returns a type's limit, "" for none.
func limitText(limits map[string]int64, name string) string {
	if n, ok := limits[name]; ok {
		return fmt.Sprint(n)
	}
	return ""
}

func (c *Config) origin(key string) string {
	if origin, ok := c.origins[key]; ok {
		return origin
	}
	return "default"
}

// Example returns a settings file for a service at paths in which every setting stands with its
// meaning and its default, commented out; [type_limits], which has no default, with an example.
func Example(paths Paths) string {
	c := Defaults(paths)
	var b strings.Builder
	b.WriteString("# Settings of queuemgr. A line with # right before its name is the default. Each is also a variable:\n" +
		"# " + Variable("max_concurrent_jobs") + ", " + Variable("retention.completed") + ", …\n")
	table := ""
	for i := range settings {
		s := &settings[i]
		name := s.key
		if t, rest, ok := strings.Cut(s.key, "."); ok {
			name = rest
			if t != table {
				table = t
				fmt.Fprintf(&b, "\n[%s]\n", t)
			}
		}
		if table == "" {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "# %s\n#%s = %s\n", s.about, name, s.toml(c))
	}
	// None is the default, so that this one line is an example and says so.
	fmt.Fprintf(&b, "\n# %s\n# None unless set. For example, at most 1000 jobs of type command:\n[%s]\n# command = 1000\n", typeLimitsAbout, typeLimits)
	fmt.Fprintf(&b, "\n# %s\n# None unless set. For example:\n%s", hooksAbout, hooksExample)
	return b.String()
}
