package hooks

import (
	"fmt"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// settings are the hooks of settings and types that are in force. They are never modified.
type settings struct {
	hooks []Configured
	types map[string][]job.Hook
	from  uint64            // in force for changes after this one
	since map[string]uint64 // by hook: the change after which it is told of events
}

// newSettings keeps of known what still is there; what is new begins after the change now.
func newSettings(hooks []Configured, types map[string][]job.Hook, now uint64, known map[string]uint64) *settings {
	s := &settings{hooks: hooks, types: types, from: now, since: map[string]uint64{}}
	begin := func(name string) {
		if seq, ok := known[name]; ok {
			s.since[name] = seq
			return
		}
		s.since[name] = now
	}
	for i := range hooks {
		begin(ofSettings(hooks[i].Name))
	}
	for name, list := range types {
		for i := range list {
			begin(ofType(name, i))
		}
	}
	return s
}

// Names of hooks, as they are on record.

func ofSettings(name string) string                    { return "settings/" + name }
func ofType(name string, i int) string                 { return fmt.Sprintf("type/%s/%d", name, i+1) }
func ofJob(i int) string                               { return fmt.Sprintf("job/%d", i+1) }
func (s *settings) none() bool                         { return len(s.since) == 0 }
func (s *settings) begun(hook string, seq uint64) bool { return seq > s.since[hook] }

// target is where a delivery goes.
type target struct {
	Configured
	asJob bool
}

// target returns where a delivery goes, false where its hook is not there any more.
func (s *settings) target(hook string, of *job.Hook) (target, bool) {
	if of != nil {
		t := target{asJob: true, Configured: Configured{Name: hook, Command: of.Command, URL: of.URL, Timeout: URLTimeout, GiveUp: GiveUp}}
		if len(of.Command) > 0 {
			t.Timeout = CommandTimeout
		}
		return t, true
	}
	for i := range s.hooks {
		if ofSettings(s.hooks[i].Name) == hook {
			return target{Configured: s.hooks[i]}, true
		}
	}
	return target{}, false
}

// list is what is shown of the hooks.
func (s *settings) list(troubles map[string]trouble) []job.ConfiguredHook {
	all := []job.ConfiguredHook{}
	add := func(name, source, receiver string, h Configured) {
		t := troubles[receiver]
		for of := range troubles { // the same for each account
			if strings.HasPrefix(of, receiver+"@") {
				t = troubles[of]
			}
		}
		all = append(all, job.ConfiguredHook{Name: name, Source: source, On: h.On, Queue: h.Queue, Type: h.Type, Command: h.Command, URL: job.ShownURL(h.URL),
			Signed: h.Secret != nil, Timeout: job.Duration(h.Timeout), GiveUp: job.Duration(h.GiveUp), LastError: t.what, NextTry: t.next})
	}
	for _, h := range s.hooks {
		add(h.Name, "settings", ofSettings(h.Name), h)
	}
	for _, name := range sorted(s.types) {
		for i := range s.types[name] {
			h := &s.types[name][i]
			t, _ := s.target(ofType(name, i), h)
			t.On, t.Type = h.On, name
			add(t.Name, "type "+name, receiverOf(t.Name, h, job.NoUID), t.Configured)
		}
	}
	return all
}

// retention of deliveries that are over.
const (
	keepFor    = 7 * 24 * time.Hour
	keepMost   = 100_000
	pruneBatch = 500
)
