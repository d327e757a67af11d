package hooks

import (
	"context"
	"maps"

	"github.com/queuemgr/queuemgr/job"
)

var _ job.HookService = (*Service)(nil)

// Hooks implements job.HookService.
func (s *Service) Hooks(context.Context) ([]job.ConfiguredHook, error) {
	s.mu.Lock()
	set, troubles := s.set, maps.Clone(s.trouble)
	if s.next != nil {
		set = s.next
	}
	s.mu.Unlock()
	return set.list(troubles), nil
}

// HookDeliveries implements job.HookService.
func (s *Service) HookDeliveries(ctx context.Context, f job.DeliveryFilter) (job.DeliveryPage, error) {
	if err := f.Check(); err != nil {
		return job.DeliveryPage{}, err
	}
	return s.o.Store.ListDeliveries(ctx, f)
}

// RetryDelivery implements job.HookService.
func (s *Service) RetryDelivery(ctx context.Context, id int64) (*job.Delivery, error) {
	d, err := s.o.Store.RetryDelivery(context.WithoutCancel(ctx), id, s.now())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	delete(s.undone, id)
	s.mu.Unlock()
	s.nudge(d.Receiver, true)
	return &d.Delivery, nil
}

// JobOf returns the number of the job that a delivery is about. Errors: job.NotFound.
func (s *Service) JobOf(ctx context.Context, delivery int64) (int64, error) {
	d, err := s.o.Store.Delivery(ctx, delivery)
	if err != nil {
		return 0, err
	}
	return d.JobID, nil
}
