package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/queuemgr/queuemgr/test/harness"
)

// measureAddProcess runs `queuemgr job add` and the bare Go program by turns.
func measureAddProcess(ctx context.Context, b *bench) error {
	return withService(ctx, b, func(ctx context.Context, s *harness.Service) error {
		body := spec(pausedQueue)
		var ours, bare []time.Duration
		for range b.size.processes {
			for _, side := range []struct {
				cmd  *exec.Cmd
				took *[]time.Duration
			}{
				{s.Cmd(ctx, "job", "add", "-q", "--queue", pausedQueue, "--", program), &ours},
				{bareCommand(ctx, b, s, body), &bare},
			} {
				begin := time.Now()
				r, err := harness.Finish(side.cmd)
				*side.took = append(*side.took, time.Since(begin))
				if err != nil || r.Code != 0 {
					return fmt.Errorf("%v: exit code %d, %w\n%s", side.cmd.Args, r.Code, err, r.Stderr)
				}
			}
		}
		mine, theirs := quantile(ours, 0.5), quantile(bare, 0.5)
		b.addMillis(addProcess, mine)
		b.addMillis(bareProcess, theirs)
		b.add(addRatio, float64(mine)/float64(theirs))
		return nil
	})
}

func bareCommand(ctx context.Context, b *bench, s *harness.Service, body []byte) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.bare, s.Socket(), string(body))
	cmd.Env = s.Environ()
	return cmd
}
