package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/queuemgr/queuemgr/job"
)

var _ job.AccessService = (*Client)(nil)

// Me implements job.AccessService.
func (c *Client) Me(ctx context.Context) (*job.Me, error) {
	me := new(job.Me)
	if err := c.get(ctx, c.o.Patience, "/api/me", me); err != nil {
		return nil, err
	}
	return me, nil
}

// Tokens implements job.AccessService.
func (c *Client) Tokens(ctx context.Context) ([]job.Token, error) {
	var list struct {
		Tokens []job.Token `json:"tokens"`
	}
	if err := c.get(ctx, c.o.Patience, "/api/tokens", &list); err != nil {
		return nil, err
	}
	return list.Tokens, nil
}

// AddToken implements job.AccessService.
func (c *Client) AddToken(ctx context.Context, n job.NewToken) (*job.Token, error) {
	t := new(job.Token)
	if err := c.call(ctx, http.MethodPost, "/api/tokens", n, t); err != nil {
		return nil, err
	}
	return t, nil
}

// DeleteToken implements job.AccessService.
func (c *Client) DeleteToken(ctx context.Context, id string) error {
	if id == "" || id == "." || id == ".." {
		return &job.Error{Code: job.NotFound, Field: "id", Message: fmt.Sprintf("there is no token %q", id), Hint: "queuemgr token list shows all"}
	}
	return c.call(ctx, http.MethodDelete, "/api/tokens/"+url.PathEscape(id), nil, nil)
}

// AddLogin implements job.AccessService.
func (c *Client) AddLogin(ctx context.Context, role job.Role) (*job.Login, error) {
	l := new(job.Login)
	if err := c.call(ctx, http.MethodPost, "/api/logins", map[string]job.Role{"role": role}, l); err != nil {
		return nil, err
	}
	return l, nil
}

// EndLogins implements job.AccessService.
func (c *Client) EndLogins(ctx context.Context) (ended job.EndedLogins, err error) {
	err = c.call(ctx, http.MethodDelete, "/api/logins", nil, &ended)
	return ended, err
}

// Audit implements job.AccessService.
func (c *Client) Audit(ctx context.Context, cursor string, limit int) (page job.AuditPage, err error) {
	q := url.Values{}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	if limit != 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	err = c.get(ctx, c.o.Patience, withQuery("/api/audit", q), &page)
	return page, err
}

// Settings implements job.AccessService.
func (c *Client) Settings(ctx context.Context) ([]job.Setting, error) {
	var list struct {
		Settings []job.Setting `json:"settings"`
	}
	if err := c.get(ctx, c.o.Patience, "/api/settings", &list); err != nil {
		return nil, err
	}
	return list.Settings, nil
}
