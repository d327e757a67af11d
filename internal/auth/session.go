package auth

import (
	"context"
	"encoding/hex"
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
type session struct{ store.Session }

func (s *session) caller(from string) job.Caller {
	return job.Caller{UID: job.NoUID, GID: job.NoUID, Name: s.Name, Via: job.ViaSession, Role: s.Role, From: from,
		TokenID: s.TokenID, SessionID: hex.EncodeToString(s.Hash[:]), LoginUID: s.UID, ExpiresAt: s.ExpiresAt}
}

// holds reports whether those who stand behind a session may still have it. g.mu is held.
func (g *Gate) holds(s *session, now time.Time) bool {
	if s.TokenID != "" {
		t := g.byID[s.TokenID]
		return t != nil && !over(t.ExpiresAt, now) && t.Role.AtLeast(s.Role)
	}
	if s.UID == job.NoUID {
		return false
	}
	// The number may have been given to another user since.
	return g.o.UserName(s.UID) == s.Name && g.o.RoleOf(job.Caller{UID: s.UID, Name: s.Name}).AtLeast(s.Role)
}

// begin records a session; g.changing is held.
func (g *Gate) begin(ctx context.Context, s *session) error {
	ctx = context.WithoutCancel(ctx)
	g.mu.Lock()
	var oldest *store.Session
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
	g.sessions[s.Hash] = &s.Session
	g.mu.Unlock()
	return nil
}

// end ends sessions at once, and on record.
func (g *Gate) end(ctx context.Context, hashes ...store.Hash) error {
	g.mu.Lock()
	for _, hash := range hashes {
		g.forgetSession(hash)
	}
	g.mu.Unlock()
	return g.o.Store.DeleteSessions(context.WithoutCancel(ctx), hashes...)
}

// forgetSession ends a session in memory, with what lasts in it. g.mu is held.
func (g *Gate) forgetSession(hash store.Hash) {
	delete(g.sessions, hash)
	delete(g.seen, hash)
	g.endWatched(hex.EncodeToString(hash[:]))
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
	k := g.sessions[hash]
	if k == nil {
		g.mu.Unlock()
		return job.Caller{}, ended
	}
	s := &session{*k}
	alive := g.alive(s, now)
	if alive {
		k.SeenAt = now.UTC().Truncate(time.Microsecond)
		g.seen[hash] = k.SeenAt
	}
	g.mu.Unlock()
	if !alive {
		if err := g.end(ctx, hash); err != nil {
			g.o.Log.Warn("end a login that is over", "error", err)
		}
		return job.Caller{}, ended
	}
	return s.caller(from), nil
}

// alive reports whether a session is neither over nor left alone. g.mu is held.
func (g *Gate) alive(s *session, now time.Time) bool {
	return !over(s.ExpiresAt, now) && now.Sub(s.SeenAt) < sessionIdle && g.holds(s, now)
}

// LogOut ends a session; one that is over already is no error.
func (g *Gate) LogOut(ctx context.Context, secret, from string) error {
	c, err := g.Session(ctx, secret, from)
	if err != nil {
		return nil //nolint:nilerr // it is over
	}
	err = g.end(ctx, hashOf(secret))
	g.audit(c, "log out", "", err)
	return err
}

// Sweep ends the sessions that are over, and those whose users may no longer have them: it is to be
// called when the settings have changed.
func (g *Gate) Sweep(ctx context.Context) {
	now := g.o.Now()
	var gone []store.Hash
	g.mu.Lock()
	for hash, k := range g.sessions {
		if !g.alive(&session{*k}, now) {
			gone = append(gone, hash)
		}
	}
	g.mu.Unlock()
	if err := g.end(ctx, gone...); err != nil {
		g.o.Log.Warn("forget logins that are over", "error", err)
	}
}
