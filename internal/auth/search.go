package auth

import (
	"context"

	"github.com/queuemgr/queuemgr/job"
)

// SearchLog implements job.Service: who may read a log may search it.
func (s *Service) SearchLog(ctx context.Context, id int64, o job.LogSearch) (job.LogHits, error) {
	c, has, err := s.caller(ctx)
	if err != nil {
		return job.LogHits{}, err
	}
	if !may(has, readOutput) {
		j, err := s.Job(ctx, id)
		if err != nil {
			return job.LogHits{}, err
		}
		if err := s.mayRead(c, has, j, "search"); err != nil {
			return job.LogHits{}, err
		}
	}
	return s.Service.SearchLog(ctx, id, o)
}
