package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os/user"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/auth"
	"github.com/queuemgr/queuemgr/internal/auth/authtest"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/internal/hooks"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/job"
)

// api is a served engine that is asked in plain HTTP.
type api struct {
	*testing.T
	engine *enginetest.Fixture
	socket string
	http   *http.Client
}

func open(t *testing.T) *api {
	t.Helper()
	e := enginetest.Start(t, nil)
	g := authtest.Guard(t, e)
	told, err := hooks.New(t.Context(), hooks.Options{Store: e.Store, Now: time.Now, Random: rand.Float64, Log: slog.New(slog.DiscardHandler),
		Hooks: []hooks.Configured{{Name: "ops", On: job.HookEvents, URL: "http://ops.invalid/?key=hunter2", Secret: []byte("hunter2"), Timeout: time.Second, GiveUp: time.Minute}}})
	if err != nil {
		t.Fatal(err)
	}
	return over(t, e, httpapi.Options{Service: g.Service, Gate: g.Gate, Access: g.Gate, Version: "test", Hooks: auth.NewHooks(g.Service, told),
		Metrics: func(context.Context) ([]byte, error) { return []byte("up 1\n"), nil }})
}

func over(t *testing.T, e *enginetest.Fixture, o httpapi.Options) *api {
	t.Helper()
	socket := serve(t, o)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &api{T: t, engine: e, socket: socket, http: &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// ask returns the answer with its body read.
func (a *api) ask(method, path, body string, header ...string) (*http.Response, string) {
	a.Helper()
	req, err := http.NewRequestWithContext(a.Context(), method, "http://x"+path, strings.NewReader(body))
	if err != nil {
		a.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := a.http.Do(req)
	if err != nil {
		a.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		a.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, string(b)
}

// want asks and wants a status; the answer is decoded into out unless that is nil.
func (a *api) want(status int, method, path, body string, out any, header ...string) *http.Response {
	a.Helper()
	resp, text := a.ask(method, path, body, header...)
	if resp.StatusCode != status {
		a.Fatalf("%s %s: %s, want %d: %s", method, path, resp.Status, status, text)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			a.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return resp
}

// problem is what every error is answered with.
type problem struct {
	Type, Title, Detail, Code, Field, Hint string
	Status, Line                           int
	JobID                                  int64 `json:"job_id"`
}

func (a *api) refused(status int, code job.Code, field, method, path, body string, header ...string) problem {
	a.Helper()
	resp, text := a.ask(method, path, body, header...)
	var p problem
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		a.Errorf("%s %s: %s is no problem document: %s", method, path, resp.Status, text)
		return p
	}
	if kind := resp.Header.Get("Content-Type"); kind != "application/problem+json" {
		a.Errorf("%s %s: an error of type %s", method, path, kind)
	}
	if resp.StatusCode != status || p.Status != status || p.Code != string(code) || p.Field != field || p.Type != "about:blank" || p.Title == "" || p.Detail == "" {
		a.Errorf("%s %s: %s, %+v; want %d %s, field %q", method, path, resp.Status, p, status, code, field)
	}
	return p
}

func TestAddOne(t *testing.T) {
	a := open(t)
	var j job.Job
	resp := a.want(201, "POST", "/api/jobs", ` { "command": ["sh", "-c", "exit 7"], "key": "seven", "timeout": "1h30m" }`, &j)
	if got := resp.Header.Get("Location"); got != fmt.Sprintf("/api/jobs/%d", j.ID) {
		t.Errorf("Location %q", got)
	}
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if j.Owner != u.Username || j.Timeout.String() != "1h30m0s" {
		t.Errorf("%+v", j)
	}
	var ended job.Job
	a.want(200, "GET", resp.Header.Get("Location")+"?wait=60", "", &ended)
	if ended.State != job.Failed || ended.ExitCode == nil || *ended.ExitCode != 7 {
		t.Errorf("%+v", ended)
	}
	a.want(200, "GET", "/api/jobs/seven", "", &ended)
	if ended.ID != j.ID {
		t.Errorf("by key: %+v", ended)
	}
}

func TestAddMany(t *testing.T) {
	a := open(t)
	var added struct{ IDs []int64 }
	ndjson := []string{"Content-Type", "application/x-ndjson"}
	for _, c := range []struct {
		body   string
		n      int
		header []string
	}{
		{`{"jobs":[{"shell":"true"},{"shell":"true"}]}`, 2, nil},
		{"\n\t {\"defaults\":{\"shell\":\"true\"},\"jobs\":[{},{},{}]}\n", 3, nil},
		{`{"jobs":[]}`, 0, nil},
		{`{"jobs":[{"name":"before the defaults"}],"defaults":{"shell":"true"}}`, 1, nil},
		{"{\"shell\":\"true\"}\n{\"shell\":\"true\"}\n", 2, ndjson},
		{"\n{\"shell\":\"true\"}\n\r\n{\"shell\":\"true\"}", 2, ndjson},
		{"", 0, ndjson},
		{`{"shell":"` + strings.Repeat("x", 100_000) + `"}`, 1, ndjson}, // longer than the reader's buffer
	} {
		added.IDs = nil
		a.want(201, "POST", "/api/jobs", c.body, &added, c.header...)
		if added.IDs == nil || len(added.IDs) != c.n {
			t.Errorf("%.60s: %v, want %d numbers", c.body, added.IDs, c.n)
		}
	}
	for _, c := range []struct {
		body   string
		field  string
		line   int
		header []string
	}{
		{`{"jobs":[{"shell":"true"},{"shell":"true"},{"cwd":"x","shell":"true"}]}`, "cwd", 3, nil},
		{`{"jobs":[{"shell":"true"},{"shel":"true"}]}`, "shel", 2, nil},
		{`{"jobs":[{"shell":"true"},{"shell":7}]}`, "shell", 2, nil},
		{`{"jobs":[{"shell":"true"},{"shell":"true","grace":"soon"}]}`, "grace", 2, nil},
		{`{"jobs":[{"shell":"true"},7]}`, "", 2, nil},
		{`{"jobs":[{"shell":"true"},{"shell":`, "", 2, nil},
		{`{"jobs":{}}`, "jobs", 0, nil},
		{`{"jobs":[],"more":1}`, "more", 0, nil},
		{`{"jobs":[{"shell":"true"},{"shell":"true","shell":"false"}]}`, "shell", 2, nil},
		{"{\"shell\":\"true\"}\n{\"Shell\":\"true\"}\n", "Shell", 2, ndjson},
		{`{"jobs":[{"shell":"true"}],"jobs":[]}`, "jobs", 0, nil},
		{`{"defaults":{},"jobs":[{"shell":"true"}],"defaults":{}}`, "defaults", 0, nil},
		{`{"jobs":[]} {}`, "", 0, nil},
		{"{\"shell\":\"true\"}\n\n{\"cwd\":\"x\",\"shell\":\"true\"}", "cwd", 3, ndjson},
		{"{\"shell\":\"true\"}\n\n{]\n", "", 3, ndjson},
		{"{\"shell\":\"true\"} {\"shell\":\"true\"}\n", "", 1, ndjson},
	} {
		if p := a.refused(422, job.Invalid, c.field, "POST", "/api/jobs", c.body, c.header...); p.Line != c.line {
			t.Errorf("%s: line %d, want %d: %s", c.body, p.Line, c.line, p.Detail)
		}
	}
	var page job.Page
	a.want(200, "GET", "/api/jobs?limit=1000", "", &page)
	if len(page.Jobs) != 11 {
		t.Errorf("%d jobs on record, want 11", len(page.Jobs))
	}
}

// TestAddVeryMany keeps the order of a batch that several processors decode, and names its first fault.
func TestAddVeryMany(t *testing.T) {
	a := open(t)
	const n = 3000
	body := func(form string, faulty ...int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(`{"shell":"true","hold":true,"key":"%s-%d"}`, form, i+1)
		}
		for _, i := range faulty {
			list[i-1] = `{"shell":"true","colour":"red"}`
		}
		if form == "lines" {
			return strings.Join(list, "\n")
		}
		return `{"jobs":[` + strings.Join(list, ",") + `]}`
	}
	for form, header := range map[string][]string{"lines": {"Content-Type", "application/x-ndjson"}, "list": nil} {
		for _, faulty := range [][]int{{700, 1}, {2999, 701}, {n}, {257, 256}} {
			p := a.refused(422, job.Invalid, "colour", "POST", "/api/jobs", body(form, faulty...), header...)
			if want := slices.Min(faulty); p.Line != want {
				t.Errorf("%s with faults at %v: line %d, want %d", form, faulty, p.Line, want)
			}
		}
		cut := body(form)
		if p := a.refused(422, job.Invalid, "", "POST", "/api/jobs", cut[:len(cut)-10], header...); p.Line != n {
			t.Errorf("%s that breaks off: line %d, want %d", form, p.Line, n)
		}
		var added struct{ IDs []int64 }
		a.want(201, "POST", "/api/jobs", body(form), &added, header...)
		if len(added.IDs) != n {
			t.Fatalf("%d numbers", len(added.IDs))
		}
		for _, i := range []int{1, 255, 256, 257, 512, 513, 1024, 2999, n} {
			var j job.Job
			a.want(200, "GET", fmt.Sprint("/api/jobs/", added.IDs[i-1]), "", &j)
			if want := fmt.Sprintf("%s-%d", form, i); j.Key != want {
				t.Errorf("job %d of the batch has the key %s, want %s", i, j.Key, want)
			}
		}
	}
}

func TestProblems(t *testing.T) {
	a := open(t)
	var held job.Job
	a.want(201, "POST", "/api/jobs", `{"shell":"true","hold":true,"key":"k"}`, &held)
	a.want(200, "POST", "/api/jobs/k/stop", "", nil)
	long := strings.Repeat("x", 5<<20)
	for _, c := range []struct {
		status             int
		code               job.Code
		field              string
		method, path, body string
	}{
		{422, job.Invalid, "", "POST", "/api/jobs", ""},
		{422, job.Invalid, "", "POST", "/api/jobs", "no JSON"},
		{422, job.Invalid, "", "POST", "/api/jobs", "[]"},
		{422, job.Invalid, "", "POST", "/api/jobs", `{"shell":"true"`},
		{422, job.Invalid, "", "POST", "/api/jobs", `{"shell":"true"}{}`},
		{422, job.Invalid, "command", "POST", "/api/jobs", `{}`},
		{422, job.Invalid, "comand", "POST", "/api/jobs", `{"comand":["true"]}`},
		{422, job.Invalid, "command", "POST", "/api/jobs", `{"command":"true"}`},
		{422, job.Invalid, "timeout", "POST", "/api/jobs", `{"shell":"true","timeout":"never"}`},
		{422, job.Invalid, "timeout", "POST", "/api/jobs", `{"shell":"true","timeout":-1}`},
		{422, job.Invalid, "umask", "POST", "/api/jobs", `{"shell":"true","umask":-1}`},
		{422, job.Invalid, "priority", "POST", "/api/jobs", `{"shell":"true","priority":1.5}`},
		{404, job.NotFound, "queue", "POST", "/api/jobs", `{"shell":"true","queue":"nosuch"}`},
		{409, job.Conflict, "key", "POST", "/api/jobs", `{"shell":"true","key":"k"}`},
		{413, job.Invalid, "", "POST", "/api/jobs", `{"shell":"` + long + `"}`},
		{413, job.Invalid, "", "POST", "/api/jobs/actions", long},
		{404, job.NotFound, "", "GET", "/api/jobs/4711", ""},
		{404, job.NotFound, "key", "GET", "/api/jobs/99999999999999999999", ""},
		{422, job.Invalid, "wait", "GET", "/api/jobs/k?wait=long", ""},
		{422, job.Invalid, "wait", "GET", "/api/jobs/k?wait=NaN", ""},
		{422, job.Invalid, "colour", "GET", "/api/jobs?colour=red", ""},
		{422, job.Invalid, "state", "GET", "/api/jobs?state=happy", ""},
		{422, job.Invalid, "shell", "POST", "/api/jobs", `{"shell":"true","shell":"false"}`},
		{422, job.Invalid, "Shell", "POST", "/api/jobs", `{"Shell":"true"}`},
		{422, job.Invalid, "select", "GET", "/api/jobs?select=5-3", ""},
		{422, job.Invalid, "select", "GET", "/api/jobs?select=1,all", ""},
		{422, job.Invalid, "select", "GET", "/api/jobs?select=", ""},
		{422, job.Invalid, "tag", "GET", "/api/jobs?tag=", ""},
		{422, job.Invalid, "queue", "GET", "/api/jobs?queue=a,", ""},
		{422, job.Invalid, "owner", "GET", "/api/jobs?owner=", ""},
		{422, job.Invalid, "limit", "GET", "/api/jobs?limit=many", ""},
		{422, job.Invalid, "limit", "GET", "/api/jobs?limit=1001", ""},
		{422, job.Invalid, "limit", "GET", "/api/jobs?limit=1&limit=2", ""},
		{422, job.Invalid, "oldest", "GET", "/api/jobs?oldest=maybe", ""},
		{422, job.Invalid, "cursor", "GET", "/api/jobs?cursor=%FF", ""},
		{422, job.Invalid, "", "GET", "/api/jobs?limit=%zz", ""},
		{422, job.Invalid, "wait", "POST", "/api/jobs/k/stop?wait=1", ""},
		{409, job.WrongState, "", "POST", "/api/jobs/k/stop", ""},
		{422, job.Invalid, "grace", "POST", "/api/jobs/k/stop", `{"grace":"x"}`},
		{422, job.Invalid, "force", "POST", "/api/jobs/k/stop", `{"force":1}`},
		{404, job.NotFound, "key", "POST", "/api/jobs/nosuch/stop", ""},
		{404, job.NotFound, "", "DELETE", "/api/jobs/4711", ""},
		{422, job.Invalid, "filter", "POST", "/api/jobs/actions", `{"action":"delete"}`},
		{422, job.Invalid, "tags", "POST", "/api/jobs/actions", `{"action":"stop","filter":{"tags":[""]}}`},
		{422, job.Invalid, "type", "POST", "/api/jobs", `{"shell":"true","type":"resize"}`},
		{422, job.Invalid, "key", "POST", "/api/jobs", `{"shell":"true","key":"+1"}`},
		{404, job.NotFound, "key", "GET", "/api/jobs/+1", ""},
		{404, job.NotFound, "key", "POST", "/api/jobs/+1/delete", ""},
		{404, job.NotFound, "key", "DELETE", "/api/jobs/-1", ""},
		{422, job.Invalid, "job", "GET", "/api/events?job=+1", ""},
		{422, job.Invalid, "action", "POST", "/api/jobs/actions", `{"action":"explode","filter":{}}`},
		{422, job.Invalid, "tail", "GET", "/api/jobs/k/logs?tail=-1", ""},
		{422, job.Invalid, "stream", "GET", "/api/jobs/k/logs?stream=both", ""},
		{422, job.Invalid, "name", "POST", "/api/queues", `{}`},
		{422, job.Invalid, "concurrency", "POST", "/api/queues", `{"name":"q","concurrency":-1}`},
		{409, job.Conflict, "queue", "POST", "/api/queues", `{"name":"default"}`},
		{404, job.NotFound, "queue", "GET", "/api/queues/nosuch", ""},
		{409, job.WrongState, "", "DELETE", "/api/queues/default", ""},
		{422, job.Invalid, "after", "GET", "/api/events?after=x", ""},
		{422, job.Invalid, "job", "GET", "/api/events?job=1,x", ""},
		{404, job.NotFound, "", "GET", "/nothing/here", ""},
		{405, job.Invalid, "", "PUT", "/api/jobs", "{}"},
		{405, job.Invalid, "", "DELETE", "/api/status", ""},
	} {
		a.refused(c.status, c.code, c.field, c.method, c.path, c.body)
	}
	a.refused(415, job.Invalid, "Content-Type", "POST", "/api/jobs", "shell=true", "Content-Type", "application/x-www-form-urlencoded")
	a.refused(422, job.Invalid, "Last-Event-ID", "GET", "/api/events", "", "Last-Event-ID", "-1")
	if resp, _ := a.ask("PUT", "/api/jobs", ""); resp.Header.Get("Allow") != "GET, POST" {
		t.Errorf("Allow: %s", resp.Header.Get("Allow"))
	}
}

// TestInternal keeps causes out of answers and in the log.
func TestInternal(t *testing.T) {
	var log bytes.Buffer
	a := over(t, nil, httpapi.Options{Service: broken{}, Log: logTo(&log)})
	if p := a.refused(500, job.Internal, "", "GET", "/api/status", ""); strings.Contains(p.Detail+p.Hint, "secret") {
		t.Errorf("the cause is shown: %+v", p)
	}
	a.refused(503, job.Unavailable, "", "GET", "/readyz", "")
	a.want(200, "GET", "/healthz", "", nil)
	if !strings.Contains(log.String(), "the secret cause") {
		t.Errorf("the cause is not logged: %s", log.String())
	}
}

// broken is a service of which nothing works.
type broken struct{ job.Service }

func (broken) Status(context.Context) (*job.Status, error) {
	return nil, fmt.Errorf("read the counters: %w", errors.New("the secret cause"))
}
