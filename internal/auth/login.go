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
	// parent is the login that it was made with, which the new one hangs on: it ends with it, at ends at
	// the latest. The zero hash is none.
	parent store.Hash
	ends   time.Time
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
		g.failed(entry(c, has, makeLink, "", err))
		return nil, err
	}
	if role == "" {
		role = has
	}
	if err := checkLoginRole(role); err != nil {
		return nil, err
	}
	if !has.AtLeast(role) {
		err := &job.Error{Code: job.Forbidden, Field: "role", Message: fmt.Sprintf("%s is %s and can give no login as %s", c.Name, has, role), Hint: "give your own role, or a lower one"}
		g.failed(entry(c, has, makeLink, fmt.Sprintf("as %s", role), err))
		return nil, err
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
	if err := g.keepCode(c, hashOf(secret), k, now); err != nil {
		return nil, err
	}
	g.audit(c, makeLink, fmt.Sprintf("as %s", role), nil)
	return &job.Login{Code: secret, URL: page.URL + "#login=" + secret, Role: role, ExpiresAt: k.expires.UTC().Truncate(time.Second), Fingerprint: page.Fingerprint}, nil
}

const makeLink = "make login link"

// keepCode keeps a link that c makes. One made with a login hangs on that; such a one makes no further
// ones, so that whoever has got hold of a login can't leave what outlives it.
func (g *Gate) keepCode(c job.Caller, hash store.Hash, k *code, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.Via == job.ViaSession {
		s := g.sessionOf(c.SessionID)
		if s == nil {
			return unauthenticated("the login is over", loginHint)
		}
		if s.parent != (store.Hash{}) {
			return &job.Error{Code: job.Forbidden, Message: "this login was made with another one's link and makes none itself",
				Hint: "make the link with the other login, or with queuemgr web"}
		}
		k.parent, k.ends = s.Hash, s.ExpiresAt
	}
	g.makeRoomForCode(now)
	g.codes[hash] = k
	return nil
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

// LogIn begins a session and returns its secret, for the cookie. It takes the place of the one with the
// secret instead, "" for none: that ends, unless the new one hangs on it. from is the address. Errors:
// Unauthenticated, Throttled (RetryAfter says for how long).
func (g *Gate) LogIn(ctx context.Context, from string, with job.Credentials, instead string) (secret string, c job.Caller, err error) {
	now := g.o.Now()
	// Whoever has a good secret gets in, however many bad ones come, and those wait for nobody.
	if _, err := g.admit(with, now); err != nil {
		return "", c, g.turnedAway(from, err, now)
	}
	secret, s, err := g.logIn(ctx, with, now)
	if err != nil {
		return "", c, g.turnedAway(from, err, now)
	}
	c = s.caller(from)
	g.audit(c, "log in", "", nil)
	if instead != "" && hashOf(instead) != s.parent {
		if err := g.LogOut(ctx, instead, from); err != nil {
			g.o.Log.Warn("end the login before", "error", err)
		}
	}
	return secret, c, nil
}

// turnedAway is the answer to a login that failed with err: to who has failed often it is to wait.
func (g *Gate) turnedAway(from string, err error, now time.Time) error {
	if job.CodeOf(err) != job.Unauthenticated {
		return err // nobody's fault who tries
	}
	if wait := g.throttle.wait(from, now); wait > 0 {
		return &job.Error{Code: job.Throttled, Message: "too many logins have failed", RetryAfter: job.Duration(wait),
			Hint: fmt.Sprintf("try again in %d s", int(wait/time.Second)+1)}
	}
	g.throttle.fail(from, now)
	g.failed(job.AuditEntry{Via: job.ViaSession, From: from, Action: "log in", Outcome: string(job.CodeOf(err))})
	return err
}

func (g *Gate) logIn(ctx context.Context, with job.Credentials, now time.Time) (secret string, s *session, err error) {
	g.changing.Lock()
	defer g.changing.Unlock()
	// Once more: the link may have been used, the token revoked.
	if s, err = g.admit(with, now); err != nil {
		return "", nil, err
	}
	g.mu.Lock()
	if t := g.byID[s.TokenID]; t != nil && with.Token != "" {
		g.useToken(t, now)
	}
	delete(g.codes, hashOf(with.Code))
	g.mu.Unlock()
	secret = newSecretOf(s.parent)
	s.Hash, s.CreatedAt, s.SeenAt = hashOf(secret), now.UTC().Truncate(time.Microsecond), now.UTC().Truncate(time.Microsecond)
	if err := g.begin(ctx, s); err != nil {
		return "", nil, err
	}
	return secret, s, nil
}

// admit returns the session that a link or a token begins.
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
		s.Name, s.Role, s.UID, s.TokenID = t.Name, t.Role, job.NoUID, t.ID
		if !t.ExpiresAt.IsZero() && t.ExpiresAt.Before(s.ExpiresAt) {
			s.ExpiresAt = t.ExpiresAt
		}
		return s, nil
	}
	var k *code
	if len(with.Code) <= longestSecret {
		k = g.codes[hashOf(with.Code)]
	}
	if k == nil || over(k.expires, now) {
		return nil, unauthenticated("the link has been used already, or is too old", "get a new one: queuemgr web")
	}
	s.Name, s.Role, s.UID, s.TokenID = k.name, k.role, k.by.UID, k.by.TokenID
	s.parent = k.parent
	holds, err := g.holds(s, now)
	if err != nil {
		return nil, err
	}
	if !holds {
		return nil, unauthenticated("who made the link may not log in any more", loginHint)
	}
	if t := g.byID[s.TokenID]; t != nil && !t.ExpiresAt.IsZero() && t.ExpiresAt.Before(s.ExpiresAt) {
		s.ExpiresAt = t.ExpiresAt
	}
	if !k.ends.IsZero() && k.ends.Before(s.ExpiresAt) {
		s.ExpiresAt = k.ends
	}
	return s, nil
}
