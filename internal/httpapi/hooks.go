package httpapi

import (
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/queuemgr/queuemgr/job"
)

type hookList struct {
	Hooks []job.ConfiguredHook `json:"hooks"`
}

func (h *Handler) hookRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/hooks", role: job.Viewer, id: "listHooks", group: "hooks", summary: "List the hooks of settings and job types",
			about:  "In the order of the settings, without secrets. Hooks of single jobs are on their records.",
			status: 200, result: hookList{}, errors: []job.Code{job.NotFound}, serve: h.listHooks,
		},
		{
			method: http.MethodGet, path: "/api/hooks/deliveries", role: job.Viewer, id: "listHookDeliveries", group: "hooks", summary: "Events on their way to hooks",
			about: "Newest first, one page. Those that are over are kept for seven days, the newest 100,000, or until their job is purged.",
			query: []param{
				{name: "job", about: "Only those of this job.", kind: int64(0), example: 7},
				{name: "state", about: "Only those in one of these states.", kind: "", enum: texts(job.DeliveryStates), list: true, example: "failed,given_up"},
				{name: "limit", about: fmt.Sprintf("Most deliveries in the answer, up to %d; 0 or none is %d.", job.MaxLimit, job.DefaultLimit), kind: 0, example: 100},
				{name: "cursor", about: "`next_cursor` of the page before.", kind: "", example: "bjgx"},
			},
			status: 200, result: job.DeliveryPage{}, errors: []job.Code{job.Invalid, job.NotFound}, serve: h.listDeliveries,
		},
		{
			method: http.MethodPost, path: "/api/hooks/deliveries/{id}/retry", role: job.Operator, id: "retryHookDelivery", group: "hooks", summary: "Try a delivery again, now",
			about:  "Also one that was given up or is done: its receiver then gets it once more, under the same name. Over the unix socket the job's owner may, too.",
			status: 200, result: job.Delivery{}, errors: []job.Code{job.NotFound, job.WrongState, job.Exhausted}, serve: h.retryDelivery,
		},
	}
}

// hooks returns what knows of hooks. Errors: NotFound.
func (h *Handler) hooks() (job.HookService, error) {
	if h.o.Hooks == nil {
		return nil, &job.Error{Code: job.NotFound, Message: "this service has no hooks"}
	}
	return h.o.Hooks, nil
}

func (h *Handler) listHooks(w http.ResponseWriter, r *request) error {
	hooks, err := h.hooks()
	if err != nil {
		return err
	}
	list, err := hooks.Hooks(r.Context())
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, hookList{list})
}

func (h *Handler) listDeliveries(w http.ResponseWriter, r *request) error {
	hooks, err := h.hooks()
	if err != nil {
		return err
	}
	if err := r.query.notEmpty("job", "state"); err != nil {
		return err
	}
	f := job.DeliveryFilter{Cursor: r.query.text("cursor")}
	if f.JobID, err = r.query.number("job", math.MaxInt64); err != nil {
		return err
	}
	limit, err := r.query.number("limit", job.MaxLimit)
	if err != nil {
		return err
	}
	f.Limit = int(limit)
	for _, word := range r.query.words("state") {
		f.States = append(f.States, job.DeliveryState(word))
	}
	page, err := hooks.HookDeliveries(r.Context(), f)
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, page)
}

func (h *Handler) retryDelivery(w http.ResponseWriter, r *request) error {
	hooks, err := h.hooks()
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return &job.Error{Code: job.NotFound, Field: "id", Message: fmt.Sprintf("there is no delivery %.80q", r.PathValue("id")), Hint: "deliveries have numbers from 1"}
	}
	d, err := hooks.RetryDelivery(r.Context(), id)
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, d)
}
