package auth

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

const (
	// sessionHolds is how long a login holds at the most, sessionIdle when it is not used.
	sessionHolds = 30 * 24 * time.Hour
	sessionIdle  = 3 * 24 * time.Hour
	// maxSessions bounds the logins; the one that was used longest ago goes for a new one.
	maxSessions = 1000
)

// session is a browser that is logged in.
type session struct {
	store.Session
	// parent is the login whose link began this one; the zero hash is none. It is on no record but in
	// the session's own secret, so that it is known when that is shown.
	parent store.Hash
}

// newSecretOf returns the secret of a session that hangs on parent.
func newSecretOf(parent store.Hash) string {
	if parent == (store.Hash{}) {
		return newSecret()
	}
	return newSecret() + "." + hex.EncodeToString(parent[:])
}

// parentOf returns what a session's secret says of its parent. The hash of a secret covers it: nobody
// can leave it out.
func parentOf(secret string) (parent store.Hash) {
	if _, text, ok := strings.Cut(secret, "."); ok {
		if n, err := hex.Decode(parent[:], []byte(text)); err != nil || n != len(parent) {
			return store.Hash{}
		}
	}
	return parent
}

func (s *session) caller(from string) job.Caller {
	return job.Caller{UID: job.NoUID, GID: job.NoUID, Name: s.Name, Via: job.ViaSession, Role: s.Role, From: from,
		TokenID: s.TokenID, SessionID: hex.EncodeToString(s.Hash[:]), LoginUID: s.UID, ExpiresAt: s.ExpiresAt}
}

// holds reports whether those who stand behind a session may still have it. An error is that this
// can't be told now. g.mu is held.
func (g *Gate) holds(s *session, now time.Time) (bool, error) {
	if s.TokenID != "" {
		t := g.byID[s.TokenID]
		return t != nil && !over(t.ExpiresAt, now) && t.Role.AtLeast(s.Role), nil
	}
	if s.UID == job.NoUID {
		return false, nil
	}
	name, err := g.o.UserName(s.UID)
	if err != nil {
		return false, &job.Error{Code: job.Unavailable, Message: fmt.Sprintf("it can't be told now whether %s is still a user of this machine", s.Name),
			Hint: "try again; daemon.log tells the cause", Err: err}
	}
	role := g.o.RoleOf(job.Caller{UID: s.UID, Name: s.Name})
	// The number may have been given to another user since. A member stands above viewers and makes no
	// logins all the same.
	return name == s.Name && may(role, makeLogins) && role.AtLeast(s.Role), nil
}

// begin records a session; g.changing is held.
func (g *Gate) begin(ctx context.Context, s *session) error {
	ctx = context.WithoutCancel(ctx)
	g.mu.Lock()
	var oldest *session
	if len(g.sessions) >= maxSessions {
		for _, k := range g.sessions {
			if oldest == nil || k.SeenAt.Before(oldest.SeenAt) {
				oldest = k
			}
		}
	}
	g.mu.Unlock()
	if oldest != nil {
		if err := g.end(ctx, oldest.Hash); err != nil {
			return err
		}
	}
	if err := g.o.Store.AddSession(ctx, s.Session); err != nil {
		return err
	}
	g.mu.Lock()
	g.sessions[s.Hash] = s
	g.mu.Unlock()
	return nil
}

// end ends sessions at once, and on record, with those that hang on them.
func (g *Gate) end(ctx context.Context, hashes ...store.Hash) error {
	g.mu.Lock()
	for hash, s := range g.sessions {
		if s.parent != (store.Hash{}) && slices.Contains(hashes, s.parent) {
			hashes = append(hashes, hash) // nothing hangs on these in turn
		}
	}
	for _, hash := range hashes {
		g.forgetSession(hash)
	}
	g.mu.Unlock()
	return g.o.Store.DeleteSessions(context.WithoutCancel(ctx), hashes...)
}

// forgetSession ends a session in memory, with its links and what lasts in it. g.mu is held.
func (g *Gate) forgetSession(hash store.Hash) {
	delete(g.sessions, hash)
	delete(g.seen, hash)
	for link, k := range g.codes {
		if k.parent == hash {
			delete(g.codes, link)
		}
	}
	g.endWatched(hex.EncodeToString(hash[:]))
}

// use notes that a session is in use, and with it the one that it hangs on. g.mu is held.
func (g *Gate) use(s *session, now time.Time) {
	now = now.UTC().Truncate(time.Microsecond)
	s.SeenAt, g.seen[s.Hash] = now, now
	if p := g.sessions[s.parent]; p != nil {
		p.SeenAt, g.seen[p.Hash] = now, now
	}
}

// Session returns who has a login. Errors: Unauthenticated.
func (g *Gate) Session(ctx context.Context, secret, from string) (job.Caller, error) {
	now := g.o.Now()
	ended := unauthenticated("the login is over", loginHint)
	if len(secret) > longestSecret {
		return job.Caller{}, ended
	}
	hash := hashOf(secret)
	g.mu.Lock()
	s := g.sessions[hash]
	if s == nil {
		g.mu.Unlock()
		return job.Caller{}, ended
	}
	s.parent = parentOf(secret)
	alive, err := g.alive(s, now)
	if alive {
		g.use(s, now)
	}
	c := s.caller(from)
	g.mu.Unlock()
	if err != nil {
		g.o.Log.Error("a login can't be looked at", "error", err, "cause", errors.Unwrap(err))
		return job.Caller{}, err
	}
	if !alive {
		if err := g.end(ctx, hash); err != nil {
			g.o.Log.Warn("end a login that is over", "error", err)
		}
		return job.Caller{}, ended
	}
	return c, nil
}

// alive reports whether a session is neither over nor left alone. One with an open stream is in use.
// An error is that this can't be told now. g.mu is held.
func (g *Gate) alive(s *session, now time.Time) (bool, error) {
	if s.parent != (store.Hash{}) && g.sessions[s.parent] == nil || over(s.ExpiresAt, now) {
		return false, nil
	}
	if len(g.watched[hex.EncodeToString(s.Hash[:])]) > 0 {
		g.use(s, now)
	}
	if now.Sub(s.SeenAt) >= sessionIdle {
		return false, nil
	}
	return g.holds(s, now)
}

// LogOut ends a session; one that is over already is no error.
func (g *Gate) LogOut(ctx context.Context, secret, from string) error {
	if len(secret) > longestSecret {
		return nil
	}
	hash := hashOf(secret)
	g.mu.Lock()
	s := g.sessions[hash]
	g.mu.Unlock()
	if s == nil {
		return nil
	}
	err := g.end(ctx, hash)
	g.audit(s.caller(from), "log out", "", err)
	return err
}

// Sweep ends the sessions that are over, and those whose users may no longer have them: it is to be
// called when the settings have changed.
func (g *Gate) Sweep(ctx context.Context) {
	now := g.o.Now()
	var gone []store.Hash
	g.mu.Lock()
	for key := range g.watched {
		if s := g.sessionOf(key); s != nil {
			g.use(s, now) // before the one that it hangs on is looked at
		}
	}
	var failed error
	for hash, s := range g.sessions {
		alive, err := g.alive(s, now)
		if err != nil {
			failed = err
		} else if !alive {
			gone = append(gone, hash)
		}
	}
	g.mu.Unlock()
	if failed != nil {
		g.o.Log.Error("logins can't be looked at", "error", failed, "cause", errors.Unwrap(failed))
	}
	if err := g.end(ctx, gone...); err != nil {
		g.o.Log.Warn("forget logins that are over", "error", err)
	}
}

// EndLogins implements job.AccessService.
func (g *Gate) EndLogins(ctx context.Context) (ended job.EndedLogins, err error) {
	c, err := g.admin(ctx, "end all logins")
	if err != nil {
		return ended, err
	}
	g.changing.Lock() // none begins meanwhile
	defer g.changing.Unlock()
	g.mu.Lock()
	hashes := slices.Collect(maps.Keys(g.sessions))
	ended.Logins, ended.Links = len(hashes), len(g.codes)
	clear(g.codes)
	g.mu.Unlock()
	err = g.end(ctx, hashes...)
	g.audit(c, "end all logins", fmt.Sprintf("%d logins, %d links", ended.Logins, ended.Links), err)
	return ended, err
}
