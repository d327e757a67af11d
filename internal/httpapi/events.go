package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// resync is the event that tells a reader that changes after its position are no longer kept.
const resync = "resync"

// eventBuffer is how many changes are read ahead of a client and sent together.
const eventBuffer = 64

func (h *Handler) eventRoutes() []route {
	return []route{{
		method: http.MethodGet, path: "/api/events", role: job.Viewer, id: "streamEvents", group: "events", summary: "Every change as it happens",
		about: "Server-sent events: `id` is the change's sequence number, `event` its kind, `data` the change as registry.jsonl has it. " +
			"A client that comes back with Last-Event-ID (or `after`) misses none. Where changes are asked for that are no longer kept, the one event is `" + resync +
			"`, whose data is a problem and whose id is the present position: read the state anew and go on from there. " +
			"Lines beginning with a colon are heartbeats. A reader that takes nothing for half a minute is dropped; nothing waits for it.",
		query: []param{
			{name: "after", about: "Sequence number to begin behind; none and no Last-Event-ID: only what happens from now on.", kind: uint64(0), example: 812},
			{name: "job", about: "Only changes of these jobs, by number.", kind: "", list: true, example: "7,12"},
			{name: "queue", about: "Only changes of this queue and its jobs.", kind: "", example: "video"},
		},
		headers: []param{{name: "Last-Event-ID", about: "The same as `after`, and stronger.", kind: uint64(0), example: 812}},
		status:  200, result: "", contentType: "text/event-stream", errors: []job.Code{job.Invalid}, serve: h.events,
	}}
}

// item is a change on its way to a client, or why there are no more.
type item struct {
	change job.Change
	err    error
}

func (h *Handler) events(w http.ResponseWriter, r *request) error {
	o, err := eventOptions(r)
	if err != nil {
		return err
	}
	ctx, stop := h.stream(r)
	// The filter is applied here, behind the service: so that the position of a reader of rare
	// changes moves on with all of them, and does not grow too old to be kept.
	items := make(chan item, eventBuffer)
	changes := h.o.Service.Events(ctx, job.EventOptions{After: o.After})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(items)
		for c, err := range changes {
			select {
			case items <- item{c, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() {
		stop()
		<-ended
	}()

	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	s := &eventStream{h: h, r: r, w: w, out: http.NewResponseController(w), filter: o}
	if err := s.run(items); err != nil {
		h.abort(r, err)
	}
	return nil
}

func eventOptions(r *request) (o job.EventOptions, err error) {
	text, field := r.Header.Get("Last-Event-ID"), "Last-Event-ID"
	if text == "" {
		text, field = r.query.text("after"), "after"
	}
	if err := r.query.notEmpty("job", "queue"); err != nil {
		return o, err
	}
	if text != "" {
		after, err := strconv.ParseUint(text, 10, 63) // 63: what the registry can count to
		if err != nil {
			return o, &job.Error{Code: job.Invalid, Field: field, Message: fmt.Sprintf("%s %q is no sequence number", field, text), Hint: "give the id of an event"}
		}
		o.After = &after
	}
	for _, word := range r.query.words("job") {
		id, ok := job.ParseID(word)
		if !ok || id < 1 {
			return o, &job.Error{Code: job.Invalid, Field: "job", Message: fmt.Sprintf("%q is no job's number", word), Hint: "give numbers: job=7,12"}
		}
		o.JobIDs = append(o.JobIDs, id)
	}
	o.Queue = r.query.text("queue")
	return o, nil
}

// eventStream writes changes to one client.
type eventStream struct {
	h      *Handler
	r      *request
	w      http.ResponseWriter
	out    *http.ResponseController
	filter job.EventOptions
	b      bytes.Buffer
	last   uint64 // sequence number of the last change that was read
	told   uint64 // the last one that the client knows of
}

// run sends until the changes end. It returns the error that broke the stream off.
func (s *eventStream) run(items <-chan item) error {
	beat := time.NewTicker(s.h.o.Heartbeat)
	defer beat.Stop()
	s.b.WriteString("retry: 1000\n\n")
	for {
		if err := s.flush(); err != nil {
			return err
		}
		select {
		case it, more := <-items:
			// All that is there goes in one write.
			for ; more; it, more = <-items {
				if it.err != nil {
					return s.end(it.err)
				}
				s.add(it.change)
				if len(items) == 0 || s.b.Len() > keepBuffer {
					break
				}
			}
			if !more {
				return context.Canceled
			}
		case <-beat.C:
			s.b.WriteString(":\n")
			if s.last > s.told {
				fmt.Fprintf(&s.b, "id: %d\n", s.last)
				s.told = s.last
			}
			s.b.WriteByte('\n')
		}
	}
}

func (s *eventStream) flush() error {
	if s.b.Len() == 0 {
		return nil
	}
	err := s.h.send(s.out, s.w, s.b.Bytes())
	s.b.Reset()
	return err
}

func (s *eventStream) add(c job.Change) {
	s.last = c.Seq
	if len(s.filter.JobIDs) > 0 && !slices.Contains(s.filter.JobIDs, c.JobID) || s.filter.Queue != "" && s.filter.Queue != c.Queue {
		return
	}
	s.told = c.Seq
	s.event(c.Seq, string(c.Kind), c.JSON)
}

func (s *eventStream) event(id uint64, name string, data []byte) {
	s.b.WriteString("id: ")
	s.b.Write(strconv.AppendUint(s.b.AvailableBuffer(), id, 10))
	s.b.WriteString("\nevent: ")
	s.b.WriteString(name)
	s.b.WriteString("\ndata: ")
	s.b.Write(data) // JSON without line breaks
	s.b.WriteString("\n\n")
}

// end tells a client whose position is not kept any more where to go on, and breaks off what ends
// for another reason, for the client to come again.
func (s *eventStream) end(err error) error {
	if job.CodeOf(err) != job.Exhausted {
		return err
	}
	now, statusErr := s.h.o.Service.Status(s.r.Context())
	if statusErr != nil {
		return statusErr
	}
	data, jsonErr := json.Marshal(problemOf(err))
	if jsonErr != nil {
		return jsonErr
	}
	s.event(min(now.Seq, math.MaxInt64), resync, data)
	return s.flush()
}
