package httpapi

import (
	"net/http"

	"github.com/queuemgr/queuemgr/job"
)

type queueList struct {
	Queues []job.Queue `json:"queues"`
}

// newQueue is a queue to make: its name with the fields of job.QueueUpdate.
type newQueue struct {
	Name string `json:"name"`
	job.QueueUpdate
}

func (h *Handler) queueRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/queues", role: job.Viewer, id: "listQueues", group: "queues", summary: "List queues",
			about: "All of them by name, with the counts of their jobs.", status: 200, result: queueList{}, serve: h.listQueues,
		},
		{
			method: http.MethodPost, path: "/api/queues", role: job.Operator, id: "addQueue", group: "queues", summary: "Make a queue",
			body: newQueue{}, status: 201, result: job.Queue{}, errors: []job.Code{job.Invalid, job.Conflict, job.Forbidden}, serve: h.addQueue,
		},
		{
			method: http.MethodGet, path: "/api/queues/{name}", role: job.Viewer, id: "getQueue", group: "queues", summary: "Show one queue",
			status: 200, result: job.Queue{}, errors: []job.Code{job.NotFound}, serve: h.getQueue,
		},
		{
			method: http.MethodPatch, path: "/api/queues/{name}", role: job.Operator, id: "setQueue", group: "queues", summary: "Change a queue",
			about: "What is left out stays as it is.", body: job.QueueUpdate{},
			status: 200, result: job.Queue{}, errors: []job.Code{job.Invalid, job.NotFound, job.Forbidden}, serve: h.setQueue,
		},
		{
			method: http.MethodDelete, path: "/api/queues/{name}", role: job.Operator, id: "deleteQueue", group: "queues", summary: "Delete a queue",
			about:  "Only one without waiting or live jobs, and never the default queue.",
			status: 204, errors: []job.Code{job.NotFound, job.WrongState, job.Forbidden}, serve: h.deleteQueue,
		},
	}
}

func (h *Handler) listQueues(w http.ResponseWriter, r *request) error {
	queues, err := h.o.Service.Queues(r.Context())
	if err != nil {
		return err
	}
	if queues == nil {
		queues = []job.Queue{}
	}
	return h.reply(w, r, http.StatusOK, queueList{queues})
}

func (h *Handler) addQueue(w http.ResponseWriter, r *request) error {
	var n newQueue
	if err := decode(r, &n, false); err != nil {
		return err
	}
	if err := job.CheckQueueName(n.Name); err != nil {
		return inField(err, "name")
	}
	q, err := h.o.Service.AddQueue(r.Context(), n.Name, n.QueueUpdate)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/queues/"+q.Name)
	return h.reply(w, r, http.StatusCreated, q)
}

func (h *Handler) getQueue(w http.ResponseWriter, r *request) error {
	q, err := h.o.Service.Queue(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, q)
}

func (h *Handler) setQueue(w http.ResponseWriter, r *request) error {
	var u job.QueueUpdate
	if err := decode(r, &u, false); err != nil {
		return err
	}
	q, err := h.o.Service.SetQueue(r.Context(), r.PathValue("name"), u)
	if err != nil {
		return err
	}
	return h.reply(w, r, http.StatusOK, q)
}

func (h *Handler) deleteQueue(w http.ResponseWriter, r *request) error {
	if err := h.o.Service.DeleteQueue(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
