package sqlite_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

var benchEnv = func() (env []string) {
	for i := range 40 {
		env = append(env, fmt.Sprintf("VARIABLE_%02d=/some/value/of/ordinary/length/%d", i, i))
	}
	return env
}()

func benchJob() *job.Job {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return &job.Job{Queue: job.DefaultQueue, Type: job.TypeCommand, State: job.Queued, Command: []string{"/bin/true"}, Cwd: "/home/ann",
		Owner: "ann", UID: 1000, GID: 1000, MaxAttempts: 1, CreatedAt: now, QueuedAt: now, Grace: job.Duration(10 * time.Second)}
}

func benchAdd(n int) store.AddJobs {
	p := store.AddJobs{At: time.Now().UTC(), Jobs: make([]store.NewJob, n)}
	for i := range p.Jobs {
		p.Jobs[i] = store.NewJob{Job: benchJob(), Env: benchEnv}
	}
	return p
}

func benchOpen(b *testing.B) *sqlite.Store {
	b.Helper()
	s, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "registry.db"), MinFree: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// measure returns a function that reports what n of a unit took: the rate, which other load on the
// machine lowers, and the processor time, which it hardly does.
func measure(b *testing.B, unit string) func(n int) {
	b.Helper()
	before := cpu(b)
	return func(n int) {
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), unit+"s/s")
		b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(n), "cpu-µs/"+unit)
	}
}

// cpu returns the processor time the process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAddBulk is a durable addition of 50,000 jobs.
func BenchmarkAddBulk(b *testing.B) {
	s := benchOpen(b)
	const n = 50_000
	report := measure(b, "job")
	for b.Loop() {
		b.StopTimer()
		p := benchAdd(n)
		b.StartTimer()
		if _, err := s.AddJobs(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
	report(b.N * n)
}

// BenchmarkAddSingle is durable additions of one job each by a number of clients.
func BenchmarkAddSingle(b *testing.B) {
	for _, clients := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := benchOpen(b)
			report := measure(b, "job")
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := range clients {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for range (b.N + c) / clients {
						if _, err := s.AddJobs(b.Context(), benchAdd(1)); err != nil {
							b.Error(err)
							return
						}
					}
				}()
			}
			wg.Wait()
			report(b.N)
		})
	}
}

// BenchmarkCommit50 is a group of 50 updates: claims, then exits.
func BenchmarkCommit50(b *testing.B) {
	s := benchOpen(b)
	const n = 50
	var jobs []*job.Job
	to := job.Starting
	report := measure(b, "update")
	for b.Loop() {
		if len(jobs) == 0 {
			b.StopTimer()
			if _, err := s.AddJobs(b.Context(), benchAdd(n)); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			var err error
			if jobs, err = s.Candidates(b.Context(), job.DefaultQueue, n); err != nil {
				b.Fatal(err)
			}
		}
		c := store.Commit{At: time.Now().UTC()}
		for _, j := range jobs {
			from := j.State
			j.State = to
			c.Updates = append(c.Updates, store.Update{Job: j, From: from})
		}
		if _, err := s.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		if to == job.Starting {
			to = job.Completed
		} else {
			to, jobs = job.Starting, nil
		}
	}
	report(b.N * n)
}
