package httpapi

import (
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Headers that tell which attempt's log is answered and at which byte of it the answer begins, so
// that a reader can go on there after a lost connection.
const (
	attemptHeader = "Log-Attempt"
	offsetHeader  = "Log-Offset"
)

func (h *Handler) logRoutes() []route {
	return []route{{
		method: http.MethodGet, path: "/api/jobs/{id}/logs", role: job.Viewer, id: "readLog", group: "jobs", summary: "What a job wrote",
		about: "The bytes as they are. With `follow` they go on as the job writes, until the attempt has ended; an answer that the server breaks off ends without its last chunk. " +
			attemptHeader + " and " + offsetHeader + " say which attempt's log it is and at which byte of it the answer begins.",
		query: []param{
			{name: "stream", about: "Of a job that was added with `split`.", kind: "", enum: []string{"stdout", "stderr"}},
			{name: "attempt", about: "Which attempt; 0 or none is the newest.", kind: 0},
			{name: "offset", about: "Bytes to leave out at the beginning.", kind: int64(0)},
			{name: "tail", about: "Only the last lines; 0 or none is all.", kind: 0},
			{name: "follow", about: "Go on with what is written later.", kind: false},
		},
		status: 200, result: "", contentType: "text/plain; charset=utf-8",
		errors: []job.Code{job.Invalid, job.NotFound}, serve: h.readLog,
	}}
}

func (h *Handler) readLog(w http.ResponseWriter, r *request) error {
	o, err := logOptions(r.query)
	if err != nil {
		return err
	}
	j, err := h.byPath(r)
	if err != nil {
		return err
	}
	if o.Attempt == 0 { // decided here, because the client comes back for the same one
		o.Attempt = max(j.Attempt, 1)
		if o.Follow && j.State.Waiting() {
			o.Attempt = j.Attempt + 1
		}
	}
	ctx, stop := h.stream(r)
	defer stop()
	log, err := h.o.Service.Logs(ctx, j.ID, o)
	if err != nil {
		return err
	}
	defer log.Close()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set(attemptHeader, strconv.Itoa(o.Attempt))
	if at, ok := log.(interface{ Offset() int64 }); ok {
		w.Header().Set(offsetHeader, strconv.FormatInt(at.Offset(), 10))
	} else if o.Tail == 0 {
		w.Header().Set(offsetHeader, strconv.FormatInt(o.Offset, 10))
	}
	w.WriteHeader(http.StatusOK)
	if err := h.copyLog(w, log); err != nil {
		h.abort(r, err)
	}
	if o.Follow {
		// A service that is ending ends its logs too. That is no end of a log that is still written.
		now, err := h.o.Service.Job(r.Context(), j.ID)
		if err != nil || now.State.Live() && now.Attempt == o.Attempt {
			h.abort(r, err)
		}
	}
	return nil
}

func logOptions(q query) (o job.LogOptions, err error) {
	o.Stream = q.text("stream")
	attempt, err1 := q.number("attempt", math.MaxInt32)
	offset, err2 := q.number("offset", math.MaxInt64)
	tail, err3 := q.number("tail", math.MaxInt32)
	follow, err4 := q.flag("follow")
	o.Attempt, o.Offset, o.Tail, o.Follow = int(attempt), offset, int(tail), follow
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// copyLog passes a log on as it comes: each read is sent at once. A reader that takes nothing for
// WriteTimeout is dropped.
func (h *Handler) copyLog(w http.ResponseWriter, log io.Reader) error {
	out := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	if err := out.Flush(); err != nil { // the header: a follower may wait long for the first byte
		return err
	}
	for {
		n, err := log.Read(buf)
		if n > 0 {
			if err := h.send(out, w, buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// send writes b to the client at once, or fails when it does not take it within WriteTimeout.
func (h *Handler) send(out *http.ResponseController, w io.Writer, b []byte) error {
	if err := out.SetWriteDeadline(time.Now().Add(h.o.WriteTimeout)); err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return out.SetWriteDeadline(time.Time{})
}
