package httpapi

import (
	"fmt"
	"net/http"

	"github.com/queuemgr/queuemgr/job"
)

const metricsType = "text/plain; version=0.0.4; charset=utf-8"

func (h *Handler) statsRoutes() []route {
	return []route{{
		method: http.MethodGet, path: "/metrics", role: job.Viewer, id: "getMetrics", group: "daemon", summary: "What is counted, for Prometheus",
		about:  "The text format, version 0.0.4. Counters begin at 0 with the daemon.",
		status: 200, result: "", contentType: metricsType, errors: []job.Code{job.NotFound}, serve: h.metrics,
	}, {
		method: http.MethodGet, path: "/api/stats", role: job.Viewer, id: "getStats", group: "daemon", summary: "How many jobs ended, and how long they had waited",
		about: "From counters of each minute of the last seven days, whatever is on record now. Buckets are whole minutes and begin at multiples of their length; the last one is not over yet. " +
			"A crash of the daemon loses the last minute.",
		query: []param{
			{name: "range", about: "How far back; none is 1h.", kind: "", enum: texts(job.StatsRanges)},
			{name: "buckets", about: fmt.Sprintf("At most so many buckets, up to %d; 0 or none is %d.", job.MaxBuckets, job.DefaultBuckets), kind: 0, example: 60},
		},
		status: 200, result: job.Stats{}, errors: []job.Code{job.Invalid}, serve: h.stats,
	}}
}

func (h *Handler) stats(w http.ResponseWriter, r *request) error {
	if err := r.query.notEmpty("range"); err != nil {
		return err
	}
	buckets, err := r.query.number("buckets", job.MaxBuckets)
	if err != nil {
		return err
	}
	s, err := h.o.Service.Stats(r.Context(), job.StatsOptions{Range: job.StatsRange(r.query.text("range")), Buckets: int(buckets)})
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, s)
}

func (h *Handler) metrics(w http.ResponseWriter, r *request) error {
	if h.o.Metrics == nil {
		return &job.Error{Code: job.NotFound, Message: "this service counts nothing for Prometheus", Hint: "GET /api/status has the counts"}
	}
	text, err := h.o.Metrics(r.Context())
	if err != nil {
		return err
	}
	h.answer(w, r.Request, http.StatusOK, metricsType, text)
	return nil
}
