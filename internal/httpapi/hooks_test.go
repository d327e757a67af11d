package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// delivery records one of job 1 that was given up and returns its number.
func (a *api) delivery() int64 {
	a.Helper()
	c, err := a.engine.Store.HookCursor(a.Context())
	if err != nil {
		a.Fatal(err)
	}
	d := store.Delivery{Delivery: job.Delivery{JobID: 1, Attempt: 1, Event: job.HookFailure, Seq: c.Seq + 1, Hook: "settings/ops", Receiver: "settings/ops"},
		Doc: store.DeliveryDoc{At: time.Now(), Job: json.RawMessage(`{}`)}}
	added, err := a.engine.Store.AddDeliveries(a.Context(), store.AddDeliveries{From: c.Seq, Cursor: store.HookCursor{Seq: c.Seq + 1}, Deliveries: []store.Delivery{d}, At: time.Now()})
	if err != nil || len(added) != 1 {
		a.Fatal(added, err)
	}
	err = a.engine.Store.SetDeliveries(a.Context(), []store.DeliveryUpdate{{ID: added[0].ID, State: job.DeliveryGivenUp, Tries: 3, LastError: "nobody there"}}, time.Now())
	if err != nil {
		a.Fatal(err)
	}
	return added[0].ID
}

func TestHooks(t *testing.T) {
	a := open(t)
	var list struct{ Hooks []job.ConfiguredHook }
	_, text := a.ask("GET", "/api/hooks", "")
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Hooks) != 1 || list.Hooks[0].URL != "http://ops.invalid/…" || !list.Hooks[0].Signed || strings.Contains(text, "hunter2") {
		t.Errorf("hooks: %s (%v)", text, err)
	}
	first, second := a.delivery(), a.delivery()
	var page job.DeliveryPage
	a.want(200, "GET", "/api/hooks/deliveries?job=1&state=given_up,done&limit=1", "", &page)
	if len(page.Deliveries) != 1 || page.Deliveries[0].ID != second || page.Deliveries[0].LastError != "nobody there" || page.NextCursor == "" {
		t.Errorf("first page: %+v", page)
	}
	a.want(200, "GET", "/api/hooks/deliveries?cursor="+page.NextCursor, "", &page)
	if len(page.Deliveries) != 1 || page.Deliveries[0].ID != first {
		t.Errorf("second page: %+v", page)
	}
	var d job.Delivery
	a.want(200, "POST", fmt.Sprintf("/api/hooks/deliveries/%d/retry", first), "", &d)
	if d.ID != first || d.State != job.DeliveryPending || d.NextTry.IsZero() {
		t.Errorf("tried again: %+v", d)
	}
	for url, status := range map[string]int{"POST /api/hooks/deliveries/999/retry": 404, "POST /api/hooks/deliveries/x/retry": 404, "GET /api/hooks/deliveries?state=faild": 422,
		"GET /api/hooks/deliveries?limit=99999": 422, "GET /api/hooks/deliveries?cursor=x": 422, "GET /api/hooks/deliveries?job=": 422} {
		method, path, _ := strings.Cut(url, " ")
		if resp, text := a.ask(method, path, ""); resp.StatusCode != status {
			t.Errorf("%s: %s, want %d: %s", url, resp.Status, status, text)
		}
	}
}

// TestHooksOfJobs adds jobs with hooks that can't be.
func TestHooksOfJobs(t *testing.T) {
	a := open(t)
	var j job.Job
	a.want(201, "POST", "/api/jobs", `{"shell":"true","hold":true,"hooks":[{"on":["start","stop"],"url":"https://ci.example.org/x"},{"on":["failure"],"command":["true"]}]}`, &j)
	if len(j.Hooks) != 2 || j.Hooks[0].URL != "https://ci.example.org/x" || j.Hooks[1].Command[0] != "true" {
		t.Errorf("its hooks: %+v", j.Hooks)
	}
	for hook, field := range map[string]string{
		`{"on":[],"url":"http://x/"}`: "hooks[0].on", `{"on":["end"],"url":"http://x/"}`: "hooks[0].on", `{"on":["start","start"],"url":"http://x/"}`: "hooks[0].on",
		`{"on":["start"]}`: "hooks[0]", `{"on":["start"],"url":"http://x/","command":["true"]}`: "hooks[0]", `{"on":["start"],"url":"file:///etc/passwd"}`: "hooks[0].url",
		`{"on":["start"],"url":"http://u:p@x/"}`: "hooks[0].url", `{"on":["start"],"url":"http:///x"}`: "hooks[0].url", `{"on":["start"],"url":"gopher://x/"}`: "hooks[0].url", `{"on":["start"],"command":[""]}`: "hooks[0].command[0]",
		`{"on":["start"],"command":["a\u0000b"]}`: "hooks[0].command[0]",
	} {
		var problem struct{ Field, Hint string }
		a.want(422, "POST", "/api/jobs", `{"shell":"true","hooks":[`+hook+`]}`, &problem)
		if problem.Field != field || problem.Hint == "" {
			t.Errorf("%s: field %q, hint %q; want %q", hook, problem.Field, problem.Hint, field)
		}
	}
}
