package client

import (
	"context"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Pauses between attempts to reach a daemon that was there before: short at first, because a
// restart takes a fraction of a second.
const (
	firstPause = 20 * time.Millisecond
	maxPause   = 2 * time.Second
)

// backoff makes the pauses of one loss of the daemon.
type backoff struct{ next time.Duration }

// wait pauses, each time twice as long. It returns ctx's error when that ends first.
func (b *backoff) wait(ctx context.Context) error {
	b.next = min(max(2*b.next, firstPause), maxPause)
	t := time.NewTimer(b.next)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reset is called when the daemon has answered.
func (b *backoff) reset() { b.next = 0 }

// gone reports whether err is a daemon that is away, and may come back.
func gone(err error) bool { return job.CodeOf(err) == job.Unavailable }
