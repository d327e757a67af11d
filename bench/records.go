package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// measureRecords looks at a registry with many jobs: nine in ten ended, the others waiting.
func measureRecords(ctx context.Context, b *bench) error {
	if b.size.records == 0 {
		return nil
	}
	return withService(ctx, b, func(ctx context.Context, s *harness.Service) error {
		const adds = 2000
		empty, err := addBy(ctx, s.Socket(), 1, adds)
		if err != nil {
			return err
		}
		if err := fill(ctx, s, b.size.records); err != nil {
			return err
		}
		b.add(recordCount, float64(b.size.records))
		begin := time.Now()
		if err := s.Start(ctx); err != nil {
			return err
		}
		b.addMillis(recordsStart, time.Since(begin))
		if err := listPages(ctx, b, s); err != nil {
			return err
		}
		daemon, _, err := pids(ctx, s)
		if err != nil {
			return err
		}
		if err := settled(ctx, daemon); err != nil {
			return err
		}
		full, err := addBy(ctx, s.Socket(), 1, adds)
		if err != nil {
			return err
		}
		b.add(recordsAdd, float64(full)/float64(empty))
		u, err := harness.ProcessUsage(daemon)
		if err != nil {
			return err
		}
		b.add(recordsRSS, float64(u.RSS)/mega)
		return nil
	})
}

// fill adds a tenth of n as waiting jobs and imports the others as ended ones; the daemon is
// stopped afterwards.
func fill(ctx context.Context, s *harness.Service, n int) error {
	file, err := writeJobs(s.Home, n/10, `{"command":["`+program+`"],"queue":"`+pausedQueue+`"}`)
	if err != nil {
		return err
	}
	if _, err := s.Must(ctx, "job", "add", "-q", "--file", file); err != nil {
		return err
	}
	if _, err := s.Must(ctx, "daemon", "stop"); err != nil {
		return err
	}
	history := filepath.Join(s.Home, "history.jsonl")
	if err := writeHistory(history, n-n/10); err != nil {
		return err
	}
	_, err = s.Must(ctx, "registry", "import", history)
	return err
}

func writeHistory(path string, n int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	status := []string{"COMPLETED", "COMPLETED", "COMPLETED", "ERROR", "STOPPED"}
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		t := at.Add(time.Duration(i) * time.Second).Format(time.RFC3339)
		if _, err := fmt.Fprintf(w, `{"job_id":"h%d","status":%q,"progress":100,"description":"job %d","created_at":%q,"updated_at":%q,"completed_at":%q}`+"\n",
			i, status[i%len(status)], i, t, t, t); err != nil {
			return err
		}
	}
	return w.Flush()
}

// listPages times pages of the list: the newest jobs, a rare state, deep in the history.
func listPages(ctx context.Context, b *bench, s *harness.Service) error {
	p, err := dialPoster(ctx, s.Socket())
	if err != nil {
		return err
	}
	defer p.close()
	for _, query := range []string{"", "?state=stopped", "?oldest=true&state=failed"} {
		var took []time.Duration
		for range 20 {
			var page job.Page
			begin := time.Now()
			if err := p.do(http.MethodGet, "/api/jobs"+query, nil, http.StatusOK, &page); err != nil {
				return err
			}
			took = append(took, time.Since(begin))
			if len(page.Jobs) != job.DefaultLimit {
				return fmt.Errorf("list %q: %d jobs on the page", query, len(page.Jobs))
			}
		}
		b.addMillis(recordsPage, quantile(took, 0.5))
	}
	return nil
}

// settled returns when a process does nothing any more: after an import the daemon writes
// registry.jsonl in the background.
func settled(ctx context.Context, pid int) error {
	const look, most = 500 * time.Millisecond, 5 * time.Millisecond
	for last := time.Duration(-1); ; {
		u, err := harness.ProcessUsage(pid)
		if err != nil {
			return err
		}
		if last >= 0 && u.CPU-last <= most {
			return nil
		}
		last = u.CPU
		if err := pause(ctx, look); err != nil {
			return err
		}
	}
}
