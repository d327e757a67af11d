package main

import (
	"context"
	"time"

	"github.com/queuemgr/queuemgr/test/harness"
)

// measureBulkRun times a bulk addition from the start of the CLI to the last exit on record.
func measureBulkRun(ctx context.Context, b *bench) error {
	return withService(ctx, b, func(ctx context.Context, s *harness.Service) error {
		file, err := writeJobs(s.Home, b.size.spawn, `{"command":["`+program+`"]}`)
		if err != nil {
			return err
		}
		begin := time.Now()
		if _, err := s.Must(ctx, "job", "add", "-q", "--file", file); err != nil {
			return err
		}
		if err := waitCounts(ctx, s, completed(b.size.spawn)); err != nil {
			return err
		}
		b.addRate(bulkRun, b.size.spawn, time.Since(begin))
		return nil
	})
}

// measureProcessRun adds a job by a process each, as a shell loop does.
func measureProcessRun(ctx context.Context, b *bench) error {
	return withService(ctx, b, func(ctx context.Context, s *harness.Service) error {
		begin := time.Now()
		for range b.size.processes {
			if _, err := s.Must(ctx, "job", "add", "-q", "--", program); err != nil {
				return err
			}
		}
		if err := waitCounts(ctx, s, completed(b.size.processes)); err != nil {
			return err
		}
		b.addRate(processRun, b.size.processes, time.Since(begin))
		return nil
	})
}
