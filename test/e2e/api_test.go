package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// TestAPI speaks HTTP with the daemon's socket as curl does.
func TestAPI(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	c := h.HTTP()
	defer c.CloseIdleConnections()

	var document struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	if err := harness.Get(h.ctx, c, "/api/openapi.json", &document); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1") {
		t.Errorf("the document says OpenAPI %q, want 3.1", document.OpenAPI)
	}
	for _, operation := range []string{"get /api/status", "get /api/jobs", "post /api/jobs", "get /api/jobs/{id}", "get /api/jobs/{id}/logs",
		"get /api/queues", "get /api/events"} {
		method, path, _ := strings.Cut(operation, " ")
		if document.Paths[path][method] == nil {
			t.Errorf("the document has no %s", operation)
		}
	}

	g := newGates(h)
	var j job.Job
	h.decode(h.ask(c, http.MethodPost, "/api/jobs", fmt.Sprintf(`{"shell":%q}`, "echo one; "+g.script("echo two; exit 3")), http.StatusCreated, "application/json"), &j)
	g.arrived.line()
	g.gate.release(1)
	// A log that is followed ends with its job.
	if log := h.ask(c, http.MethodGet, "/api/jobs/1/logs?follow=true", "", http.StatusOK, ""); log != "one\ntwo\n" {
		t.Errorf("the log is %q", log)
	}
	h.wait(j.ID)
	h.decode(h.ask(c, http.MethodGet, "/api/jobs/1", "", http.StatusOK, "application/json"), &j)
	if j.State != job.Failed || codeOf(&j) != "3" {
		t.Errorf("state %s, exit code %s; want failed, 3", j.State, codeOf(&j))
	}

	const problem = "application/problem+json"
	for _, r := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodGet, "/api/jobs/4711", "", http.StatusNotFound},
		{http.MethodPost, "/api/jobs/1/stop", "", http.StatusConflict},
		{http.MethodPost, "/api/jobs", `{"command":[]}`, http.StatusUnprocessableEntity},
		{http.MethodPost, "/api/jobs", `{"command":["true"],"queue":"nosuch"}`, http.StatusNotFound},
	} {
		var p struct {
			Status        int
			Title, Detail string
		}
		h.decode(h.ask(c, r.method, r.path, r.body, r.status, problem), &p)
		if p.Status != r.status || p.Title == "" || p.Detail == "" {
			t.Errorf("%s %s: the problem is %+v", r.method, r.path, p)
		}
	}
}

// ask sends a request, which must be answered with the status and the type of content ("" = any),
// and returns the answer's body.
func (h *home) ask(c *http.Client, method, path, body string, status int, content string) string {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.ctx, method, "http://queuemgr"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != status || content != "" && got != content {
		h.t.Errorf("%s %s %s: %s, %s; want %d, %s\n%s", method, path, body, resp.Status, got, status, content, text)
	}
	return string(text)
}
