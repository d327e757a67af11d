package client

import (
	"context"
	"net/http"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Status implements job.Service.
func (c *Client) Status(ctx context.Context) (*job.Status, error) { return c.status(ctx, c.o.Patience) }

func (c *Client) status(ctx context.Context, limit time.Duration) (*job.Status, error) {
	s := new(job.Status)
	if err := c.get(ctx, limit, "/api/status", s); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload implements job.Service.
func (c *Client) Reload(ctx context.Context) (job.Reloaded, error) {
	var what job.Reloaded
	err := c.call(ctx, http.MethodPost, "/api/daemon/reload", nil, &what)
	return what, err
}

// Shutdown implements job.Service.
func (c *Client) Shutdown(ctx context.Context, keepJobs bool) error {
	return c.call(ctx, http.MethodPost, "/api/daemon/shutdown", map[string]bool{"keep_jobs": keepJobs}, nil)
}
