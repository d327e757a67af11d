package types

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/queuemgr/queuemgr/job"
)

// Reload reads the files anew and returns what is different, in words: "added resize (/etc/…)". A file
// that can't be read any more takes its types with it: they are there, and can't be used.
func (r *Registry) Reload() []string {
	now := r.read()
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.files
	for _, f := range now.unread {
		for name, k := range before.kinds {
			if now.kinds[name] == nil && (k.Source == f.path || f.path == "") {
				kept := *k
				kept.Problem = f.why
				now.kinds[name] = &kept
			}
		}
	}
	r.files = now
	var words []string
	for _, name := range slices.Sorted(maps.Keys(now.kinds)) {
		k, old := now.kinds[name], before.kinds[name]
		switch {
		case old == nil && k.Problem != "":
			words = append(words, fmt.Sprintf("added %s (%s), which can't be used: %s", name, k.Source, k.Problem))
		case old == nil:
			words = append(words, fmt.Sprintf("added %s (%s)", name, k.Source))
		case k.Problem != "" && k.Problem != old.Problem:
			words = append(words, fmt.Sprintf("%s can't be used any more: %s", name, k.Problem))
		default:
			for _, what := range difference(old.Type, k.Type) {
				words = append(words, fmt.Sprintf("changed %s: %s", name, what))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.kinds)) {
		if now.kinds[name] == nil {
			words = append(words, fmt.Sprintf("removed %s (%s)", name, before.kinds[name].Source))
		}
	}
	return words
}

// difference returns what of a type has changed, in words.
func difference(old, now job.Type) []string {
	var words []string
	a, b := reflect.ValueOf(old), reflect.ValueOf(now)
	for i := range a.NumField() {
		name := a.Type().Field(i).Name
		was, is := a.Field(i).Interface(), b.Field(i).Interface()
		if reflect.DeepEqual(was, is) {
			continue
		}
		switch name {
		case "Schema":
			words = append(words, "parameters")
		case "Hooks": // their URLs and commands may hold secrets
			words = append(words, "hooks")
		case "Problem":
			words = append(words, "it can be used again")
		case "Example", "Description":
			words = append(words, map[string]string{"Example": "example", "Description": "description"}[name])
		default:
			words = append(words, fmt.Sprintf("%s from %v to %v", labels[name], shownValue(was), shownValue(is)))
		}
	}
	return words
}

// labels are the names of what can change as a file has them.
var labels = map[string]string{"Source": "file", "Secret": "secret", "Command": "command", "Queue": "queue", "Timeout": "timeout", "Grace": "grace",
	"StopSignal": "stop_signal", "OnLost": "on_lost", "Watchdog": "watchdog", "SuccessCodes": "success_codes"}

func shownValue(v any) string {
	if list, ok := v.([]string); ok && len(list) > 0 {
		return fmt.Sprintf("%q", list)
	}
	if s := fmt.Sprint(v); s != "" && s != "0s" && s != "[]" {
		return s
	}
	return "none"
}

// Problems returns all that is wrong with the files of types, in words with the place.
func (r *Registry) Problems() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.files.problems)
}
