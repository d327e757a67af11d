package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/regular"
	"github.com/queuemgr/queuemgr/job"
)

// hooksKey is the list of tables that tell others what happens to jobs.
const hooksKey = "hooks"

// Hook is one [[hooks]] of the settings.
type Hook struct {
	Name       string          `json:"name"`
	On         []job.HookEvent `json:"on"`
	Queue      string          `json:"queue,omitempty"`
	Type       string          `json:"type,omitempty"`
	Command    []string        `json:"command,omitempty"`
	URL        string          `json:"url,omitempty"`
	SecretFile string          `json:"secret_file,omitempty"` // absolute
	Timeout    job.Duration    `json:"timeout"`
	GiveUp     job.Duration    `json:"give_up_after"`

	at Position
}

// Defaults of a hook, and how far its times may go.
const (
	hookCommandTimeout = job.Duration(30 * time.Second)
	hookURLTimeout     = job.Duration(10 * time.Second)
	hookGiveUp         = job.Duration(day * time.Second)
	maxHookTimeout     = job.Duration(time.Hour)
	maxHookGiveUp      = job.Duration(30 * day * time.Second)
	maxHooks           = 100
)

// hookKeys are what a hook's table may hold.
var hookKeys = []string{"name", "on", "queue", "type", "command", "url", "secret_file", "timeout", "give_up_after"}

const hooksAbout = `who is told of what happens to jobs, and how: a command that gets the job as JSON on its standard input,
# or a web address that it is posted to. Each with a name of its own; docs/hooks.md tells more. They have no variable.`

const hooksExample = `# [[hooks]]
# name = "tell-ops"
# on = ["failure"]               # of start, success, failure, stop
# queue = "backup"               # only jobs of this queue; type = "shell": only of this type
# command = ["/usr/local/bin/tell-ops", "--from", "queuemgr"]
# timeout = 30
# give_up_after = "1d"
#
# [[hooks]]
# name = "ci"
# on = ["success", "failure", "stop"]
# url = "https://ci.example.org/hooks/queuemgr"
# secret_file = "ci.secret"      # signs what is sent; readable by the service alone
# timeout = 10
`

// readHooks reads the hooks of a settings file.
func (c *Config) readHooks(file string, data []byte, value any) error {
	places, err := hookPositions(data)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	list, ok := value.([]any)
	if !ok {
		at := places.of(0, "")
		return &job.Error{Code: job.Invalid, Field: hooksKey, Line: at.Line, Message: fmt.Sprintf("%s: hooks is a list of tables", at.In(file)),
			Hint: "write [[hooks]] on a line of its own and what the hook is below it"}
	}
	if len(list) > maxHooks {
		return &job.Error{Code: job.Invalid, Field: hooksKey, Message: fmt.Sprintf("%s: %d hooks", file, len(list)), Hint: fmt.Sprintf("at most %d", maxHooks)}
	}
	for i, element := range list {
		table, ok := element.(map[string]any)
		if !ok {
			at := places.of(i, "")
			return &job.Error{Code: job.Invalid, Field: hooksKey, Line: at.Line, Message: fmt.Sprintf("%s: a hook is a table", at.In(file)), Hint: "write [[hooks]] on a line of its own"}
		}
		h, key, err := readHook(table, filepath.Dir(file))
		at := places.of(i, key)
		if err != nil {
			var e *job.Error
			if !errors.As(err, &e) {
				return located(at.In(file), hooksKey+"."+key, at.Line, err)
			}
			said := *e
			said.Line, said.Field, said.Message = at.Line, hooksKey+"."+key, at.In(file)+": "+e.Message
			return &said
		}
		if j := slices.IndexFunc(c.Hooks, func(o Hook) bool { return o.Name == h.Name }); j >= 0 {
			at = places.of(i, "name")
			return &job.Error{Code: job.Invalid, Field: "hooks.name", Line: at.Line, Message: fmt.Sprintf("%s: there is a hook called %q already, in line %d", at.In(file), h.Name, c.Hooks[j].at.Line),
				Hint: "give it a name of its own: it says in lists which one it is"}
		}
		h.at = places.of(i, "")
		c.Hooks = append(c.Hooks, h)
		c.origins[hooksKey+"."+h.Name] = fmt.Sprintf("%s:%d", file, h.at.Line)
	}
	return nil
}

// readHook reads one table of a settings file in dir; key is where the mistake is.
func readHook(table map[string]any, dir string) (h Hook, key string, err error) {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(hookKeys, key) {
			hint := "a hook has: " + strings.Join(hookKeys, ", ")
			if right := Nearest(key, hookKeys); right != "" {
				hint = fmt.Sprintf("did you mean %q?", right)
			}
			return h, key, &job.Error{Code: job.Invalid, Message: fmt.Sprintf("unknown setting %q of a hook", key), Hint: hint}
		}
	}
	words := map[string]*string{"name": &h.Name, "queue": &h.Queue, "type": &h.Type, "url": &h.URL, "secret_file": &h.SecretFile}
	for _, key := range hookKeys {
		value, given := table[key]
		if !given {
			continue
		}
		switch to := words[key]; {
		case to != nil:
			word, ok := value.(string)
			if !ok || word == "" || strings.ContainsFunc(word, func(r rune) bool { return r < ' ' }) {
				return h, key, bad(value, "it must be a text that is not empty and has no control characters")
			}
			*to = word
		case key == "on" || key == "command":
			list, err := textList(value)
			if err != nil {
				return h, key, err
			}
			if key == "command" {
				h.Command = list
				continue
			}
			for _, word := range list {
				h.On = append(h.On, job.HookEvent(word))
			}
		case key == "timeout":
			err = hookDuration(&h.Timeout, value, job.Duration(100*time.Millisecond), maxHookTimeout)
		default:
			err = hookDuration(&h.GiveUp, value, job.Duration(time.Second), maxHookGiveUp)
		}
		if err != nil {
			return h, key, err
		}
	}
	key, err = h.check(dir)
	return h, key, err
}

// check fills what was left out.
func (h *Hook) check(dir string) (key string, err error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	switch {
	case h.Name == "":
		return "", &job.Error{Code: job.Invalid, Message: "the hook has no name", Hint: `give it one, as name = "tell-ops"`}
	case len(h.Name) > 64 || strings.Trim(h.Name, letters) != "":
		return "name", bad(h.Name, "it must be 1 to 64 of A-Z a-z 0-9 . _ -")
	}
	if h.Queue != "" {
		if err := job.CheckQueueName(h.Queue); err != nil {
			return "queue", err
		}
	}
	if err := (&job.Hook{On: h.On, Command: h.Command, URL: h.URL}).Check("hook"); err != nil {
		var e *job.Error
		if errors.As(err, &e) && e.Field != "hook" {
			key, _, _ = strings.Cut(strings.TrimPrefix(e.Field, "hook."), "[")
		}
		if key == "on" && e != nil {
			e.Hint = nearestEvent(h.On, e.Hint)
		}
		return key, err
	}
	if h.Command != nil && !filepath.IsAbs(h.Command[0]) {
		return "command", bad(h.Command[0], "the program must be an absolute path: the hook has no folder and no PATH of yours")
	}
	if h.SecretFile != "" {
		if h.URL == "" {
			return "secret_file", &job.Error{Code: job.Invalid, Message: "secret_file signs what goes to a url, and the hook has a command", Hint: "leave secret_file out"}
		}
		if !filepath.IsAbs(h.SecretFile) {
			h.SecretFile = filepath.Join(dir, h.SecretFile)
		}
	}
	if h.Timeout == 0 {
		if h.Timeout = hookCommandTimeout; h.URL != "" {
			h.Timeout = hookURLTimeout
		}
	}
	if h.GiveUp == 0 {
		h.GiveUp = hookGiveUp
	}
	return "", nil
}

// nearestEvent adds what was probably meant.
func nearestEvent(on []job.HookEvent, hint string) string {
	events := make([]string, len(job.HookEvents))
	for i, e := range job.HookEvents {
		events[i] = string(e)
	}
	for _, e := range on {
		if right := Nearest(string(e), events); right != "" && !slices.Contains(job.HookEvents, e) {
			return fmt.Sprintf("did you mean %q? %s", right, hint)
		}
	}
	return hint
}

func textList(value any) ([]string, error) {
	allowed := `it must be a list of texts, as ["success", "failure"]`
	list, ok := value.([]any)
	if !ok || len(list) == 0 {
		return nil, bad(value, allowed)
	}
	var words []string
	for _, e := range list {
		word, ok := e.(string)
		if !ok {
			return nil, bad(e, allowed)
		}
		words = append(words, word)
	}
	return words, nil
}

func hookDuration(to *job.Duration, value any, least, most job.Duration) error {
	s := setting{field: func(*Config) any { return (*time.Duration)(to) }, max: int64(time.Duration(most) / time.Second)}
	if err := s.set(nil, value, false); err != nil {
		return err
	}
	if *to < least {
		return bad(value, fmt.Sprintf("it must be at least %s", least))
	}
	return nil
}

// Secret returns what signs what h sends, nil for nothing. Errors: job.Invalid where the file can't be
// used, which names the hook's line.
func (h *Hook) Secret(file string) ([]byte, error) {
	if h.SecretFile == "" {
		return nil, nil
	}
	refuse := func(what, hint string, err error) error {
		return &job.Error{Code: job.Invalid, Field: "hooks.secret_file", Line: h.at.Line, Err: err,
			Message: fmt.Sprintf("%s: the secret file %s of the hook %s %s", h.at.In(file), h.SecretFile, h.Name, what), Hint: hint}
	}
	f, _, err := regular.Open(h.SecretFile)
	if err != nil {
		return nil, refuse(fmt.Sprintf("can't be read: %v", err), "make one: (umask 077; head -c 32 /dev/urandom | base64 >FILE), and give it to the user of the daemon", err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, refuse(fmt.Sprintf("can't be looked at: %v", err), "", err)
	}
	if st.Mode&0o007 != 0 {
		return nil, refuse(fmt.Sprintf("is open to every user (mode %04o)", st.Mode&0o7777), "who reads it can sign in our name: chmod 600, or 640 with the daemon's group; and make a new secret", nil)
	}
	const least, most = 16, 4096
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, refuse(fmt.Sprintf("can't be read: %v", err), "", err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if len(secret) < least || len(text) > most {
		return nil, refuse(fmt.Sprintf("holds %d bytes", len(text)), fmt.Sprintf("a secret has %d to %d bytes; an end of line at its end does not count", least, most), nil)
	}
	return []byte(secret), nil
}

// text writes a hook as an inline table of TOML.
func (h *Hook) text() string {
	quote := func(words []string) string {
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = quoteTOML(w)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	on := make([]string, len(h.On))
	for i, e := range h.On {
		on[i] = string(e)
	}
	parts := []string{"on = " + quote(on)}
	for _, p := range []struct{ key, value string }{{"queue", h.Queue}, {"type", h.Type}, {"url", job.ShownURL(h.URL)}, {"secret_file", h.SecretFile}} {
		if p.value != "" {
			parts = append(parts, p.key+" = "+quoteTOML(p.value))
		}
	}
	if h.Command != nil {
		parts = append(parts, "command = "+quote(h.Command))
	}
	for _, p := range []struct {
		key   string
		value job.Duration
	}{{"timeout", h.Timeout}, {"give_up_after", h.GiveUp}} {
		text := FormatDuration(time.Duration(p.value))
		if _, err := json.Number(text).Int64(); err != nil {
			text = quoteTOML(text)
		}
		parts = append(parts, p.key+" = "+text)
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// hookTexts are the hooks by their keys.
func (c *Config) hookTexts() map[string]string {
	all := map[string]string{}
	for i := range c.Hooks {
		all[hooksKey+"."+c.Hooks[i].Name] = c.Hooks[i].text()
	}
	return all
}

// hookURL is the whole URL of the hook of a key.
func (c *Config) hookURL(key string) string {
	for i := range c.Hooks {
		if hooksKey+"."+c.Hooks[i].Name == key {
			return c.Hooks[i].URL
		}
	}
	return ""
}

// places are where the keys of each hook stand; "" is the hook itself.
type hookPlaces []map[string]Position

func (p hookPlaces) of(i int, key string) Position {
	if i >= len(p) {
		return Position{1, 1}
	}
	if at, ok := p[i][key]; ok {
		return at
	}
	return p[i][""]
}

// hookPositions finds the hooks of a valid TOML text: [[hooks]] and, as one place for all, hooks = […].
func hookPositions(data []byte) (places hookPlaces, err error) {
	var p unstable.Parser
	p.Reset(data)
	at := func(n *unstable.Node) Position {
		start := p.Shape(n.Raw).Start
		return Position{start.Line, start.Column}
	}
	inside, top := false, true
	for p.NextExpression() {
		node := p.Expression()
		keys := node.Key()
		if !keys.Next() {
			continue
		}
		first := keys.Node()
		switch node.Kind {
		case unstable.ArrayTable, unstable.Table:
			top = false
			if inside = string(first.Data) == hooksKey; !inside {
				continue
			}
			if node.Kind == unstable.ArrayTable && !keys.Next() || len(places) == 0 {
				places = append(places, map[string]Position{"": at(first)})
				continue
			}
			if node.Kind == unstable.Table && keys.Next() {
				places[len(places)-1][string(keys.Node().Data)] = at(keys.Node())
			}
		case unstable.KeyValue:
			switch {
			case inside:
				places[len(places)-1][string(first.Data)] = at(first)
			case top && string(first.Data) == hooksKey:
				for range maxHooks {
					places = append(places, map[string]Position{"": at(first)})
				}
			}
		}
	}
	return places, p.Error()
}
