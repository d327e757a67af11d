package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// sceneReturn starts a daemon again and looks at what it knows of the time it missed.
func sceneReturn(ctx context.Context, s *story) error {
	s.returned = time.Now()
	if err := s.show(ctx, "daemon", "start", "--daemon"); err != nil {
		return err
	}
	if err := s.show(ctx, "job", "list", "--state", "running,completed,failed"); err != nil {
		return err
	}
	r, err := s.service.Run(ctx, "job", "wait", fmt.Sprint(s.watcher))
	if err != nil {
		return err
	}
	j, err := s.job(ctx, s.watcher)
	if err != nil {
		return err
	}
	log, err := s.service.Must(ctx, "job", "logs", fmt.Sprint(s.watcher))
	if err != nil {
		return err
	}
	s.claim(r.Code == 42 && j.State == job.Failed && j.Reason == job.ReasonExit, "an exit code that nobody was there to see is known",
		"job %d: %s (%s), exit code %s; `job wait` exits %d", j.ID, j.State, j.Reason, code(j), r.Code)
	s.claim(j.FinishedAt.After(s.killed) && j.FinishedAt.Before(s.returned), "its time is the true one, not that of the daemon's return",
		"finished %s, the daemon returned %.1f s later", clock(j.FinishedAt), s.returned.Sub(j.FinishedAt).Seconds())
	s.claim(strings.TrimSpace(log) == "made it", "its output is whole", "%q", strings.TrimSpace(log))

	o, err := s.job(ctx, s.numbers[s.orphan])
	if err != nil {
		return err
	}
	s.claim(o.State == job.Completed && o.FinishedAt.After(s.killed) && o.FinishedAt.Before(s.returned),
		"the archive that ended meanwhile is accounted for", "job %d (%s): %s at %s", o.ID, s.orphan, o.State, clock(o.FinishedAt))
	largest, err := s.job(ctx, s.numbers[s.folders[0]])
	if err != nil {
		return err
	}
	s.claim(largest.StartedAt.Before(s.killed) && largest.Attempt == 1, "the one that went on is the same attempt",
		"job %d (%s): %s, attempt %d, started %s", largest.ID, s.folders[0], largest.State, largest.Attempt, clock(largest.StartedAt))
	return nil
}

func code(j *job.Job) string {
	if j.ExitCode == nil {
		return "unknown"
	}
	return fmt.Sprint(*j.ExitCode)
}

func clock(t time.Time) string { return t.Local().Format("15:04:05.000") }
