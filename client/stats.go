package client

import (
	"context"
	"net/url"
	"strconv"

	"github.com/queuemgr/queuemgr/job"
)

// Stats implements job.Service.
func (c *Client) Stats(ctx context.Context, o job.StatsOptions) (*job.Stats, error) {
	q := url.Values{}
	if o.Range != "" {
		q.Set("range", string(o.Range))
	}
	if o.Buckets != 0 {
		q.Set("buckets", strconv.Itoa(o.Buckets))
	}
	s := new(job.Stats)
	if err := c.get(ctx, c.o.Patience, withQuery("/api/stats", q), s); err != nil {
		return nil, err
	}
	return s, nil
}
