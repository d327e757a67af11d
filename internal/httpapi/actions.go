package httpapi

import (
	"net/http"

	"github.com/queuemgr/queuemgr/job"
)

// actOptions is the body of an action on one job.
type actOptions struct {
	Force bool          `json:"force,omitempty"`
	Grace *job.Duration `json:"grace,omitempty"`
}

// actRequest is job.ActRequest with a filter that must be there: left out by mistake it would
// select every job.
type actRequest struct {
	Action job.Action    `json:"action"`
	Filter *job.Filter   `json:"filter"`
	Force  bool          `json:"force,omitempty"`
	Grace  *job.Duration `json:"grace,omitempty"`
	DryRun bool          `json:"dry_run,omitempty"`
}

var actErrors = []job.Code{job.Invalid, job.NotFound, job.WrongState, job.Forbidden}

func (h *Handler) actionRoutes() []route {
	one := func(a job.Action, summary, about string) route {
		return route{
			method: http.MethodPost, path: "/api/jobs/{id}/" + string(a), role: job.Operator, id: string(a) + "Job", group: "jobs", summary: summary, about: about,
			body: actOptions{}, optional: true, status: 200, result: job.Job{}, errors: actErrors,
			serve: func(w http.ResponseWriter, r *request) error { return h.actOnOne(w, r, a) },
		}
	}
	return []route{
		one(job.ActStart, "Start a job", "A waiting job goes to the head of its queue (limits still hold); an ended one gets a new attempt."),
		one(job.ActStop, "Stop a job", "A live job gets its stop signal, then KILL when the grace is over; a waiting one will not run. The answer does not wait for the end."),
		one(job.ActHold, "Hold a job", "A waiting job does not run before it is started."),
		one(job.ActDelete, "Delete a job", "Stops it where it lives. Its record stays, in state deleted, until retention takes it."),
		{
			method: http.MethodDelete, path: "/api/jobs/{id}", role: job.Operator, id: "removeJob", group: "jobs", summary: "Delete a job",
			about:  "The same as POST /api/jobs/{id}/delete.",
			query:  []param{{name: "force", about: "KILL at once.", kind: false}},
			status: 200, result: job.Job{}, errors: actErrors, serve: h.removeJob,
		},
		{
			method: http.MethodPost, path: "/api/jobs/actions", role: job.Operator, id: "actOnJobs", group: "jobs", summary: "Do one action to many jobs",
			about: "Jobs named by number, key or `last` that are missing or in no state for it are in `failed`; others, those of a range too, are passed over and counted. " +
				"With dry_run nothing is done, and the answer says what would be. `filter` must be given: {} is every job.",
			body: actRequest{}, status: 200, result: job.ActResult{}, errors: []job.Code{job.Invalid, job.Forbidden}, serve: h.actOnMany,
		},
	}
}

func (h *Handler) actOnOne(w http.ResponseWriter, r *request, a job.Action) error {
	var o actOptions
	if err := decode(r, &o, true); err != nil {
		return err
	}
	return h.act(w, r, job.ActRequest{Action: a, Force: o.Force, Grace: o.Grace})
}

func (h *Handler) removeJob(w http.ResponseWriter, r *request) error {
	force, err := r.query.flag("force")
	if err != nil {
		return err
	}
	return h.act(w, r, job.ActRequest{Action: job.ActDelete, Force: force})
}

// act does an action to the job that the path names and answers the job as it is then.
func (h *Handler) act(w http.ResponseWriter, r *request, a job.ActRequest) error {
	word := r.PathValue("id")
	id, ok := job.ParseID(word)
	if !ok {
		j, err := h.o.Service.JobByKey(r.Context(), word)
		if err != nil {
			return err
		}
		id = j.ID
	}
	a.Filter.IDs = []job.Range{{From: id, To: id}}
	result, err := h.o.Service.Act(r.Context(), a)
	if err != nil {
		return err
	}
	if len(result.Failed) > 0 {
		return result.Failed[0].Error
	}
	j, err := h.o.Service.Job(r.Context(), id)
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, j)
}

func (h *Handler) actOnMany(w http.ResponseWriter, r *request) error {
	var a actRequest
	if err := decode(r, &a, false); err != nil {
		return err
	}
	if a.Filter == nil {
		return &job.Error{Code: job.Invalid, Field: "filter", Message: "no filter is given", Hint: `say which jobs; {"filter": {}} is every job`}
	}
	if err := a.Filter.Check(); err != nil {
		return err
	}
	result, err := h.o.Service.Act(r.Context(), job.ActRequest{Action: a.Action, Filter: *a.Filter, Force: a.Force, Grace: a.Grace, DryRun: a.DryRun})
	if err != nil {
		return err
	}
	if result.Done == nil {
		result.Done = []int64{}
	}
	return h.reply(w, r, http.StatusOK, result)
}
