package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// BenchmarkMillion is what things cost with a million jobs on record: 800,000 have completed, then
// 200,000 wait in three queues, and among the first ones ten have failed.
func BenchmarkMillion(b *testing.B) {
	path := filepath.Join(b.TempDir(), "registry.db")
	s, err := sqlite.Open(b.Context(), sqlite.Options{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	fillMillion(b, s)
	b.Run("list", func(b *testing.B) {
		for name, f := range map[string]job.Filter{
			"all":                 {},
			"rare state":          {States: []job.State{job.Failed}},
			"common state":        {States: []job.State{job.Completed}},
			"states":              {States: []job.State{job.Completed, job.Failed, job.Stopped}},
			"rare queue":          {Queues: []string{"rare"}},
			"rare state in queue": {States: []job.State{job.Failed}, Queues: []string{"default"}},
			"name":                {Name: "no such name"},
			"rare tag":            {Tags: []string{"rare"}},
			"no such tag":         {Tags: []string{"none"}},
			"no such owner":       {Owner: "nobody"},
			"no such type":        {Types: []string{"none"}},
			"owner and rare tag":  {Owner: "ann", Tags: []string{"rare"}},
			"number":              {IDs: []job.Range{{From: 500_000, To: 500_000}}},
		} {
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					if _, err := s.ListJobs(b.Context(), f); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
	b.Run("candidates", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Candidates(b.Context(), job.DefaultQueue, 50); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("add", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.AddJobs(b.Context(), benchAdd(1)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("memory", func(b *testing.B) {
		debug.FreeOSMemory() // of filling it
		b.ReportMetric(rss(b), "MB-RSS")
	})
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("open and close", func(b *testing.B) {
		for b.Loop() {
			s, err := sqlite.Open(b.Context(), sqlite.Options{Path: path})
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func fillMillion(b *testing.B, s *sqlite.Store) {
	b.Helper()
	for _, name := range []string{"rare", "night"} {
		if err := s.AddQueue(b.Context(), job.Queue{Name: name}, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	const step = 10_000
	for from := 0; from < 1_000_000; from += step {
		p := store.AddJobs{At: time.Now().UTC()}
		for i := from; i < from+step; i++ {
			j := benchJob()
			j.Name = fmt.Sprintf("job number %d", i)
			switch {
			case i < 10_000 && i%1000 == 0:
				j.State = job.Failed
			case i < 800_000:
				j.State = job.Completed
			case i%2 == 0:
				j.Queue = "night"
			}
			if i%200_000 == 5 {
				j.Queue, j.Tags = "rare", []string{"rare"}
			}
			p.Jobs = append(p.Jobs, store.NewJob{Job: j, Env: benchEnv})
		}
		if _, err := s.AddJobs(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
}

// rss returns how much memory the process has resident, in MB.
func rss(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.ParseFloat(strings.Fields(after)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib / 1000
}
