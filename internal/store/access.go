package store

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Access is the record of who may ask over TCP, and of what was changed by whom. Nothing of it is a
// change: it never comes into registry.jsonl, events or an export.
type Access interface {
	Tokens
	Sessions
	Audit
}

// Hash is the SHA-256 of a secret of at least 128 random bits, which is itself on record nowhere.
type Hash = [sha256.Size]byte

// Token is a token with the hash of its secret; Token.Secret is empty.
type Token struct {
	job.Token
	Hash Hash
}

// Tokens is the record of tokens.
type Tokens interface {
	// Tokens returns all by name.
	Tokens(ctx context.Context) ([]Token, error)
	// AddToken records one. Errors: job.Conflict (ID, Name or Hash is taken).
	AddToken(ctx context.Context, t Token) error
	// DeleteToken removes one, and the sessions that were begun with it. It works on a full disk.
	// Errors: job.NotFound.
	DeleteToken(ctx context.Context, id string) error
	// UseTokens records when tokens were used last; those that are gone are passed over.
	UseTokens(ctx context.Context, used map[string]time.Time) error
}

// Session is a browser that is logged in.
type Session struct {
	Hash      Hash
	Name      string   // who it is
	Role      job.Role // what it may do at most
	UID       uint32   // of the machine's user who logged it in; job.NoUID for a token
	TokenID   string   // of the token that logged it in, "" for a user
	CreatedAt time.Time
	ExpiresAt time.Time // at the latest
	SeenAt    time.Time
}

// Sessions is the record of sessions.
type Sessions interface {
	// Sessions returns all, the oldest first.
	Sessions(ctx context.Context) ([]Session, error)
	// AddSession records one. Errors: job.Conflict (Hash is taken), job.NotFound (its token is gone).
	AddSession(ctx context.Context, s Session) error
	// SeeSessions records when sessions were seen last; those that are gone are passed over.
	SeeSessions(ctx context.Context, seen map[Hash]time.Time) error
	// DeleteSessions ends sessions; those that are gone are passed over. It works on a full disk.
	DeleteSessions(ctx context.Context, hashes ...Hash) error
}

// Audit is the record of changes by those who made them.
type Audit interface {
	// AddAudit records entries in order. Each gets a higher number than all before; a given one
	// does not count.
	AddAudit(ctx context.Context, entries []job.AuditEntry) error
	// Audit returns up to limit entries with a number below before, 0 for all, the newest first.
	Audit(ctx context.Context, before int64, limit int) ([]job.AuditEntry, error)
	// PruneAudit removes up to limit of the oldest entries: those from before a time, and those
	// beyond the newest keep. It returns how many went.
	PruneAudit(ctx context.Context, before time.Time, keep int64, limit int) (int, error)
}
