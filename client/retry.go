package client

import (
	"context"
	"errors"
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

// again asks and, where the daemon goes away meanwhile, waits for it and asks again, until limit has
// passed or ctx ends. What is asked must change nothing.
func (c *Client) again(ctx context.Context, limit time.Duration, ask func() error) error {
	err := ask()
	if limit <= 0 || !gone(err) || unreached(err) {
		return err
	}
	patience, cancel := ctx, func() {}
	if limit != Forever {
		patience, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	c.lost(err)
	for pause := (backoff{}); pause.wait(patience) == nil; {
		if err = ask(); !gone(err) {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// lost tells that the daemon is away and waited for, unless that is told already.
func (c *Client) lost(reason error) {
	if c.o.Away != nil && c.away.CompareAndSwap(false, true) {
		c.o.Away(reason)
	}
}

// answered tells that the daemon is back, where it was told to be away.
func (c *Client) answered() {
	if c.away.Load() && c.away.CompareAndSwap(true, false) {
		c.o.Away(nil)
	}
}

// noAnswerError is the cause of an error where there was no daemon to begin with.
type noAnswerError struct{ error }

func (e noAnswerError) Unwrap() error { return e.error }

// unreached reports whether err is of a request that met no daemon at all.
func unreached(err error) bool {
	var none noAnswerError
	return errors.As(err, &none)
}

// gone reports whether err is a daemon that is away, and may come back.
func gone(err error) bool { return job.CodeOf(err) == job.Unavailable }
