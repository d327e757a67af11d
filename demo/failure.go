package main

import (
	"context"
	"fmt"

	"github.com/queuemgr/queuemgr/job"
)

// sceneFailure runs a job that fails in front of a shell script's eyes.
func sceneFailure(ctx context.Context, s *story) error {
	args := []string{"job", "add", "-q", "--wait", "--", "sh", "-c", "echo disk on fire >&2; exit 7"}
	fmt.Printf("   $ queuemgr %s; echo $?\n", shown(args))
	r, err := s.service.Run(ctx, args...)
	if err != nil {
		return err
	}
	s.say("%d", r.Code)
	var id int64
	if _, err := fmt.Sscan(r.Stdout, &id); err != nil {
		return fmt.Errorf("job add printed %q: %w", r.Stdout, err)
	}
	j, err := s.job(ctx, id)
	if err != nil {
		return err
	}
	s.claim(r.Code == 7 && j.State == job.Failed && j.ExitCode != nil && *j.ExitCode == 7, "a job's failure is the command's failure",
		"job %d: %s (%s), exit code %s, and so exits `job add --wait`: %d", id, j.State, j.Reason, code(j), r.Code)
	return nil
}
