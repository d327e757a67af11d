package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// BenchmarkFailures is what a page costs with a million jobs on record of which 700,000 have failed: in
// the last hour 1,000, of which 12 were killed. They were the first to be added.
func BenchmarkFailures(b *testing.B) {
	s, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "registry.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	now := time.Now().UTC()
	const step = 10_000
	for from := 0; from < 1_000_000; from += step {
		p := store.AddJobs{At: now.Add(-24 * time.Hour)}
		if from == 0 {
			p.At = now
		}
		for i := from; i < from+step; i++ {
			j := benchJob()
			code := 1
			switch {
			case from == 0 && i >= 1000 || i >= 709_000:
				j.State, code = job.Completed, 0
			case from == 0 && i < 12:
				j.State, j.Reason, code = job.Failed, job.ReasonSignal, 137
			default:
				j.State, j.Reason = job.Failed, job.ReasonExit
			}
			j.ExitCode = &code
			p.Jobs = append(p.Jobs, store.NewJob{Job: j, Env: benchEnv})
		}
		if _, err := s.AddJobs(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
	hour := now.Add(-time.Hour)
	for _, c := range []struct {
		name string
		f    job.Filter
		want int
	}{
		{"failed in a time", job.Filter{States: []job.State{job.Failed}, EndedSince: hour}, 50},
		{"exit code in a time", job.Filter{ExitCodes: []int{137}, EndedSince: hour}, 12},
		{"reason in a time", job.Filter{Reasons: []job.Reason{job.ReasonSignal}, EndedSince: hour}, 12},
		{"common exit code", job.Filter{ExitCodes: []int{1}}, 50},
		{"last failed", job.Filter{States: []job.State{job.Failed}, Sort: job.SortLastEnded}, 50},
		{"last ended", job.Filter{Sort: job.SortLastEnded}, 50},
		{"made in a time", job.Filter{Since: now.Add(-48 * time.Hour)}, 50},
		{"rare exit code at any time", job.Filter{ExitCodes: []int{137}}, 12},
		{"rare reason at any time", job.Filter{Reasons: []job.Reason{job.ReasonSignal}}, 12},
		{"no such exit code", job.Filter{ExitCodes: []int{99}}, 0},
		{"rare exit code, last ended", job.Filter{ExitCodes: []int{137}, Sort: job.SortLastEnded}, 12},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if page, err := s.ListJobs(b.Context(), c.f); err != nil || len(page.Jobs) != c.want {
					b.Fatal(len(page.Jobs), err)
				}
			}
		})
	}
}
