package e2e

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// events follows the daemon's changes, so that a test waits for what happens and not for time.
type events struct {
	h  *home
	in *bufio.Reader
}

// follow streams every change after the given one.
func (h *home) follow(after uint64) *events {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.ctx, limit)
	h.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://queuemgr/api/events", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", formatSeq(after))
	c := h.HTTP()
	resp, err := c.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		h.t.Fatalf("GET /api/events: %s", resp.Status)
	}
	h.t.Cleanup(func() {
		resp.Body.Close()
		c.CloseIdleConnections()
	})
	return &events{h: h, in: bufio.NewReader(resp.Body)}
}

// until waits for the first change that is wanted.
func (e *events) until(what string, wanted func(job.Change) bool) job.Change {
	e.h.t.Helper()
	for {
		line, err := e.in.ReadString('\n')
		if err != nil {
			e.h.t.Fatalf("waited for %s: %v", what, err)
		}
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data:")
		if !ok {
			continue
		}
		c, err := job.ParseChange([]byte(strings.TrimSpace(data)))
		if err == nil && wanted(c) {
			return c
		}
	}
}

// state waits until a job is in a state.
func (e *events) state(id int64, s job.State) {
	e.h.t.Helper()
	e.until("job to be "+string(s), func(c job.Change) bool { return c.JobID == id && c.State == s && c.Kind != job.JobPurged })
}

// purged waits until a job's record is gone.
func (e *events) purged(id int64) {
	e.h.t.Helper()
	e.until("job to be purged", func(c job.Change) bool { return c.JobID == id && c.Kind == job.JobPurged })
}

func formatSeq(seq uint64) string { return strconv.FormatUint(seq, 10) }
