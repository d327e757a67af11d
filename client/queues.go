package client

import (
	"context"
	"fmt"
	"net/http"

	"github.com/queuemgr/queuemgr/job"
)

// Queues implements job.Service.
func (c *Client) Queues(ctx context.Context) ([]job.Queue, error) {
	var list struct {
		Queues []job.Queue `json:"queues"`
	}
	if err := c.get(ctx, c.o.Patience, "/api/queues", &list); err != nil {
		return nil, err
	}
	return list.Queues, nil
}

// Queue implements job.Service.
func (c *Client) Queue(ctx context.Context, name string) (*job.Queue, error) {
	if err := possible(name); err != nil {
		return nil, err
	}
	q := new(job.Queue)
	if err := c.get(ctx, c.o.Patience, "/api/queues/"+name, q); err != nil {
		return nil, err
	}
	return q, nil
}

// AddQueue implements job.Service.
func (c *Client) AddQueue(ctx context.Context, name string, u job.QueueUpdate) (*job.Queue, error) {
	q := new(job.Queue)
	if err := c.call(ctx, http.MethodPost, "/api/queues", struct {
		Name string `json:"name"`
		job.QueueUpdate
	}{name, u}, q); err != nil {
		return nil, err
	}
	return q, nil
}

// SetQueue implements job.Service.
func (c *Client) SetQueue(ctx context.Context, name string, u job.QueueUpdate) (*job.Queue, error) {
	if err := possible(name); err != nil {
		return nil, err
	}
	q := new(job.Queue)
	if err := c.call(ctx, http.MethodPatch, "/api/queues/"+name, u, q); err != nil {
		return nil, err
	}
	return q, nil
}

// DeleteQueue implements job.Service.
func (c *Client) DeleteQueue(ctx context.Context, name string) error {
	if err := possible(name); err != nil {
		return err
	}
	return c.call(ctx, http.MethodDelete, "/api/queues/"+name, nil, nil)
}

// possible refuses names that no queue can have: in a path they could mean something else.
func possible(name string) error {
	if err := job.CheckQueueName(name); err != nil {
		return &job.Error{Code: job.NotFound, Field: "queue", Message: fmt.Sprintf("no queue is called %q", name), Hint: "queuemgr queue list shows all", Err: err}
	}
	return nil
}
