package jobs_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/jobs"
	"github.com/queuemgr/queuemgr/queuemgrtest"
)

func server(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func result(t *testing.T, r *queuemgrtest.Result) jobs.HTTPResult {
	t.Helper()
	var v jobs.HTTPResult
	if err := json.Unmarshal(r.Result, &v); err != nil {
		t.Fatalf("result %q: %v; log:\n%s", r.Result, err, r.Log)
	}
	return v
}

func TestHTTP(t *testing.T) {
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-One", "1")
		w.Header().Set("Set-Cookie", "session=secret")
		w.WriteHeader(201)
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, body, r.Header.Get("X-Given"), r.Header.Get("Authorization"), r.UserAgent())
	})
	r := queuemgrtest.Run(t, &jobs.HTTP{}, map[string]any{"method": "POST", "url": url + "/x", "headers": map[string]string{"X-Given": "yes"},
		"secret_headers": map[string]string{"Authorization": "Bearer hunter2"}, "body": "hello"}, queuemgrtest.AsChild())
	v := result(t, r)
	if r.ExitCode != 0 || r.Progress != 100 || v.Status != 201 || v.Body != "POST hello yes Bearer hunter2 queuemgr" || v.BodyBytes != int64(len(v.Body)) || v.Truncated ||
		v.Headers["X-One"] != "1" || v.Headers["Set-Cookie"] != "" || v.Tries != 1 || v.Seconds <= 0 || v.FirstByte <= 0 || v.FirstByte > v.Seconds || v.URL != url+"/x" {
		t.Errorf("%+v\n%+v", r, v)
	}
	if strings.Contains(r.Log, "hunter2") {
		t.Errorf("a secret is in the log: %s", r.Log)
	}
}

func TestHTTPTries(t *testing.T) {
	for _, c := range []struct {
		name     string
		statuses []int // one a try, the last again and again
		params   string
		code     int
		tries    int
		err      string
		retry    string
	}{
		{name: "comes back", statuses: []int{503, 502, 200}, params: `"retries":3`, tries: 3},
		{name: "stays away", statuses: []int{503}, params: `"retries":2`, code: 1, tries: 3, err: "the answer is 503 Service Unavailable, which is not expected", retry: "1"},
		{name: "never helps", statuses: []int{404, 200}, params: `"retries":3`, code: 1, tries: 1, err: "the answer is 404 Not Found", retry: "never"},
		{name: "expected", statuses: []int{404}, params: `"expected":[200,404]`, tries: 1},
		{name: "not expected", statuses: []int{200}, params: `"expected":[204]`, code: 1, tries: 1, err: "the answer is 200 OK", retry: "never"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n atomic.Int32
			url := server(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(c.statuses[min(int(n.Add(1)), len(c.statuses))-1])
			})
			r := queuemgrtest.Run(t, &jobs.HTTP{}, fmt.Sprintf(`{"url":%q,"backoff":0.001,%s}`, url, c.params))
			if v := result(t, r); r.ExitCode != c.code || v.Tries != c.tries || int(n.Load()) != c.tries || !strings.Contains(r.Error, c.err) || r.Retry != c.retry {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestHTTPRedirects(t *testing.T) {
	var seen atomic.Value
	other := server(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("X-Key") + "," + r.Header.Get("X-Plain"))
	})
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/other" {
			http.Redirect(w, r, strings.Replace(other, "127.0.0.1", "localhost", 1), http.StatusFound)
			return
		}
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	})
	r := queuemgrtest.Run(t, &jobs.HTTP{}, map[string]any{"url": url + "/other", "headers": map[string]string{"X-Plain": "p"}, "secret_headers": map[string]string{"X-Key": "hunter2"}})
	if r.ExitCode != 0 || seen.Load() != ",p" {
		t.Errorf("a secret went to another host: %v, %+v", seen.Load(), r)
	}
	if r := queuemgrtest.Run(t, &jobs.HTTP{}, map[string]any{"url": url, "redirects": 3}); r.ExitCode != 1 || !strings.Contains(r.Error, "more than 3 redirects") {
		t.Errorf("%+v", r)
	}
	if r := queuemgrtest.Run(t, &jobs.HTTP{}, map[string]any{"url": url, "redirects": 0, "expected": []int{302}}); r.ExitCode != 0 {
		t.Errorf("%+v", r)
	}
}

func TestHTTPBody(t *testing.T) {
	for _, c := range []struct {
		name, body, want string
		cut              bool
	}{
		{name: "at the limit", body: strings.Repeat("x", 64<<10), want: strings.Repeat("x", 64<<10)},
		{name: "beyond", body: strings.Repeat("x", 64<<10) + "y", want: strings.Repeat("x", 64<<10), cut: true},
		{name: "cut through a letter", body: strings.Repeat("x", 64<<10-1) + "й", want: strings.Repeat("x", 64<<10-1), cut: true},
		{name: "no text", body: "a\xffb", want: "a\uFFFDb"},
		{name: "ends in half a letter", body: "a\xd0", want: "a"},
	} {
		url := server(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, c.body) })
		v := result(t, queuemgrtest.Run(t, &jobs.HTTP{}, map[string]any{"url": url}))
		if v.Body != c.want || v.Truncated != c.cut || v.BodyBytes != int64(len(c.body)) {
			t.Errorf("%s: %d bytes of %d, truncated %t", c.name, len(v.Body), v.BodyBytes, v.Truncated)
		}
	}
}

func TestHTTPFails(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/breaks" {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "x")
			return
		}
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	if r := queuemgrtest.Run(t, &jobs.HTTP{}, map[string]any{"url": url, "timeout": 0.05}); r.ExitCode != 1 || !strings.Contains(r.Error, "no whole answer within 50ms") {
		t.Errorf("%+v", r)
	}
	if r := queuemgrtest.Run(t, &jobs.HTTP{}, map[string]any{"url": url + "/breaks"}); r.ExitCode != 1 || !strings.Contains(r.Error, "the answer broke off") {
		t.Errorf("%+v", r)
	}
	if r := queuemgrtest.Run(t, &jobs.HTTP{}, map[string]any{"url": "http://user:hunter2@127.0.0.1:1/"}); r.ExitCode != 1 || !strings.Contains(r.Error, "connection refused") || strings.Contains(r.Error+r.Log, "hunter2") {
		t.Errorf("%+v", r)
	}
	j := queuemgrtest.Start(t, &jobs.HTTP{}, map[string]any{"url": url})
	j.Until(func(r queuemgrtest.Report) bool { return strings.Contains(r.Status, "try 1 of 1") })
	j.Stop()
	if r := j.Wait(); r.ExitCode != 1 || r.Error != "the job was stopped" {
		t.Errorf("%+v", r)
	}
	// Between two tries, too.
	j = queuemgrtest.Start(t, &jobs.HTTP{}, map[string]any{"url": "http://127.0.0.1:1/", "retries": 1, "backoff": "1h"})
	j.Until(func(r queuemgrtest.Report) bool { return strings.Contains(r.Status, "the next in 5m") })
	begin := time.Now()
	j.Stop()
	if r := j.Wait(); r.Error != "the job was stopped" || time.Since(begin) > 10*time.Second {
		t.Errorf("%+v", r)
	}
}

func TestHTTPParams(t *testing.T) {
	for params, field := range map[string]string{
		`{}`:                                  "params/url",
		`{"url":"ftp://x"}`:                   "params/url",
		`{"url":"http://x","method":"FETCH"}`: "params/method",
		`{"url":"http://x","retries":21}`:     "params/retries",
		`{"url":"http://x","expected":["a"]}`: "params/expected/0",
		`{"url":"http://x","timeout":-1}`:     "params/timeout",
	} {
		if err := queuemgrtest.Check(t, &jobs.HTTP{}, params); job.FieldOf(err) != field {
			t.Errorf("%s: %v", params, err)
		}
	}
	if r := queuemgrtest.Run(t, &jobs.HTTP{}, `{"url":"http://"}`); r.Retry != "never" || !strings.Contains(r.Error, "is no address") {
		t.Errorf("%+v", r)
	}
}
