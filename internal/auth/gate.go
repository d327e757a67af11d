package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// GateOptions of OpenGate. All but Page and Settings are required.
type GateOptions struct {
	Store interface {
		store.Tokens
		store.Sessions
	}
	Audit *Recorder
	Now   func() time.Time
	// RoleOf returns what a caller may do now, "" for one that is no more.
	RoleOf func(job.Caller) job.Role
	// UserName returns the name of a user of this machine, the number where there is none. An error is
	// that this can't be told now.
	UserName func(uid uint32) (string, error)
	// Page says how the page is served now; nil = not at all.
	Page func() *job.WebStatus
	// Settings returns those in force.
	Settings func() []job.Setting
	Log      *slog.Logger
}

// Gate knows who asks over TCP: tokens, logins and the links that begin them. It is the one writer of
// the tokens and sessions on record, so that what it has in memory is true. It is safe for concurrent
// use.
type Gate struct {
	o GateOptions

	throttle throttle

	mu       sync.Mutex
	tokens   map[store.Hash]*store.Token
	byID     map[string]*store.Token
	sessions map[store.Hash]*session
	codes    map[store.Hash]*code
	// What Run has to write.
	used map[string]time.Time
	seen map[store.Hash]time.Time

	watched map[string]map[*watch]struct{} // what lasts, by the token or session that it hangs on

	changing sync.Mutex // held while tokens are made or revoked and sessions begun: on record first, then in memory
}

var _ job.AccessService = (*Gate)(nil)

// OpenGate reads who may ask. Run is to be called.
func OpenGate(ctx context.Context, o GateOptions) (*Gate, error) {
	g := &Gate{o: o, tokens: map[store.Hash]*store.Token{}, byID: map[string]*store.Token{}, sessions: map[store.Hash]*session{},
		codes: map[store.Hash]*code{}, watched: map[string]map[*watch]struct{}{}, used: map[string]time.Time{}, seen: map[store.Hash]time.Time{}}
	tokens, err := o.Store.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	for i := range tokens {
		g.keepToken(&tokens[i])
	}
	sessions, err := o.Store.Sessions(ctx)
	if err != nil {
		return nil, err
	}
	for i := range sessions {
		g.sessions[sessions[i].Hash] = &session{Session: sessions[i]}
	}
	return g, nil
}

func (g *Gate) keepToken(t *store.Token) {
	g.tokens[t.Hash], g.byID[t.ID] = t, t
}

// stampEvery is how often it is written when tokens and sessions were used last. A crash forgets so
// much at most.
const stampEvery = 5 * time.Minute

// Run writes when tokens and sessions were used last and forgets sessions that are over, until ctx ends.
func (g *Gate) Run(ctx context.Context) {
	tick := time.NewTicker(stampEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			g.stamp(context.WithoutCancel(ctx))
			return
		case <-tick.C:
			g.stamp(ctx)
			g.Sweep(ctx)
		}
	}
}

// stamp writes what is not written yet of when tokens and sessions were used.
func (g *Gate) stamp(ctx context.Context) {
	g.mu.Lock()
	used, seen := g.used, g.seen
	g.used, g.seen = map[string]time.Time{}, map[store.Hash]time.Time{}
	g.mu.Unlock()
	if err := g.o.Store.UseTokens(ctx, used); err != nil {
		g.o.Log.Warn("write when tokens were used last", "error", err)
	}
	if err := g.o.Store.SeeSessions(ctx, seen); err != nil {
		g.o.Log.Warn("write when logins were used last", "error", err)
	}
}

// secretPrefix begins every token, so that scanners for leaked secrets find them.
const secretPrefix = "qm_"

// newSecret returns 256 random bits as text.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// longestSecret bounds what is hashed, in bytes.
const longestSecret = 128

// hashOf returns what a secret is looked up by. Looking up hashes takes a time that tells nothing of
// the secrets: who guesses does not choose the hash.
func hashOf(secret string) store.Hash { return sha256.Sum256([]byte(secret)) }

func unauthenticated(message, hint string) error {
	return &job.Error{Code: job.Unauthenticated, Message: message, Hint: hint}
}

const loginHint = "queuemgr web gives a link to log in with, queuemgr token add a token for programs"

// Bearer returns who has a token. Errors: Unauthenticated.
func (g *Gate) Bearer(secret, from string) (job.Caller, error) {
	now := g.o.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.tokenOf(secret)
	switch {
	case t == nil:
		return job.Caller{}, unauthenticated("the token is not known: it was never made, or is revoked", loginHint)
	case over(t.ExpiresAt, now):
		return job.Caller{}, unauthenticated("the token "+t.Name+" has expired", "make a new one: queuemgr token add")
	}
	g.useToken(t, now)
	return job.Caller{UID: job.NoUID, GID: job.NoUID, Name: t.Name, Via: job.ViaToken, Role: t.Role, From: from,
		TokenID: t.ID, LoginUID: job.NoUID, ExpiresAt: t.ExpiresAt}, nil
}

// tokenOf returns the token with a secret, nil for none. g.mu is held.
func (g *Gate) tokenOf(secret string) *store.Token {
	if len(secret) > longestSecret {
		return nil
	}
	return g.tokens[hashOf(secret)]
}

func (g *Gate) useToken(t *store.Token, now time.Time) {
	now = now.UTC().Truncate(time.Microsecond)
	t.LastUsedAt, g.used[t.ID] = now, now
}

// over reports whether a time has come; none never does.
func over(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// Me implements job.AccessService.
func (g *Gate) Me(ctx context.Context) (*job.Me, error) {
	c, ok := job.CallerFrom(ctx)
	if !ok {
		return nil, nobody()
	}
	return g.me(c), nil
}

func (g *Gate) me(c job.Caller) *job.Me {
	me := &job.Me{Name: c.Name, Role: g.o.RoleOf(c), Via: c.Via, ExpiresAt: c.ExpiresAt}
	if me.Via == "" {
		me.Via = job.ViaSocket
	}
	return me
}

// admin returns who asks, if they may manage access.
func (g *Gate) admin(ctx context.Context, what string) (job.Caller, error) {
	c, ok := job.CallerFrom(ctx)
	if !ok {
		return c, nobody()
	}
	role := g.o.RoleOf(c)
	err := refuse(c, role, manageAccess, what)
	if err != nil {
		g.failed(entry(c, role, what, "", err))
	}
	return c, err
}

// audit records what was done about access. The log has it, too: it is where an intruder would have to
// be silent first.
func (g *Gate) audit(c job.Caller, action, target string, err error) {
	e := entry(c, g.o.RoleOf(c), action, target, err)
	g.o.Audit.add(note{AuditEntry: e}, err)
	g.o.Log.Info("access", "action", action, "target", target, "who", e.Who, "via", e.Via, "from", e.From, "outcome", e.Outcome)
}

// failed records an attempt that was refused, unless there are too many.
func (g *Gate) failed(e job.AuditEntry) {
	if !g.o.Audit.fail(note{AuditEntry: e}) {
		return
	}
	g.o.Log.Warn("access refused", "action", e.Action, "target", e.Target, "who", e.Who, "via", e.Via, "from", e.From, "outcome", e.Outcome)
}

// Refused records that a caller was refused what its role does not let it do.
func (g *Gate) Refused(c job.Caller, what string) {
	g.failed(entry(c, g.o.RoleOf(c), what, "", &job.Error{Code: job.Forbidden}))
}

// Audit implements job.AccessService.
func (g *Gate) Audit(ctx context.Context, cursor string, limit int) (page job.AuditPage, err error) {
	if _, err := g.admin(ctx, "read the audit"); err != nil {
		return page, err
	}
	before := int64(0)
	if cursor != "" {
		if before, err = strconv.ParseInt(cursor, 10, 64); err != nil || before < 1 {
			return page, &job.Error{Code: job.Invalid, Field: "cursor", Message: "the cursor is none of this list", Hint: "begin without one"}
		}
	}
	if limit == 0 {
		limit = job.DefaultLimit
	}
	if limit < 0 || limit > job.MaxLimit {
		return page, &job.Error{Code: job.Invalid, Field: "limit", Message: "no such page can be made", Hint: "give a limit from 1 to " + strconv.Itoa(job.MaxLimit)}
	}
	page.Entries, err = g.o.Audit.Read(ctx, before, limit)
	if len(page.Entries) == limit {
		page.NextCursor = strconv.FormatInt(page.Entries[limit-1].ID, 10)
	}
	return page, err
}

// Settings implements job.AccessService.
func (g *Gate) Settings(ctx context.Context) ([]job.Setting, error) {
	if _, err := g.admin(ctx, "read the settings"); err != nil {
		return nil, err
	}
	if g.o.Settings == nil {
		return []job.Setting{}, nil
	}
	return g.o.Settings(), nil
}
