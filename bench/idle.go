package main

import (
	"context"
	"fmt"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

const mega = 1e6

// measureIdle looks at daemon and runner while nothing is to be done, after some work.
func measureIdle(ctx context.Context, b *bench) error {
	return withService(ctx, b, func(ctx context.Context, s *harness.Service) error {
		const warmUp = 200
		file, err := writeJobs(s.Home, warmUp, `{"command":["`+program+`"]}`)
		if err != nil {
			return err
		}
		if _, err := s.Must(ctx, "job", "add", "-q", "--file", file); err != nil {
			return err
		}
		if err := waitCounts(ctx, s, completed(warmUp)); err != nil {
			return err
		}
		daemon, runner, err := pids(ctx, s)
		if err != nil {
			return err
		}
		// Idle begins when the work's last echoes are over: two seconds after it the daemon, once, gives
		// memory back.
		if err := pause(ctx, 4*time.Second); err != nil {
			return err
		}
		for _, p := range []struct {
			pid      int
			cpu, rss string
		}{{daemon, daemonCPU, daemonRSS}, {runner, runnerCPU, runnerRSS}} {
			if err := idleOf(ctx, b, p.pid, p.cpu, p.rss); err != nil {
				return err
			}
		}
		return nil
	})
}

func idleOf(ctx context.Context, b *bench, pid int, cpu, rss string) error {
	before, err := harness.ProcessUsage(pid)
	if err != nil {
		return err
	}
	if err := pause(ctx, time.Duration(b.size.idleSecs)*time.Second); err != nil {
		return err
	}
	after, err := harness.ProcessUsage(pid)
	if err != nil {
		return err
	}
	b.add(cpu, millis(after.CPU-before.CPU)/float64(b.size.idleSecs))
	b.add(rss, float64(after.RSS)/mega)
	return nil
}

// measureRunning looks at the runner while thousands of jobs run.
func measureRunning(ctx context.Context, b *bench) error {
	n := b.size.sleepers
	return withService(ctx, b, func(ctx context.Context, s *harness.Service) error {
		file, err := writeJobs(s.Home, n, `{"command":["/bin/sleep","1000"]}`)
		if err != nil {
			return err
		}
		if _, err := s.Must(ctx, "job", "add", "-q", "--file", file); err != nil {
			return err
		}
		running := func(jobs map[job.State]int64) bool { return jobs[job.Running] == int64(n) }
		if err := waitCounts(ctx, s, running); err != nil {
			return err
		}
		_, runner, err := pids(ctx, s)
		if err != nil {
			return err
		}
		u, err := harness.ProcessUsage(runner)
		if err != nil {
			return err
		}
		b.add(loadRSS, float64(u.RSS)/mega)
		b.add(loadThreads, float64(u.Threads))
		return nil
	}, fmt.Sprintf("QUEUEMGR_MAX_CONCURRENT_JOBS=%d", n))
}

// pids returns the processes of daemon and runner.
func pids(ctx context.Context, s *harness.Service) (daemon, runner int, err error) {
	c := s.HTTP()
	defer c.CloseIdleConnections()
	var status job.Status
	if err := harness.Get(ctx, c, "/api/status", &status); err != nil {
		return 0, 0, err
	}
	return status.PID, status.Runner.PID, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
