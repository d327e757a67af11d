package client

import (
	"context"

	"github.com/queuemgr/queuemgr/job"
)

// WaitJob implements job.Service. It asks again and again, each time for up to a minute. A daemon
// that is away when it is first asked is an error; one that goes away later is waited for.
func (c *Client) WaitJob(ctx context.Context, id int64) (*job.Job, error) {
	// At once, so that there is a last known state whatever comes.
	last, err := c.job(ctx, Forever, jobPath(id, ""))
	if err != nil {
		return nil, err
	}
	var pause backoff
	away := false
	for !last.State.Ended() {
		// After a loss what is answered at once comes first: it tells that the daemon is back.
		path := jobPath(id, "?wait=60")
		if away {
			path = jobPath(id, "")
		}
		j, err := c.job(ctx, 0, path)
		switch {
		case err == nil:
			last = j
			if !away {
				pause.reset()
			}
			away = false
		case ctx.Err() != nil:
			return last, ctx.Err()
		case !gone(err):
			return nil, err
		default:
			away = true
			c.lost(err)
			if err := pause.wait(ctx); err != nil {
				return last, err
			}
		}
	}
	return last, nil
}
