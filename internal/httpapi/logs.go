package httpapi

import (
	"errors"
	"fmt"
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
	sizeHeader    = "Log-Size" // of the whole log then
)

func (h *Handler) logRoutes() []route {
	return []route{{
		method: http.MethodGet, path: "/api/jobs/{id}/logs", role: job.Viewer, id: "readLog", group: "jobs", summary: "What a job wrote",
		about: "The bytes as they are. With `follow` they go on as the job writes, until the attempt has ended; an answer that the server breaks off ends without its last chunk. " +
			attemptHeader + " and " + offsetHeader + " say which attempt's log it is and at which byte of it the answer begins, " + sizeHeader + " how long the log was then. " +
			"With `search` or `errors` the answer is JSON: lines that hold a text or look like an error, and where to go on; one request reads no more than a few MiB.",
		query: []param{
			{name: "stream", about: "Of a job that was added with `split`.", kind: "", enum: []string{"stdout", "stderr"}},
			{name: "attempt", about: "Which attempt; 0 or none is the newest.", kind: 0, example: 1},
			{name: "offset", about: "Bytes to leave out at the beginning.", kind: int64(0), example: 4096},
			{name: "tail", about: "Only the last lines; 0 or none is all.", kind: 0, example: 100},
			{name: "limit", about: "Most bytes, or hits of a search; 0 or none is all, of a search " + strconv.Itoa(job.DefaultLogHits) + ".", kind: int64(0), example: 65536},
			{name: "download", about: "As a file to save.", kind: false},
			{name: "search", about: "Answer the lines that hold this text.", kind: "", example: "error"},
			{name: "errors", about: "Answer the lines that look like an error: with a word as error, failed, fatal, panic, exception or killed.", kind: false},
			{name: "ignore_case", about: "Of a search: the case of ASCII letters does not count.", kind: false},
			{name: "from", about: "Of a search: the byte to begin at; none is the beginning, or the end for `backwards`. Give `next` of the answer before.", kind: int64(0), example: 8470528},
			{name: "backwards", about: "Of a search: from there towards the beginning.", kind: false},
			{name: "follow", about: "Go on with what is written later.", kind: false},
		},
		status: 200, result: "", contentType: typeText, others: map[string]any{"application/json": job.LogHits{}},
		errors: []job.Code{job.Invalid, job.NotFound}, serve: h.readLog,
	}}
}

func (h *Handler) readLog(w http.ResponseWriter, r *request) error {
	errors, err := r.query.flag("errors")
	if err != nil {
		return err
	}
	if errors || r.query.values.Has("search") {
		return h.searchLog(w, r, errors)
	}
	if err := r.query.without("from", "backwards", "ignore_case"); err != nil {
		return err
	}
	download, err := r.query.flag("download")
	if err != nil {
		return err
	}
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
	if all, ok := log.(interface{ Size() int64 }); ok {
		w.Header().Set(sizeHeader, strconv.FormatInt(all.Size(), 10))
	}
	if download {
		w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="job-%d.%d%s.log"`, j.ID, o.Attempt, map[bool]string{true: ".err"}[o.Stream == "stderr"]))
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
	limit, err5 := q.number("limit", math.MaxInt64)
	o.Attempt, o.Offset, o.Tail, o.Limit, o.Follow = int(attempt), offset, int(tail), limit, follow
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// searchLog answers the lines that hold a text, or look like errors.
func (h *Handler) searchLog(w http.ResponseWriter, r *request, errors bool) error {
	if err := r.query.without("offset", "tail", "follow", "download"); err != nil {
		return err
	}
	s := job.LogSearch{Stream: r.query.text("stream"), Text: r.query.text("search"), Errors: errors}
	attempt, err1 := r.query.number("attempt", math.MaxInt32)
	limit, err2 := r.query.number("limit", job.MaxLogHits)
	from, err3 := r.query.number("from", math.MaxInt64)
	backwards, err4 := r.query.flag("backwards")
	ignore, err5 := r.query.flag("ignore_case")
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return err
		}
	}
	s.Attempt, s.Limit, s.Backwards, s.IgnoreCase = int(attempt), int(limit), backwards, ignore
	if r.query.text("from") != "" {
		s.From = &from
	}
	j, err := h.byPath(r)
	if err != nil {
		return err
	}
	hits, err := h.o.Service.SearchLog(r.Context(), j.ID, s)
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, hits)
}

// copyLog passes a log on as it comes: each read is sent at once. A reader that takes nothing for
// WriteTimeout is dropped.
func (h *Handler) copyLog(w http.ResponseWriter, log io.Reader) error {
	out := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	if err := h.send(out, w, nil); err != nil { // the header: a follower may wait long for the first byte
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
