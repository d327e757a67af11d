package httpapi

import (
	"net/http"

	"github.com/queuemgr/queuemgr/job"
)

// feedMessage is job.FeedUpdate as the document describes it: there its records are JSON already.
type feedMessage struct {
	Feed    string                `json:"feed,omitempty"`
	Resync  bool                  `json:"resync,omitempty"`
	Seq     uint64                `json:"seq"`
	Status  *job.Status           `json:"status,omitempty"`
	Jobs    []job.Job             `json:"jobs,omitempty"`
	Gone    []int64               `json:"gone,omitempty"`
	Dirty   bool                  `json:"dirty,omitempty"`
	Logs    map[int64]job.FeedLog `json:"logs,omitempty"`
	Machine *job.Machine          `json:"machine,omitempty"`
}

func (h *Handler) feedRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/feed", role: job.Viewer, id: "openFeed", group: "events", summary: "What a page shows, kept up to date",
			about: "Server-sent events, at most ten a second. The first is `hello`, with the feed's id and the status; then `update` tells what is new of what the feed watches " +
				"(PUT /api/feed/{id}): the latest record of each job, not each change on the way there. `dirty` says that something else has changed, so that lists may be out of date. " +
				"`" + resync + "` says that something was left out: read anew what is shown. Lines beginning with a colon are heartbeats. A feed ends with its connection.",
			status: 200, result: feedMessage{}, contentType: "text/event-stream", serve: h.openFeed,
		},
		{
			method: http.MethodPut, path: "/api/feed/{feed}", role: job.Viewer, id: "watchFeed", group: "events", summary: "Choose what a feed watches",
			about:  "In place of what it watched before. Only who opened the feed may.",
			body:   job.FeedWatch{},
			status: 204, errors: []job.Code{job.Invalid, job.NotFound}, serve: h.watchFeed,
		},
		{
			method: http.MethodGet, path: "/api/machine", role: job.Viewer, id: "getMachine", group: "daemon", summary: "How busy the machine is",
			status: 200, result: job.Machine{}, serve: h.machine,
		},
	}
}

func (h *Handler) openFeed(w http.ResponseWriter, r *request) error {
	ctx, stop := h.stream(r)
	defer stop()
	out := http.NewResponseController(w)
	var b []byte
	for u, err := range h.o.Service.Feed(ctx, job.FeedOptions{Beat: job.Duration(h.o.Heartbeat)}) {
		if err != nil {
			if b == nil {
				return err
			}
			h.abort(r, err)
		}
		if b == nil {
			header := w.Header()
			header.Set("Content-Type", "text/event-stream")
			header.Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusOK)
			b = append(b, "retry: 1000\n\n"...)
		}
		if err := h.send(out, w, appendFeed(b, &u)); err != nil {
			h.abort(r, err)
		}
		if b = b[:0]; cap(b) > keepBuffer {
			b = []byte{}
		}
	}
	h.abort(r, nil) // it never ends by itself
	return nil
}

// appendFeed appends u as an event, or as a heartbeat where it tells nothing.
func appendFeed(b []byte, u *job.FeedUpdate) []byte {
	name := "update"
	switch {
	case u.Empty():
		return append(b, ":\n\n"...)
	case u.Feed != "":
		name = "hello"
	case u.Resync:
		name = resync
	}
	b = append(append(append(b, "event: "...), name...), "\ndata: "...)
	return append(u.AppendJSON(b), "\n\n"...)
}

func (h *Handler) watchFeed(w http.ResponseWriter, r *request) error {
	var watch job.FeedWatch
	if err := decode(r, &watch, false); err != nil {
		return err
	}
	if err := h.o.Service.WatchFeed(r.Context(), r.PathValue("feed"), watch); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) machine(w http.ResponseWriter, r *request) error {
	m, err := h.o.Service.Machine(r.Context())
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, m)
}
