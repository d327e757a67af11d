package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

var _ job.HookService = (*Client)(nil)

// Hooks implements job.HookService.
func (c *Client) Hooks(ctx context.Context) ([]job.ConfiguredHook, error) {
	var list struct {
		Hooks []job.ConfiguredHook `json:"hooks"`
	}
	if err := c.get(ctx, c.o.Patience, "/api/hooks", &list); err != nil {
		return nil, err
	}
	return list.Hooks, nil
}

// HookDeliveries implements job.HookService.
func (c *Client) HookDeliveries(ctx context.Context, f job.DeliveryFilter) (page job.DeliveryPage, err error) {
	q := url.Values{}
	if f.JobID != 0 {
		q.Set("job", strconv.FormatInt(f.JobID, 10))
	}
	if len(f.States) > 0 {
		words := make([]string, len(f.States))
		for i, s := range f.States {
			words[i] = string(s)
		}
		q.Set("state", strings.Join(words, ","))
	}
	if f.Cursor != "" {
		q.Set("cursor", f.Cursor)
	}
	if f.Limit != 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	err = c.get(ctx, c.o.Patience, withQuery("/api/hooks/deliveries", q), &page)
	return page, err
}

// RetryDelivery implements job.HookService.
func (c *Client) RetryDelivery(ctx context.Context, id int64) (*job.Delivery, error) {
	d := new(job.Delivery)
	if err := c.call(ctx, http.MethodPost, fmt.Sprintf("/api/hooks/deliveries/%d/retry", id), nil, d); err != nil {
		return nil, err
	}
	return d, nil
}
