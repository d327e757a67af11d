package httpapi

import (
	"net/http"

	"github.com/queuemgr/queuemgr/job"
)

type typeList struct {
	Types []job.Type `json:"types"`
}

func (h *Handler) typeRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/types", role: job.Viewer, id: "listTypes", group: "types", summary: "List job types",
			about:  "All of them by name: what `type` of a job may be, with the JSON Schema of its `params`. Of one that has a `problem` no job can be added.",
			status: 200, result: typeList{}, serve: h.listTypes,
		},
		{
			method: http.MethodGet, path: "/api/types/{name}", role: job.Viewer, id: "getType", group: "types", summary: "Show one job type",
			status: 200, result: job.Type{}, errors: []job.Code{job.NotFound}, serve: h.getType,
		},
	}
}

func (h *Handler) listTypes(w http.ResponseWriter, r *request) error {
	types, err := h.o.Service.Types(r.Context())
	if err != nil {
		return err
	}
	if types == nil {
		types = []job.Type{}
	}
	return h.reply(w, r, http.StatusOK, typeList{types})
}

func (h *Handler) getType(w http.ResponseWriter, r *request) error {
	t, err := h.o.Service.Type(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, t)
}
