// Command bench measures queuemgr against its budgets. Throughputs are ratios to a C posix_spawn
// loop in the same round; everything is repeated in interleaved rounds, so that a noisy moment of
// the machine touches all subjects alike. It prints medians and ranges.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

// bench is what all measurements share.
type bench struct {
	dir     string // for everything written while measuring
	bin     string // folder of queuemgr and queuemgr-runner
	loop    string // the compiled C loop
	bare    string // the compiled bareclient
	tsp     string // "" where task-spooler is not installed
	workers int    // of the loops: one a core
	size    size
	*results
}

// size is how much is done in one round.
type size struct {
	rounds    int
	spawn     int // jobs of a throughput run
	processes int // jobs added by a process each
	latency   int // adds measured one by one
	adds      int // durable single adds of a throughput run
	bulk      int // jobs of a bulk addition
	idleSecs  int
	sleepers  int // jobs running at once
	records   int // jobs on record, 0 = not measured
}

var (
	fullSize  = size{rounds: 5, spawn: 5000, processes: 400, latency: 300, adds: 10000, bulk: 50000, idleSecs: 5, sleepers: 5000}
	quickSize = size{rounds: 1, spawn: 2000, processes: 100, latency: 100, adds: 3000, bulk: 20000, idleSecs: 2, sleepers: 5000}
)

func main() {
	bin := flag.String("bin", "bin", "folder of queuemgr and queuemgr-runner")
	quick := flag.Bool("quick", false, "one short round: an orientation, no verdict")
	rounds := flag.Int("rounds", 0, "rounds instead of the usual number")
	records := flag.Int("records", 0, "also measure with so many jobs on record; the budgets are for 1000000 (minutes, about 2 GB of disk)")
	only := flag.String("only", "", "comma list of measurements: "+measurementNames())
	write := flag.String("write", "", "put the table into this file, between its markers (BENCHMARKS.md)")
	prof := flag.Bool("profile", false, "no measurements: where daemon and runner spend their time, by perf (Debian package linux-perf)")
	bare := flag.String("bare-server", "", "(for itself) answer posts on this socket")
	flag.Parse()
	if *bare != "" {
		if err := serveBare(*bare); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	s := fullSize
	if *quick {
		s = quickSize
	}
	if *rounds > 0 {
		s.rounds = *rounds
	}
	s.records = *records
	err := error(nil)
	if *prof {
		err = with(ctx, *bin, s, runProfile)
	} else {
		err = run(ctx, *bin, s, *only, *write)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// with calls f with all that measurements share, and removes that afterwards.
func with(ctx context.Context, bin string, s size, f func(context.Context, *bench) error) (err error) {
	b, err := prepare(ctx, bin, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	fmt.Println(machine(b.dir))
	return f(ctx, b)
}

func run(ctx context.Context, bin string, s size, only, write string) error {
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	return with(ctx, bin, s, func(ctx context.Context, b *bench) error { return measure(ctx, b, chosen, write) })
}

// measure takes all rounds and prints the table, which also goes into the file write if that is given.
func measure(ctx context.Context, b *bench, chosen []measurement, write string) error {
	s := b.size
	for round := 1; round <= s.rounds; round++ {
		for _, m := range chosen {
			if m.once && round > 1 {
				continue
			}
			fmt.Printf("round %d of %d: %s\n", round, s.rounds, m.name)
			if err := m.run(ctx, b); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	b.addRatios()
	table := b.table()
	fmt.Printf("\n%s\n", table)
	if write != "" {
		return writeTable(write, machine(b.dir), table)
	}
	return nil
}

// prepare compiles what the measurements need beside queuemgr itself.
func prepare(ctx context.Context, bin string, s size) (*bench, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, bin: bin, loop: filepath.Join(dir, "loop"), bare: filepath.Join(dir, "bareclient"),
		workers: runtime.NumCPU(), size: s, results: newResults()}
	source := filepath.Join(dir, "loop.c")
	if err := os.WriteFile(source, loopSource, 0o600); err != nil {
		return nil, err
	}
	for _, argv := range [][]string{
		{"gcc", "-O2", "-o", b.loop, source},
		{"go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.bare, "./bench/bareclient"},
	} {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", argv[0], err, out)
		}
	}
	if tsp, err := exec.LookPath("tsp"); err == nil {
		b.tsp = tsp
	} else {
		fmt.Println("task-spooler is not installed: its lines are left out (Debian package task-spooler)")
	}
	return b, nil
}
