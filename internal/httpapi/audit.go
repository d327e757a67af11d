package httpapi

import (
	"fmt"
	"net/http"

	"github.com/queuemgr/queuemgr/job"
)

type settingList struct {
	Settings []job.Setting `json:"settings"`
}

func (h *Handler) auditRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/audit", role: job.Admin, id: "listAudit", group: "access", summary: "What was changed, by whom and from where",
			about: "Newest first, one page. One entry for each request that changed something, that tried and failed, or that was refused to who asked. Of many failures and refusals " +
				"only some are in it, with how many were not; additions over the unix socket are not, their jobs tell; nor is what can't be understood, or has no login.",
			query: []param{
				{name: "limit", about: fmt.Sprintf("Most entries in the answer, up to %d; 0 or none is %d.", job.MaxLimit, job.DefaultLimit), kind: 0, example: 100},
				{name: "cursor", about: "`next_cursor` of the page before.", kind: "", example: "NDE"},
			},
			status: 200, result: job.AuditPage{}, errors: []job.Code{job.Invalid}, serve: h.listAudit,
		},
		{
			method: http.MethodGet, path: "/api/settings", role: job.Admin, id: "listSettings", group: "access", summary: "The settings in force",
			about: "Each with where it comes from.", status: 200, result: settingList{}, serve: h.listSettings,
		},
	}
}

func (h *Handler) listAudit(w http.ResponseWriter, r *request) error {
	access, err := h.access()
	if err != nil {
		return err
	}
	limit, err := r.query.number("limit", job.MaxLimit)
	if err != nil {
		return err
	}
	page, err := access.Audit(r.Context(), r.query.text("cursor"), int(limit))
	if err != nil {
		return err
	}
	if page.Entries == nil {
		page.Entries = []job.AuditEntry{}
	}
	return h.reply(w, r, http.StatusOK, page)
}

func (h *Handler) listSettings(w http.ResponseWriter, r *request) error {
	access, err := h.access()
	if err != nil {
		return err
	}
	settings, err := access.Settings(r.Context())
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, settingList{settings})
}
