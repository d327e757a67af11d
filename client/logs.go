package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"

	"github.com/queuemgr/queuemgr/job"
)

// Logs implements job.Service. A followed log goes on where it was when the daemon comes back.
func (c *Client) Logs(ctx context.Context, id int64, o job.LogOptions) (io.ReadCloser, error) {
	ctx, stop := context.WithCancel(ctx)
	l := &logReader{c: c, ctx: ctx, stop: stop, id: id, o: o}
	patience := c.o.Patience
	if o.Follow {
		patience = Forever
	}
	if err := c.again(ctx, patience, l.open); err != nil {
		stop()
		return nil, err
	}
	return l, nil
}

// logReader reads a log, over several connections where it is followed. Reads are one at a time;
// Close may come from elsewhere.
type logReader struct {
	c    *Client
	ctx  context.Context
	stop context.CancelFunc
	id   int64
	o    job.LogOptions // Offset moves with what was read

	mu     sync.Mutex // held by Read, and by Close once stop has ended a Read that blocks
	body   io.ReadCloser
	closed bool
	pause  backoff
}

func (l *logReader) open() error {
	resp, err := l.c.send(l.ctx, http.MethodGet, withQuery(jobPath(l.id, "/logs"), logQuery(&l.o)), nil, nil)
	if err != nil {
		return err
	}
	l.body = resp.Body
	if attempt, err := strconv.Atoi(resp.Header.Get("Log-Attempt")); err == nil {
		l.o.Attempt = attempt // the same one after a lost connection
	}
	if at, err := strconv.ParseInt(resp.Header.Get("Log-Offset"), 10, 64); err == nil {
		l.o.Offset, l.o.Tail = at, 0 // from now on by offset
	}
	return nil
}

func logQuery(o *job.LogOptions) url.Values {
	q := url.Values{}
	for name, n := range map[string]int64{"attempt": int64(o.Attempt), "offset": o.Offset, "tail": int64(o.Tail), "limit": o.Limit} {
		if n != 0 {
			q.Set(name, strconv.FormatInt(n, 10))
		}
	}
	if o.Stream != "" {
		q.Set("stream", o.Stream)
	}
	if o.Follow {
		q.Set("follow", "true")
	}
	return q
}

// Read implements io.Reader.
func (l *logReader) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.closed {
			return 0, os.ErrClosed
		}
		if l.body == nil {
			if err := l.open(); err != nil {
				if !gone(err) {
					return 0, err
				}
				l.c.lost(err)
				if err := l.pause.wait(l.ctx); err != nil {
					return 0, err
				}
				continue
			}
		}
		n, err := l.body.Read(p)
		l.o.Offset += int64(n)
		if n > 0 {
			l.pause.reset()
			return n, nil // the next read meets an error again
		}
		switch {
		case err == nil || errors.Is(err, io.EOF):
			return n, err
		case l.ctx.Err() != nil:
			return 0, l.ctx.Err()
		case !l.o.Follow || l.o.Tail > 0: // a tail whose place is not known cannot be taken up again
			return 0, &job.Error{Code: job.Unavailable, JobID: l.id, Err: err, Message: fmt.Sprintf("the log of job %d broke off", l.id), Hint: "try again"}
		}
		_ = l.body.Close() // it is broken
		l.body = nil
		l.c.lost(err)
		if err := l.pause.wait(l.ctx); err != nil {
			return 0, err
		}
	}
}

// Close ends the reading at once.
func (l *logReader) Close() error {
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.body == nil {
		return nil
	}
	err := l.body.Close()
	l.body = nil
	return err
}
