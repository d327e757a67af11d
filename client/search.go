package client

import (
	"context"
	"strconv"

	"github.com/queuemgr/queuemgr/job"
)

// SearchLog implements job.Service.
func (c *Client) SearchLog(ctx context.Context, id int64, s job.LogSearch) (job.LogHits, error) {
	q := logQuery(&job.LogOptions{Attempt: s.Attempt, Stream: s.Stream, Limit: int64(s.Limit)})
	if s.Text != "" || !s.Errors {
		q.Set("search", s.Text)
	}
	for name, on := range map[string]bool{"errors": s.Errors, "backwards": s.Backwards, "ignore_case": s.IgnoreCase} {
		if on {
			q.Set(name, "true")
		}
	}
	if s.From != nil {
		q.Set("from", strconv.FormatInt(*s.From, 10))
	}
	var hits job.LogHits
	err := c.get(ctx, c.o.Patience, withQuery(jobPath(id, "/logs"), q), &hits)
	return hits, err
}
