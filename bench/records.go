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
		if err := failRarely(ctx, s); err != nil {
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

// rareCode is the exit code of the first jobs on record, and of no other.
const (
	rareCode = 99
	rareJobs = 12
)

// failRarely runs the jobs with rareCode.
func failRarely(ctx context.Context, s *harness.Service) error {
	for range rareJobs {
		r, err := s.Run(ctx, "job", "add", "--wait", "-q", "--shell", fmt.Sprintf("exit %d", rareCode))
		if err != nil {
			return err
		}
		if r.Code != rareCode {
			return fmt.Errorf("a job ended with %d, want %d: %s", r.Code, rareCode, r.Stderr)
		}
	}
	return nil
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

// listPages times what is asked for most: pages of the newest jobs, of a rare state, deep in the history,
// those with a rare exit code, and the status.
func listPages(ctx context.Context, b *bench, s *harness.Service) error {
	p, err := dialPoster(ctx, s.Socket())
	if err != nil {
		return err
	}
	defer p.close()
	for _, q := range []struct {
		name, query string
		jobs        int
	}{
		{recordsPage, "", job.DefaultLimit},
		{recordsPage, "?state=stopped", job.DefaultLimit},
		{recordsPage, "?oldest=true&state=failed", job.DefaultLimit},
		{recordsRare, fmt.Sprintf("?exit_code=%d", rareCode), rareJobs},
	} {
		var page job.Page
		if err := timed(b, p, q.name, "/api/jobs"+q.query, &page, func() error {
			if len(page.Jobs) != q.jobs {
				return fmt.Errorf("list %q: %d jobs on the page", q.query, len(page.Jobs))
			}
			page = job.Page{}
			return nil
		}); err != nil {
			return err
		}
	}
	var status job.Status
	return timed(b, p, recordsState, "/api/status", &status, func() error {
		if status.Jobs[job.Completed] == 0 {
			return fmt.Errorf("the status counts %v", status.Jobs)
		}
		return nil
	})
}

// timed adds the median time of a GET; check looks at each answer, in v.
func timed(b *bench, p *poster, name, path string, v any, check func() error) error {
	var took []time.Duration
	for range 20 {
		begin := time.Now()
		if err := p.do(http.MethodGet, path, nil, http.StatusOK, v); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
		if err := check(); err != nil {
			return err
		}
	}
	b.addMillis(name, quantile(took, 0.5))
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
