package main

import (
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed spawnloop/loop.c
var loopSource []byte

// program is what every throughput runs: nearly all of its time is the kernel's.
const program = "/bin/true"

func measureLoop(ctx context.Context, b *bench) error {
	out, err := exec.CommandContext(ctx, b.loop, strconv.Itoa(b.workers), strconv.Itoa(b.size.spawn), program).Output()
	if err != nil {
		return fmt.Errorf("the C loop: %w", err)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		return fmt.Errorf("the C loop printed %q: %w", out, err)
	}
	b.addRate(cLoop, b.size.spawn, time.Duration(seconds*float64(time.Second)))
	return nil
}

func measureGoLoop(ctx context.Context, b *bench) error {
	var wg sync.WaitGroup
	errs := make([]error, b.workers)
	begin := time.Now()
	for w := range b.workers {
		wg.Go(func() {
			for i := w; i < b.size.spawn && errs[w] == nil; i += b.workers {
				cmd := exec.CommandContext(ctx, program)
				cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
				errs[w] = cmd.Run()
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	b.addRate(goLoop, b.size.spawn, time.Since(begin))
	return nil
}
