package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// Events implements job.Service. Where the connection is lost it goes on behind the last change
// that it has yielded, so that none is missed or comes twice. Without o.After the daemon is asked
// for its present position before Events returns.
func (c *Client) Events(ctx context.Context, o job.EventOptions) iter.Seq2[job.Change, error] {
	s := &subscription{c: c, o: o}
	var err error
	if o.After == nil {
		var now *job.Status
		if now, err = c.status(ctx, Forever); err == nil {
			s.last, s.known = now.Seq, true
		}
	} else {
		s.last = *o.After
	}
	return func(yield func(job.Change, error) bool) {
		if err != nil {
			if ctx.Err() == nil {
				yield(job.Change{}, err)
			}
			return
		}
		s.run(ctx, yield)
	}
}

// subscription is a stream of changes over one connection after the other.
type subscription struct {
	c     *Client
	o     job.EventOptions
	last  uint64 // position: all changes up to here were seen, or are of no interest
	known bool   // a daemon was there once
}

var errStopped = errors.New("the reader wants no more")

func (s *subscription) run(ctx context.Context, yield func(job.Change, error) bool) {
	var pause backoff
	for {
		before := s.last
		err := s.connect(ctx, yield)
		switch {
		case ctx.Err() != nil || errors.Is(err, errStopped):
			return
		case !gone(err) || !s.known && unreached(err):
			yield(job.Change{}, err)
			return
		}
		s.known = true
		s.c.lost(err)
		if s.last != before {
			pause.reset()
		}
		if pause.wait(ctx) != nil {
			return
		}
	}
}

// connect reads one connection to its end, and returns why it ended: Unavailable where the daemon
// went away.
func (s *subscription) connect(ctx context.Context, yield func(job.Change, error) bool) error {
	q := url.Values{"after": {strconv.FormatUint(s.last, 10)}}
	if s.o.Queue != "" {
		q.Set("queue", s.o.Queue)
	}
	if len(s.o.JobIDs) > 0 {
		ids := make([]string, len(s.o.JobIDs))
		for i, id := range s.o.JobIDs {
			ids[i] = strconv.FormatInt(id, 10)
		}
		q.Set("job", strings.Join(ids, ","))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := s.c.send(ctx, http.MethodGet, withQuery("/api/events", q), nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	s.known = true
	in := newEventReader(resp.Body)
	for {
		ev, err := in.next()
		switch {
		case errors.Is(err, bufio.ErrTooLong):
			// To connect again would lead to the same event.
			return &job.Error{Code: job.Internal, Message: fmt.Sprintf("the change after number %d is longer than %d bytes", s.last, maxEvent),
				Hint: "read the state anew and go on behind it", Err: err}
		case err != nil:
			return &job.Error{Code: job.Unavailable, Message: "the stream of events broke off", Err: err}
		}
		if ev.name == "resync" {
			return gap(ev.data)
		}
		if ev.data != nil {
			change, err := job.ParseChange(ev.data)
			if err != nil {
				return &job.Error{Code: job.Internal, Message: "the daemon sent a change that cannot be read: " + err.Error(), Err: err}
			}
			if !yield(change, nil) {
				return errStopped
			}
		}
		if ev.hasID {
			s.last = ev.id
		}
	}
}

// gap returns the error that the daemon sends to who comes too late.
func gap(data []byte) error {
	var p struct {
		Detail string `json:"detail"`
		Hint   string `json:"hint"`
	}
	if err := json.Unmarshal(data, &p); err != nil || p.Detail == "" {
		p.Detail = "changes after this position are no longer kept"
	}
	return &job.Error{Code: job.Exhausted, Message: p.Detail, Hint: p.Hint}
}
