package auth

import (
	"encoding/hex"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// watch is something that lasts, as a stream of events, and must end with the login of who asked.
type watch struct {
	end   func()
	timer *time.Timer // of the login's last moment; nil = it has none
}

// Watch has end called once when the caller's token or login ends, at once where it has ended already.
// end must not block. The caller of Watch calls stop when there is nothing to end any more.
func (g *Gate) Watch(c job.Caller, end func()) (stop func()) {
	if !c.OverTCP() {
		return func() {}
	}
	key := c.SessionID
	if c.Via == job.ViaToken {
		key = c.TokenID
	}
	w := &watch{end: end}
	now := g.o.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stands(c) || over(c.ExpiresAt, now) {
		end()
		return func() {}
	}
	if !c.ExpiresAt.IsZero() {
		w.timer = time.AfterFunc(c.ExpiresAt.Sub(now), end)
	}
	if g.watched[key] == nil {
		g.watched[key] = map[*watch]struct{}{}
	}
	g.watched[key][w] = struct{}{}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if w.timer != nil {
			w.timer.Stop()
		}
		if delete(g.watched[key], w); len(g.watched[key]) == 0 {
			delete(g.watched, key)
		}
	}
}

// stands reports whether a caller's token or session is there. g.mu is held.
func (g *Gate) stands(c job.Caller) bool {
	if c.Via == job.ViaToken {
		return g.byID[c.TokenID] != nil
	}
	return g.sessionOf(c.SessionID) != nil
}

// sessionOf returns the session of job.Caller.SessionID, nil for none. g.mu is held.
func (g *Gate) sessionOf(id string) *session {
	var hash store.Hash
	if n, err := hex.Decode(hash[:], []byte(id)); err != nil || n != len(hash) {
		return nil
	}
	return g.sessions[hash]
}

// endWatched ends what hangs on a token or session. g.mu is held.
func (g *Gate) endWatched(key string) {
	for w := range g.watched[key] {
		w.end()
	}
}
