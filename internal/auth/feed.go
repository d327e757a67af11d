package auth

import (
	"context"

	"github.com/queuemgr/queuemgr/job"
)

// WatchFeed implements job.Service: how much a job writes is told to whom may read it.
func (s *Service) WatchFeed(ctx context.Context, id string, w job.FeedWatch) error {
	c, has, err := s.caller(ctx)
	if err != nil {
		return err
	}
	if err := w.Check(); err != nil {
		return err
	}
	if !may(has, readOutput) {
		for _, log := range w.Logs {
			j, err := s.Job(ctx, log)
			if err != nil && job.CodeOf(err) != job.NotFound { // one that is purged has none
				return err
			}
			if err == nil {
				if err := s.mayRead(c, has, j, "read"); err != nil {
					return err
				}
			}
		}
	}
	return s.Service.WatchFeed(ctx, id, w)
}
