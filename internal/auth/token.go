package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

const (
	maxTokens = 1000
	// longestToken bounds how long a token holds.
	longestToken = job.Duration(3650 * 24 * time.Hour)
)

// Tokens implements job.AccessService.
func (g *Gate) Tokens(ctx context.Context) ([]job.Token, error) {
	if _, err := g.admin(ctx, "see tokens"); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]job.Token, 0, len(g.byID))
	for _, t := range g.byID {
		list = append(list, t.Token)
	}
	slices.SortFunc(list, func(a, b job.Token) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// AddToken implements job.AccessService.
func (g *Gate) AddToken(ctx context.Context, n job.NewToken) (*job.Token, error) {
	c, err := g.admin(ctx, "make tokens")
	if err != nil {
		return nil, err
	}
	if err := checkNewToken(n); err != nil {
		return nil, err
	}
	made, err := g.addToken(ctx, n, c.Name)
	g.audit(c, "add token", fmt.Sprintf("token %s (%s)", n.Name, n.Role), err)
	return made, err
}

func (g *Gate) addToken(ctx context.Context, n job.NewToken, by string) (*job.Token, error) {
	g.changing.Lock()
	defer g.changing.Unlock()
	g.mu.Lock()
	many := len(g.byID)
	g.mu.Unlock()
	if many >= maxTokens {
		return nil, &job.Error{Code: job.Exhausted, Message: fmt.Sprintf("there are %d tokens", many), Hint: "revoke some: queuemgr token list"}
	}
	var id [6]byte
	rand.Read(id[:]) // never fails: crypto/rand
	secret := secretPrefix + newSecret()
	now := g.o.Now().UTC().Truncate(time.Microsecond)
	t := &store.Token{Hash: hashOf(secret), Token: job.Token{ID: hex.EncodeToString(id[:]), Name: n.Name, Role: n.Role, CreatedAt: now, CreatedBy: by}}
	if n.ExpiresIn != nil {
		t.ExpiresAt = now.Add(time.Duration(*n.ExpiresIn))
	}
	if err := g.o.Store.AddToken(context.WithoutCancel(ctx), *t); err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.keepToken(t)
	g.mu.Unlock()
	made := t.Token
	made.Secret = secret
	return &made, nil
}

func checkNewToken(n job.NewToken) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	if n.Name == "" || len(n.Name) > 64 || strings.Trim(n.Name, letters) != "" {
		return &job.Error{Code: job.Invalid, Field: "name", Message: fmt.Sprintf("%.80q can't be a token's name", n.Name), Hint: "give 1 to 64 of A-Z a-z 0-9 . _ -"}
	}
	if err := checkLoginRole(n.Role); err != nil {
		return err
	}
	if n.ExpiresIn != nil && (*n.ExpiresIn < job.Duration(time.Second) || *n.ExpiresIn > longestToken) {
		return &job.Error{Code: job.Invalid, Field: "expires_in", Message: "no token can hold so long", Hint: `give seconds or a text like "30d", up to ten years; nothing is for ever`}
	}
	return nil
}

func checkLoginRole(r job.Role) error {
	if slices.Contains(job.LoginRoles, r) {
		return nil
	}
	return &job.Error{Code: job.Invalid, Field: "role", Message: fmt.Sprintf("%.80q is no role of a login", string(r)), Hint: "give viewer, operator or admin"}
}

// DeleteToken implements job.AccessService.
func (g *Gate) DeleteToken(ctx context.Context, id string) error {
	c, err := g.admin(ctx, "revoke tokens")
	if err != nil {
		return err
	}
	g.changing.Lock()
	defer g.changing.Unlock()
	g.mu.Lock()
	t := g.byID[id]
	g.mu.Unlock()
	target := "token " + id
	if t != nil {
		target = "token " + t.Name
	}
	err = g.o.Store.DeleteToken(context.WithoutCancel(ctx), id)
	if err == nil && t != nil {
		g.forgetToken(t)
	}
	g.audit(c, "revoke token", target, err)
	return err
}

// forgetToken ends what hangs on a token that is gone from the record.
func (g *Gate) forgetToken(t *store.Token) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.byID, t.ID)
	delete(g.tokens, t.Hash)
	delete(g.used, t.ID)
	g.endWatched(t.ID)
	for hash, s := range g.sessions {
		if s.TokenID == t.ID {
			g.forgetSession(hash)
		}
	}
	for hash, k := range g.codes {
		if k.by.TokenID == t.ID {
			delete(g.codes, hash)
		}
	}
}
