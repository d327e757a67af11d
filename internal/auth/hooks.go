package auth

import (
	"context"
	"fmt"

	"github.com/queuemgr/queuemgr/job"
)

// HookSource is what Hooks guards.
type HookSource interface {
	job.HookService
	// JobOf returns the number of the job that a delivery is about. Errors: job.NotFound.
	JobOf(ctx context.Context, delivery int64) (int64, error)
}

// Hooks is a job.HookService that lets through what the caller in the context may do: who sees jobs
// sees hooks and deliveries; who may touch a job may have its deliveries tried again.
type Hooks struct {
	HookSource
	s *Service
}

// NewHooks returns what guards h by the rules of s.
func NewHooks(s *Service, h HookSource) *Hooks { return &Hooks{h, s} }

// RetryDelivery implements job.HookService.
func (h *Hooks) RetryDelivery(ctx context.Context, id int64) (*job.Delivery, error) {
	c, role, err := h.s.caller(ctx)
	if err != nil {
		return nil, err
	}
	d, err := h.retry(ctx, c, role, id)
	h.s.audit(c, "retry hook", fmt.Sprintf("delivery %d", id), err)
	return d, err
}

func (h *Hooks) retry(ctx context.Context, c job.Caller, role job.Role, id int64) (*job.Delivery, error) {
	if !may(role, touchAny) {
		of, err := h.JobOf(ctx, id)
		if err != nil {
			return nil, err
		}
		j, err := h.s.Job(ctx, of)
		if err != nil {
			return nil, err
		}
		if err := mayTouch(c, role, j, "retry the hooks of"); err != nil {
			return nil, err
		}
	}
	return h.HookSource.RetryDelivery(ctx, id)
}
