package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// spec is a job as a client with an environment of usual size posts it.
func spec(queue string) []byte {
	env := map[string]string{}
	for _, e := range environment() {
		for i := range e {
			if e[i] == '=' {
				env[e[:i]] = e[i+1:]
				break
			}
		}
	}
	body, err := json.Marshal(job.Spec{Command: []string{program}, Queue: queue, Cwd: "/", Env: env})
	if err != nil {
		panic(err) // plain strings always marshal
	}
	return body
}

// measureLatency times, on an idle system, from before the post to the start of the process.
func measureLatency(ctx context.Context, b *bench) error {
	return withService(ctx, b, func(ctx context.Context, s *harness.Service) error {
		p, err := dialPoster(ctx, s.Socket())
		if err != nil {
			return err
		}
		defer p.close()
		body := spec("")
		var took []time.Duration
		for range b.size.latency {
			// Wall clock: the job's started_at is of the same clock.
			begin := time.Now().Round(0)
			var j job.Job
			if err := p.do(http.MethodPost, "/api/jobs", body, http.StatusCreated, &j); err != nil {
				return err
			}
			if err := p.do(http.MethodGet, fmt.Sprintf("/api/jobs/%d?wait=10", j.ID), nil, http.StatusOK, &j); err != nil {
				return err
			}
			if j.State != job.Completed {
				return fmt.Errorf("job %d is %s", j.ID, j.State)
			}
			took = append(took, j.StartedAt.Sub(begin))
		}
		b.addMillis(latencyP50, quantile(took, 0.50))
		b.addMillis(latencyP99, quantile(took, 0.99))
		return nil
	})
}

// measureAdds measures single adds, each on disk when it is answered, by 1, 10 and 50 clients.
func measureAdds(ctx context.Context, b *bench) error {
	return withService(ctx, b, func(ctx context.Context, s *harness.Service) error {
		for _, load := range []struct {
			name       string
			clients, n int
		}{
			{adds1, 1, b.size.adds / 5},
			{adds10, 10, b.size.adds},
			{adds50, 50, b.size.adds * 2},
		} {
			took, err := addBy(ctx, s.Socket(), load.clients, load.n)
			if err != nil {
				return fmt.Errorf("%d clients: %w", load.clients, err)
			}
			b.addRate(load.name, load.n, took)
		}
		return nil
	})
}

// addBy adds n jobs by so many connections to a socket and returns how long it took.
func addBy(ctx context.Context, socket string, clients, n int) (time.Duration, error) {
	posters := make([]*poster, clients)
	for i := range posters {
		p, err := dialPoster(ctx, socket)
		if err != nil {
			return 0, err
		}
		defer p.close()
		posters[i] = p
	}
	body := spec(pausedQueue)
	errs := make([]error, clients)
	var wg sync.WaitGroup
	begin := time.Now()
	for i, p := range posters {
		wg.Go(func() {
			for k := i; k < n && errs[i] == nil; k += clients {
				errs[i] = p.do(http.MethodPost, "/api/jobs", body, http.StatusCreated, nil)
			}
		})
	}
	wg.Wait()
	return time.Since(begin), errors.Join(errs...)
}

// measureBulkAdd times one POST of many jobs, and beside it one `job add --file` of as many, which
// reads and sends them again.
func measureBulkAdd(ctx context.Context, b *bench) error {
	return withService(ctx, b, func(ctx context.Context, s *harness.Service) error {
		line := `{"command":["` + program + `"],"queue":"` + pausedQueue + `"}`
		c := s.HTTP()
		defer c.CloseIdleConnections()
		body := strings.NewReader(strings.Repeat(line+"\n", b.size.bulk))
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://queuemgr/api/jobs", body)
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-ndjson")
		begin := time.Now()
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		took := time.Since(begin)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusCreated {
			return fmt.Errorf("bulk add: %s", resp.Status)
		}
		b.addRate(bulkAdd, b.size.bulk, took)

		file, err := writeJobs(s.Home, b.size.bulk, line)
		if err != nil {
			return err
		}
		begin = time.Now()
		if _, err := s.Must(ctx, "job", "add", "-q", "--file", file); err != nil {
			return err
		}
		b.addRate(bulkFile, b.size.bulk, time.Since(begin))
		return nil
	})
}
