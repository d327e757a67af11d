package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// measureTaskSpooler adds a job by a process each, as task-spooler is used, and waits for the last.
func measureTaskSpooler(ctx context.Context, b *bench) error {
	if b.tsp == "" {
		return nil
	}
	dir, err := os.MkdirTemp(b.dir, "tsp")
	if err != nil {
		return err
	}
	tsp := func(args ...string) error {
		cmd := exec.CommandContext(ctx, b.tsp, args...)
		cmd.Env = append(os.Environ(), "TMPDIR="+dir, "TS_SOCKET="+filepath.Join(dir, "socket"), "TS_MAXFINISHED=10")
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%v: %w", cmd.Args, err)
		}
		return nil
	}
	// The first command starts its server, so that this is not counted.
	if err := tsp("-S", strconv.Itoa(b.workers)); err != nil {
		return err
	}
	begin := time.Now()
	for range b.size.processes {
		if err := tsp("-n", program); err != nil {
			return err
		}
	}
	if err := tsp("-w"); err != nil {
		return err
	}
	b.addRate(taskSpooler, b.size.processes, time.Since(begin))
	return tsp("-K")
}
