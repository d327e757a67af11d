package httpapi

import (
	"fmt"
	"net/http"

	"github.com/queuemgr/queuemgr/job"
)

func (h *Handler) statsRoutes() []route {
	return []route{{
		method: http.MethodGet, path: "/api/stats", role: job.Viewer, id: "getStats", group: "daemon", summary: "How many jobs ended, and how long they had waited",
		about: "From counters of each minute of the last seven days, whatever is on record now. Buckets are whole minutes and begin at multiples of their length; the last one is not over yet. " +
			"A crash of the daemon loses the last minute.",
		query: []param{
			{name: "range", about: "How far back; none is 1h.", kind: "", enum: texts(job.StatsRanges)},
			{name: "buckets", about: fmt.Sprintf("At most so many buckets, up to %d; 0 or none is %d.", job.MaxBuckets, job.DefaultBuckets), kind: 0},
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
