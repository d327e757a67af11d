package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"

	"github.com/queuemgr/queuemgr/job"
)

// Feed implements job.Service. A feed ends with its connection: the error is then Unavailable, and
// who goes on opens another, which watches nothing yet. o.Beat is the daemon's to choose.
func (c *Client) Feed(ctx context.Context, _ job.FeedOptions) iter.Seq2[job.FeedUpdate, error] {
	return func(yield func(job.FeedUpdate, error) bool) {
		resp, err := c.send(ctx, http.MethodGet, "/api/feed", nil, nil)
		if err != nil {
			if ctx.Err() == nil {
				yield(job.FeedUpdate{}, err)
			}
			return
		}
		defer resp.Body.Close()
		for in := newEventReader(resp.Body); ; {
			ev, err := in.next()
			var u job.FeedUpdate
			if err == nil && ev.data != nil {
				err = json.Unmarshal(ev.data, &u)
			}
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				yield(u, &job.Error{Code: job.Unavailable, Message: "the feed broke off", Hint: "open another", Err: err})
				return
			}
			if !yield(u, nil) {
				return
			}
		}
	}
}

// WatchFeed implements job.Service.
func (c *Client) WatchFeed(ctx context.Context, id string, w job.FeedWatch) error {
	return c.call(ctx, http.MethodPut, "/api/feed/"+url.PathEscape(id), w, nil)
}

// Machine implements job.Service.
func (c *Client) Machine(ctx context.Context) (*job.Machine, error) {
	m := new(job.Machine)
	if err := c.get(ctx, c.o.Patience, "/api/machine", m); err != nil {
		return nil, err
	}
	return m, nil
}
