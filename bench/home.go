package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// pausedQueue starts nothing: additions to it measure additions alone.
const pausedQueue = "parked"

// withService runs f with a daemon of its own in a fresh home. env is laid over its environment.
func withService(ctx context.Context, b *bench, f func(context.Context, *harness.Service) error, env ...string) (err error) {
	home, err := os.MkdirTemp(b.dir, "home")
	if err != nil {
		return err
	}
	s := &harness.Service{Home: home, Bin: b.bin, Env: append(environment(), env...)}
	if err := s.Start(ctx); err != nil {
		return err
	}
	defer func() {
		// The home stays until the end of the run: deleting thousands of logs would slow down the file
		// system for whoever is measured next.
		err = errors.Join(err, s.Cleanup(context.WithoutCancel(ctx)))
	}()
	if _, err := s.Must(ctx, "queue", "add", pausedQueue); err != nil {
		return err
	}
	if _, err := s.Must(ctx, "queue", "pause", pausedQueue); err != nil {
		return err
	}
	return f(ctx, s)
}

// writeJobs writes a file for `job add --file` with n jobs.
func writeJobs(dir string, n int, line string) (string, error) {
	path := filepath.Join(dir, "jobs.jsonl")
	return path, os.WriteFile(path, bytes.Repeat([]byte(line+"\n"), n), 0o600)
}

// waitCounts returns once the status satisfies done. It asks the daemon, in constant time, every
// few milliseconds: following each job's events would cost more than the jobs themselves.
func waitCounts(ctx context.Context, s *harness.Service, done func(map[job.State]int64) bool) error {
	c := s.HTTP()
	defer c.CloseIdleConnections()
	for {
		var status job.Status
		if err := harness.Get(ctx, c, "/api/status", &status); err != nil {
			return err
		}
		if done(status.Jobs) {
			return nil
		}
		if n := status.Jobs[job.Failed]; n > 0 {
			return fmt.Errorf("%d jobs failed", n)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func completed(n int) func(map[job.State]int64) bool {
	return func(jobs map[job.State]int64) bool { return jobs[job.Completed] == int64(n) }
}
