package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

const (
	codeHolds = 5 * time.Minute
	maxCodes  = 100
)

// code is a link that was given out and not used yet. It is in memory alone: a link does not outlive
// the daemon.
type code struct {
	name    string
	role    job.Role
	by      origin
	expires time.Time
}

// origin is who stands behind a login: a user of this machine or a token. When they are gone, so is
// the login.
type origin struct {
	UID     uint32
	TokenID string
}

func originOf(c job.Caller) origin {
	if c.OverTCP() {
		return origin{c.LoginUID, c.TokenID}
	}
	return origin{c.UID, ""}
}

// AddLogin implements job.AccessService.
func (g *Gate) AddLogin(ctx context.Context, role job.Role) (*job.Login, error) {
	c, ok := job.CallerFrom(ctx)
	if !ok {
		return nil, nobody()
	}
	has := g.o.RoleOf(c)
	if err := refuse(c, has, makeLogins, "log in to the page"); err != nil {
		return nil, err
	}
	if role == "" {
		role = has
	}
	if err := checkLoginRole(role); err != nil {
		return nil, err
	}
	if !has.AtLeast(role) {
		return nil, &job.Error{Code: job.Forbidden, Field: "role", Message: fmt.Sprintf("%s is %s and can give no login as %s", c.Name, has, role), Hint: "give your own role, or a lower one"}
	}
	var page *job.WebStatus
	if g.o.Page != nil {
		page = g.o.Page()
	}
	if page == nil || page.URL == "" {
		return nil, notServed(page)
	}
	secret, now := newSecret(), g.o.Now()
	k := &code{name: c.Name, role: role, by: originOf(c), expires: now.Add(codeHolds)}
	g.mu.Lock()
	g.makeRoomForCode(now)
	g.codes[hashOf(secret)] = k
	g.mu.Unlock()
	g.audit(c, "make login link", fmt.Sprintf("as %s", role), nil)
	return &job.Login{Code: secret, URL: page.URL + "#login=" + secret, Role: role, ExpiresAt: k.expires.UTC().Truncate(time.Second), Fingerprint: page.Fingerprint}, nil
}

func notServed(page *job.WebStatus) error {
	if page == nil || page.Listen == "" {
		return &job.Error{Code: job.WrongState, Message: "the page is not served: the setting [web] listen is off",
			Hint: `set it to "127.0.0.1:5000" and start the daemon again: queuemgr daemon restart`}
	}
	return &job.Error{Code: job.WrongState, Message: "the page is not served: " + page.Problem, Hint: "it is tried again by itself; queuemgr service status shows when it is served"}
}

// makeRoomForCode forgets the links that are over, and the one that is over next where there are too
// many. g.mu is held.
func (g *Gate) makeRoomForCode(now time.Time) {
	var first store.Hash
	var at time.Time
	for hash, k := range g.codes {
		if over(k.expires, now) {
			delete(g.codes, hash)
		} else if at.IsZero() || k.expires.Before(at) {
			first, at = hash, k.expires
		}
	}
	if len(g.codes) >= maxCodes {
		delete(g.codes, first)
	}
}

// LogIn begins a session and returns its secret, for the cookie. from is the address. Errors:
// Unauthenticated, Throttled (RetryAfter says for how long).
func (g *Gate) LogIn(ctx context.Context, from string, with job.Credentials) (secret string, c job.Caller, err error) {
	now := g.o.Now()
	if wait := g.throttle.wait(from, now); wait > 0 {
		return "", c, &job.Error{Code: job.Throttled, Message: "too many logins have failed", RetryAfter: job.Duration(wait),
			Hint: fmt.Sprintf("try again in %d s", int(wait/time.Second)+1)}
	}
	g.changing.Lock()
	defer g.changing.Unlock()
	s, err := g.admit(with, now)
	if err != nil {
		g.throttle.fail(from, now)
		g.failed(job.AuditEntry{Via: job.ViaSession, From: from, Action: "log in", Outcome: string(job.CodeOf(err))})
		return "", c, err
	}
	secret = newSecret()
	s.Hash, s.CreatedAt, s.SeenAt = hashOf(secret), now.UTC().Truncate(time.Microsecond), now.UTC().Truncate(time.Microsecond)
	if err := g.begin(ctx, s); err != nil {
		return "", c, err
	}
	c = s.caller(from)
	g.audit(c, "log in", "", nil)
	return secret, c, nil
}

// admit returns the session that a link or a token begins. A link is used up by it.
func (g *Gate) admit(with job.Credentials, now time.Time) (*session, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &session{}
	s.ExpiresAt = now.Add(sessionHolds).UTC().Truncate(time.Microsecond)
	if with.Token != "" {
		t := g.tokenOf(with.Token)
		if t == nil || over(t.ExpiresAt, now) {
			return nil, unauthenticated("the token is not known, revoked, or has expired", loginHint)
		}
		g.useToken(t, now)
		s.Name, s.Role, s.UID, s.TokenID = t.Name, t.Role, job.NoUID, t.ID
		if !t.ExpiresAt.IsZero() && t.ExpiresAt.Before(s.ExpiresAt) {
			s.ExpiresAt = t.ExpiresAt
		}
		return s, nil
	}
	var k *code
	if len(with.Code) <= longestSecret {
		hash := hashOf(with.Code)
		k = g.codes[hash]
		delete(g.codes, hash)
	}
	if k == nil || over(k.expires, now) {
		return nil, unauthenticated("the link has been used already, or is too old", "get a new one: queuemgr web")
	}
	s.Name, s.Role, s.UID, s.TokenID = k.name, k.role, k.by.UID, k.by.TokenID
	if !g.holds(s, now) {
		return nil, unauthenticated("who made the link may not log in any more", loginHint)
	}
	if t := g.byID[s.TokenID]; t != nil && !t.ExpiresAt.IsZero() && t.ExpiresAt.Before(s.ExpiresAt) {
		s.ExpiresAt = t.ExpiresAt
	}
	return s, nil
}
