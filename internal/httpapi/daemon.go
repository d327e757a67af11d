package httpapi

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// readyTimeout bounds how long a probe waits for the registry.
const readyTimeout = 5 * time.Second

type shutdownOptions struct {
	KeepJobs bool `json:"keep_jobs,omitempty"`
}

func (h *Handler) daemonRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/status", role: job.Viewer, id: "getStatus", group: "daemon", summary: "The daemon at a glance",
			about:  "Over TCP from this machine itself, and not through a proxy, it is answered without a login too, but then it holds nothing but status, jobs, total_jobs and running_jobs.",
			status: 200, result: statusAnswer{}, serve: h.status, bare: h.bareStatus, bareTo: h.asksPlainlyFromHere,
		},
		{
			method: http.MethodPost, path: "/api/daemon/shutdown", role: job.Admin, id: "shutdown", group: "daemon", summary: "End the daemon",
			about: "Answers when the end has begun. Live jobs are stopped within the setting shutdown_timeout, unless keep_jobs leaves them running.",
			body:  shutdownOptions{}, optional: true, status: 202, errors: []job.Code{job.Invalid, job.Forbidden}, serve: h.shutdown,
		},
		{
			method: http.MethodPost, path: "/api/daemon/reload", role: job.Admin, id: "reload", group: "daemon", summary: "Read the settings again",
			about:  "Answers with what has changed. Settings that are not right change nothing. daemon.log is opened anew.",
			status: 200, result: job.Reloaded{}, errors: []job.Code{job.Invalid, job.Forbidden, job.WrongState}, serve: h.reload,
		},
		{
			method: http.MethodGet, path: openAPIPath, role: job.Viewer, id: "getOpenAPI", group: "daemon", summary: "This document",
			status: 200, result: map[string]any{}, serve: h.document,
		},
		{
			method: http.MethodGet, path: docsPath, role: job.Viewer, id: "getDocs", group: "daemon", summary: "This document, to be read",
			about:  "The page shows it to who names text/html, as browsers do. Others, or all where the program was built without its page, get a list as text. A browser that has not logged in gets the page too, which asks who it is.",
			status: 200, result: "", contentType: typeText, others: map[string]any{typeHTML: ""}, serve: h.docs, bare: h.docs, bareTo: h.opensPage,
		},
		{
			method: http.MethodGet, path: "/healthz", id: "getHealth", group: "daemon", summary: "Whether the daemon answers",
			status: 200, result: "", contentType: typeText, open: true, serve: h.health,
		},
		{
			method: http.MethodGet, path: "/readyz", id: "getReadiness", group: "daemon", summary: "Whether the registry can be read",
			status: 200, result: "", contentType: typeText, errors: []job.Code{job.Unavailable}, open: true, serve: h.ready,
		},
	}
}

func (h *Handler) status(w http.ResponseWriter, r *request) error {
	s, err := h.o.Service.Status(r.Context())
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, answerStatus(s))
}

// bareStatus is what every user of the machine may know: they could count processes.
func (h *Handler) bareStatus(w http.ResponseWriter, r *request) error {
	s, err := h.o.Service.Status(r.Context())
	if err != nil {
		return err
	}
	a := answerStatus(s)
	return h.reply(w, r, http.StatusOK, struct {
		State       string              `json:"status"`
		Jobs        map[job.State]int64 `json:"jobs"`
		TotalJobs   int64               `json:"total_jobs"`
		RunningJobs int64               `json:"running_jobs"`
	}{a.State, a.Jobs, a.TotalJobs, a.RunningJobs})
}

func (h *Handler) shutdown(w http.ResponseWriter, r *request) error {
	var o shutdownOptions
	if err := decode(r, &o, true); err != nil {
		return err
	}
	if err := h.o.Service.Shutdown(r.Context(), o.KeepJobs); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (h *Handler) reload(w http.ResponseWriter, r *request) error {
	what, err := h.o.Service.Reload(r.Context())
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, what)
}

func (h *Handler) document(w http.ResponseWriter, r *request) error {
	doc, err := withVersion(h.o.Version)
	if err != nil {
		return err
	}
	h.answer(w, r.Request, http.StatusOK, "application/json", doc)
	return nil
}

func (h *Handler) health(w http.ResponseWriter, _ *request) error { return ok(w) }

func (h *Handler) ready(w http.ResponseWriter, r *request) error {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if _, err := h.o.Service.Status(ctx); err != nil {
		h.o.Log.Error("not ready", "error", err)
		return &job.Error{Code: job.Unavailable, Message: "the registry cannot be read", Hint: "daemon.log tells the cause", Err: err}
	}
	return ok(w)
}

func ok(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n") // a probe that has gone away hears nothing
	return nil
}
