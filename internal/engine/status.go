package engine

import (
	"context"
	"os"

	"github.com/queuemgr/queuemgr/job"
)

// Status implements job.Service. It reads counters only.
func (e *Engine) Status(ctx context.Context) (*job.Status, error) {
	queues, err := e.Queues(ctx)
	if err != nil {
		return nil, err
	}
	s := &job.Status{
		Version: e.o.Version, Uptime: job.Duration(e.o.Now().Sub(e.started)), PID: os.Getpid(), Node: e.o.Node,
		Seq: e.o.Store.Seq(), Jobs: map[job.State]int64{}, Queues: queues, Home: e.o.Home, ShutdownTimeout: job.Duration(e.o.settings().ShutdownTimeout), StartedAt: e.started.UTC(),
	}
	for _, states := range e.o.Store.Counts().ByQueue {
		for state, n := range states {
			if n > 0 && state != job.Deleted {
				s.Jobs[state] += n
			}
		}
	}
	if r := e.core.runnerStatus.Load(); r != nil {
		s.Runner = *r
	}
	s.Runner.Running = liveCount(s.Jobs)
	if p := e.core.runnerProblem.Load(); p != nil {
		s.Problems = append(s.Problems, *p)
	}
	if old := e.core.runnerOld.Load(); old != nil {
		switch {
		case e.core.waitsForNewer.Load():
			s.Problems = append(s.Problems, "jobs wait: "+*old)
		case e.core.hiddenHeld.Load():
			s.Problems = append(s.Problems, "commands of hooks wait: "+*old)
		}
	}
	for _, problem := range e.o.Problems {
		if p := problem(); p != "" {
			s.Problems = append(s.Problems, p)
		}
	}
	if e.o.Web != nil {
		s.Web = e.o.Web()
	}
	return s, nil
}
