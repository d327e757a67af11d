package client

import (
	"context"

	"github.com/queuemgr/queuemgr/job"
)

// WaitJob implements job.Service. It asks again and again, each time for up to a minute. A daemon
// that is away when it is first asked is an error; one that goes away later is waited for.
func (c *Client) WaitJob(ctx context.Context, id int64) (*job.Job, error) {
	// At once, so that there is a last known state whatever comes.
	last, err := c.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	var pause backoff
	for !last.State.Ended() {
		j, err := c.job(ctx, jobPath(id, "?wait=60"))
		switch {
		case err == nil:
			last = j
			pause.reset()
		case ctx.Err() != nil:
			return last, ctx.Err()
		case !gone(err):
			return nil, err
		default:
			if err := pause.wait(ctx); err != nil {
				return last, err
			}
		}
	}
	return last, nil
}
