package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// speedJobs is how many processes each side runs.
const speedJobs = 3000

// sceneSpeed holds queuemgr against a C loop that does nothing but spawn.
func sceneSpeed(ctx context.Context, s *story) error {
	loop, err := s.spawnLoop(ctx)
	if err != nil {
		return err
	}
	before, err := s.status(ctx)
	if err != nil {
		return err
	}
	file := filepath.Join(s.dir, "true.jsonl")
	if err := os.WriteFile(file, bytes.Repeat([]byte(`{"command":["/bin/true"]}`+"\n"), speedJobs), 0o600); err != nil {
		return err
	}
	begin := time.Now()
	if _, err := s.must(ctx, "job", "add", "-q", "--file", file); err != nil {
		return err
	}
	// Asked over one connection: a process for each look would slow down what it looks at.
	c := s.service.HTTP()
	defer c.CloseIdleConnections()
	var now job.Status
	if err := until(ctx, "all of them to end", func() (bool, error) {
		now = job.Status{}
		err := harness.Get(ctx, c, "/api/status", &now)
		return err == nil && now.Jobs[job.Queued]+now.Jobs[job.Starting]+now.Jobs[job.Running] == 0, err
	}); err != nil {
		return err
	}
	ours := speedJobs / time.Since(begin).Seconds()
	completed := now.Jobs[job.Completed] - before.Jobs[job.Completed]
	s.claim(completed == speedJobs, "thousands of short jobs, each durable, complete near the speed of the machine",
		"%d of %d completed, %.0f jobs/s of /bin/true beside %.0f/s of a bare C posix_spawn loop: %.0f %%", completed, speedJobs, ours, loop, 100*ours/loop)
	return nil
}

// spawnLoop compiles and runs the benchmark's C loop and returns its processes a second.
func (s *story) spawnLoop(ctx context.Context) (float64, error) {
	root, err := harness.SourceRoot()
	if err != nil {
		return 0, err
	}
	program := filepath.Join(s.dir, "loop")
	if out, err := exec.CommandContext(ctx, "gcc", "-O2", "-o", program, filepath.Join(root, "bench/spawnloop/loop.c")).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("gcc: %w\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, program, strconv.Itoa(runtime.NumCPU()), strconv.Itoa(speedJobs), "/bin/true").Output()
	if err != nil {
		return 0, fmt.Errorf("the C loop: %w", err)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return speedJobs / seconds, err
}
