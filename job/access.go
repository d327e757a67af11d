package job

import (
	"context"
	"time"
)

// Role is what a caller may do. A higher one may do all that a lower one may, but for Member, which
// stands apart: it is a user of the machine, who may do everything with their own jobs.
type Role string

// Roles. Over the unix socket a caller is member, operator or admin, over TCP viewer, operator or
// admin.
const (
	Viewer   Role = "viewer"   // sees everything but environments, tokens, settings and the audit
	Member   Role = "member"   // adds jobs, does anything with its own, sees the others' but not their output
	Operator Role = "operator" // also adds, starts, stops, holds and deletes anybody's jobs, manages queues
	Admin    Role = "admin"    // everything
)

// LoginRoles are those that a token or a login may have, from the lowest.
var LoginRoles = []Role{Viewer, Operator, Admin}

// level orders the roles: 0 is no role.
func (r Role) level() int {
	switch r {
	case Viewer:
		return 1
	case Member:
		return 2
	case Operator:
		return 3
	case Admin:
		return 4
	}
	return 0
}

// AtLeast reports whether r is a role that stands at or above least. Nothing that is no role stands
// above or below any.
func (r Role) AtLeast(least Role) bool { return least.level() > 0 && r.level() >= least.level() }

// Via is the way on which a caller came.
type Via string

// Ways.
const (
	ViaSocket  Via = "socket"
	ViaToken   Via = "token"
	ViaSession Via = "session"
)

// NoUID stands for the user of a caller who is none of this machine's: it came over TCP. The kernel
// gives this number to nobody.
const NoUID uint32 = 1<<32 - 1

// Me is a caller as it is told about itself.
type Me struct {
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	Via       Via       `json:"via"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // of the token or the login, at the latest
}

// Token is a login for programs. Its secret is known to whom it was given alone.
type Token struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Role       Role      `json:"role"`
	CreatedAt  time.Time `json:"created_at"`
	CreatedBy  string    `json:"created_by"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"` // to some minutes
	Secret     string    `json:"secret,omitempty"`      // in the answer to its making, and never again
}

// NewToken is a token to make.
type NewToken struct {
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	ExpiresIn *Duration `json:"expires_in,omitempty"` // from now; nil = never
}

// Login is a link that logs a browser in, once.
type Login struct {
	Code        string    `json:"code"`
	URL         string    `json:"url"`
	Role        Role      `json:"role"`
	ExpiresAt   time.Time `json:"expires_at"`
	Fingerprint string    `json:"fingerprint,omitempty"` // SHA-256 of the certificate that the service has made
}

// EndedLogins says how many logins were ended, and links that had not been used.
type EndedLogins struct {
	Logins int `json:"logins"`
	Links  int `json:"links"`
}

// Credentials are what a browser logs in with: one of the two.
type Credentials struct {
	Code  string `json:"code,omitempty"`  // of a link
	Token string `json:"token,omitempty"` // a token's secret
}

// AuditEntry is one change, tried or done.
type AuditEntry struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Who     string    `json:"who"` // "" = nobody who is known
	Role    Role      `json:"role,omitempty"`
	Via     Via       `json:"via,omitempty"`
	From    string    `json:"from,omitempty"` // address
	Action  string    `json:"action"`
	Target  string    `json:"target,omitempty"`
	Outcome string    `json:"outcome"` // done, or the code of the error
}

// AuditPage is a part of the audit, newest first.
type AuditPage struct {
	Entries    []AuditEntry `json:"entries"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// Setting is a setting as it is in force.
type Setting struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`  // durations in seconds, sizes in bytes
	Source string `json:"source"` // "default", FILE:LINE, the variable or the flag
}

// AccessService is about who may ask. All of it but Me is for admins; AddLogin also for operators.
type AccessService interface {
	// Me returns who asks.
	Me(ctx context.Context) (*Me, error)
	// Tokens returns all by name.
	Tokens(ctx context.Context) ([]Token, error)
	// AddToken makes one and returns it with its secret. Errors: Invalid, Conflict (name),
	// Exhausted, Forbidden.
	AddToken(ctx context.Context, t NewToken) (*Token, error)
	// DeleteToken revokes one, and the logins that were made with it. Errors: NotFound, Forbidden.
	DeleteToken(ctx context.Context, id string) error
	// AddLogin makes a link that logs a browser in with a role, "" = the caller's own. Errors:
	// Invalid, Forbidden (a higher role than the caller's), WrongState (the page is not served).
	AddLogin(ctx context.Context, role Role) (*Login, error)
	// EndLogins ends all logins at once, and the links that were not used. Errors: Forbidden.
	EndLogins(ctx context.Context) (EndedLogins, error)
	// Audit returns a page of what was changed, by whom and from where. limit 0 = DefaultLimit.
	Audit(ctx context.Context, cursor string, limit int) (AuditPage, error)
	// Settings returns those in force.
	Settings(ctx context.Context) ([]Setting, error)
}

// WebStatus is how the page is served.
type WebStatus struct {
	Listen      string `json:"listen"`                // the setting
	URL         string `json:"url,omitempty"`         // where it answers; none while it does not
	Problem     string `json:"problem,omitempty"`     // why it does not, in words
	Fingerprint string `json:"fingerprint,omitempty"` // SHA-256 of the certificate that the service has made
}
