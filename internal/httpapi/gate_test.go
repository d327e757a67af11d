package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/auth/authtest"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/job"
)

// web is a served engine that is asked over TCP.
type web struct {
	*testing.T
	authtest.Guarded
	addr string
	http *http.Client
}

func openWeb(t *testing.T, mod func(*httpapi.Options)) *web {
	t.Helper()
	g := authtest.Guard(t, enginetest.Start(t, nil))
	o := httpapi.Options{Service: g.Service, Gate: g.Gate, Access: g.Gate, Version: "test", Hosts: func() []string { return []string{"queue.example"} }}
	if mod != nil {
		mod(&o)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- httpapi.New(o).ServeTCP(ctx, l, nil, time.Minute) }()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &web{T: t, Guarded: g, addr: l.Addr().String(), http: &http.Client{Transport: transport}}
}

// ask sends a request with headers ("Host" is the request's) and returns the answer with its body.
func (w *web) ask(method, path, body string, header ...string) (*http.Response, string) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, "http://"+w.addr+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, string(b)
}

func (w *web) want(status int, method, path, body string, header ...string) (*http.Response, string) {
	w.Helper()
	resp, text := w.ask(method, path, body, header...)
	if resp.StatusCode != status {
		w.Errorf("%s %s %q: %s, want %d: %.300s", method, path, header, resp.Status, status, text)
	}
	return resp, text
}

// raw sends a request as it is written and returns the header of the answer.
func (w *web) raw(request string) *http.Response {
	w.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		w.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		w.Fatal(err)
	}
	return resp
}

// login logs a browser in and returns its cookie.
func (w *web) login(body string) *http.Cookie {
	w.Helper()
	resp, _ := w.want(200, "POST", "/api/login", body)
	if len(resp.Cookies()) != 1 {
		w.Fatalf("cookies: %v", resp.Cookies())
	}
	return resp.Cookies()[0]
}

// TestEveryRouteAsksWho goes through every operation of the document for each role and for nobody.
func TestEveryRouteAsksWho(t *testing.T) {
	w := openWeb(t, nil)
	secrets := map[job.Role]string{}
	for _, role := range job.LoginRoles {
		secrets[role] = w.Token(t, role).Secret
	}
	_, text := w.want(200, "GET", "/api/openapi.json", "", "Authorization", "Bearer "+secrets[job.Viewer])
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Role        job.Role `json:"x-role"`
			Security    []map[string][]string
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	open := []string{"/healthz", "/readyz", "/api/login", "/api/logout"}
	n := 0
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for method, op := range doc.Paths[path] {
			n++
			method = strings.ToUpper(method)
			url := strings.NewReplacer("{id}", "999", "{name}", "nosuch", "{token}", "nosuch").Replace(path)
			ask := func(header ...string) int {
				t.Helper()
				ctx, cancel := context.WithCancel(t.Context()) // some never end
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, method, "http://"+w.addr+url, strings.NewReader(`{"unknown":1}`))
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i+1 < len(header); i += 2 {
					req.Header.Set(header[i], header[i+1])
				}
				resp, err := w.http.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode == 401 && resp.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s: 401 without WWW-Authenticate", method, url)
				}
				return resp.StatusCode
			}
			if slices.Contains(open, path) {
				if op.Role != "" || len(op.Security) != 0 {
					t.Errorf("%s is open and has the role %q", path, op.Role)
				}
				if code := ask(); code == 401 || code == 403 {
					t.Errorf("%s %s: %d without a login", method, url, code)
				}
				continue
			}
			if !slices.Contains(job.LoginRoles, op.Role) || len(op.Security) != 2 {
				t.Errorf("%s %s has the role %q", method, path, op.Role)
			}
			// What a feed of one's own watches changes nothing for anybody else.
			if method != "GET" && op.Role == job.Viewer && path != "/api/feed/{feed}" {
				t.Errorf("a viewer may %s %s", method, path)
			}
			for what, header := range map[string][]string{"no login": nil, "an unknown token": {"Authorization", "Bearer qm_x"}, "no token": {"Authorization", "Bearer"},
				"a password": {"Authorization", "Basic cm9vdDpyb290"}, "an unknown cookie": {"Cookie", "queuemgr_session=x"}, "a token as a cookie": {"Cookie", "queuemgr_session=" + secrets[job.Admin]},
				"a wrong token beside": {"Authorization", "Bearer x", "Cookie", "queuemgr_session=x"}} {
				want := 401
				if path == "/api/status" && what == "no login" {
					want = 200 // its bare counts
				}
				if code := ask(header...); code != want {
					t.Errorf("%s %s with %s: %d", method, url, what, code)
				}
			}
			if op.OperationID == "shutdown" || op.OperationID == "reload" {
				secrets := map[job.Role]string{job.Viewer: secrets[job.Viewer], job.Operator: secrets[job.Operator]}
				for role, secret := range secrets {
					if code := ask("Authorization", "Bearer "+secret); code != 403 {
						t.Errorf("%s %s as %s: %d", method, url, role, code)
					}
				}
				continue
			}
			for role, secret := range secrets {
				code := ask("Authorization", "Bearer "+secret)
				if may := role.AtLeast(op.Role); may == (code == 403) || code == 401 || code >= 500 {
					t.Errorf("%s %s as %s: %d, it takes %s", method, url, role, code, op.Role)
				}
			}
		}
	}
	if n < 25 {
		t.Errorf("only %d operations were asked", n)
	}
}

func TestLogin(t *testing.T) {
	w := openWeb(t, nil)
	ctx := job.WithCaller(t.Context(), job.Caller{Name: "tester"})
	link, err := w.AddLogin(ctx, job.Operator)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"code":%q}`, link.Code)
	cookie := w.login(body)
	if cookie.Name != "queuemgr_session" || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Secure || cookie.Domain != "" || cookie.Expires.IsZero() || cookie.Value == link.Code {
		t.Errorf("%+v", cookie)
	}
	w.want(401, "POST", "/api/login", body)
	with := []string{"Cookie", cookie.Name + "=" + cookie.Value}
	var me job.Me
	_, text := w.want(200, "GET", "/api/me", "", with...)
	if err := json.Unmarshal([]byte(text), &me); err != nil || me.Name != "tester" || me.Role != job.Operator || me.Via != job.ViaSession || me.ExpiresAt.IsZero() {
		t.Errorf("%s %v", text, err)
	}
	w.want(403, "GET", "/api/tokens", "", with...)
	w.want(201, "POST", "/api/jobs", `{"shell":"true","hold":true}`, with...)
	_, text = w.want(200, "GET", "/api/jobs", "", with...)
	if !strings.Contains(text, `"owner":"tester"`) {
		t.Error(text)
	}
	resp, _ := w.want(204, "POST", "/api/logout", "", with...)
	if c := resp.Cookies(); len(c) != 1 || c[0].MaxAge != -1 || c[0].Value != "" {
		t.Errorf("%v", c)
	}
	w.want(401, "GET", "/api/me", "", with...)
	w.want(204, "POST", "/api/logout", "")

	// A login in place of another ends that.
	token := w.Token(t, job.Viewer)
	first := w.login(fmt.Sprintf(`{"token":%q}`, token.Secret))
	resp, _ = w.want(200, "POST", "/api/login", fmt.Sprintf(`{"token":%q}`, token.Secret), "Cookie", first.Name+"="+first.Value)
	w.want(401, "GET", "/api/me", "", "Cookie", first.Name+"="+first.Value)
	second := resp.Cookies()[0]
	w.want(200, "GET", "/api/me", "", "Cookie", second.Name+"="+second.Value)

	for _, bad := range []struct {
		status int
		body   string
	}{
		{422, ``}, {422, `{}`}, {422, `{"code":"a","token":"b"}`}, {422, `{"code":7}`}, {422, `[]`}, {422, `{"code":"a","more":1}`}, {422, `{"code":""}`},
		{413, `{"code":"` + strings.Repeat("x", 5000) + `"}`}, {413, strings.Repeat(" ", 1<<20)}, {401, `{"code":"` + strings.Repeat("x", 3000) + `"}`},
	} {
		w.want(bad.status, "POST", "/api/login", bad.body)
	}
	w.want(415, "POST", "/api/login", `code=x`, "Content-Type", "application/x-www-form-urlencoded")
	for range 20 {
		resp, _ = w.ask("POST", "/api/login", `{"token":"qm_x"}`)
	}
	if wait, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode != 429 || err != nil || wait < 1 || wait > 7 {
		t.Errorf("after many failures: %s, Retry-After %d %v", resp.Status, wait, err)
	}
	w.want(200, "GET", "/api/me", "", "Cookie", second.Name+"="+second.Value) // who is logged in stays so
}

// TestRevoked wants everything over at once: the token, its logins, and what they have open.
func TestRevoked(t *testing.T) {
	w := openWeb(t, nil)
	token := w.Token(t, job.Viewer)
	cookie := w.login(fmt.Sprintf(`{"token":%q}`, token.Secret))
	byCookie, byToken := []string{"Cookie", cookie.Name + "=" + cookie.Value}, []string{"Authorization", "Bearer " + token.Secret}
	var streams []*bufio.Reader
	for _, header := range [][]string{byCookie, byToken} {
		c, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /api/events HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n\r\n", w.addr, header[0], header[1])
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		body := bufio.NewReader(resp.Body)
		lines(t, body, "retry: ")
		streams = append(streams, body)
	}
	ctx := job.WithCaller(t.Context(), job.Caller{Name: "tester"})
	if err := w.DeleteToken(ctx, token.ID); err != nil {
		t.Fatal(err)
	}
	for _, header := range [][]string{byCookie, byToken} {
		w.want(401, "GET", "/api/jobs", "", header...)
	}
	for _, r := range streams {
		if _, err := io.ReadAll(r); err == nil {
			t.Error("a stream ends as if it were complete")
		}
	}
}

func TestHosts(t *testing.T) {
	w := openWeb(t, nil)
	_, port, err := net.SplitHostPort(w.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "LocalHost", "localhost.", "[::1]", "queue.example", "Queue.Example.", "127.1.2.3"} {
		w.want(200, "GET", "/healthz", "", "Host", host)
		w.want(200, "GET", "/healthz", "", "Host", host+":"+port)
		w.want(200, "GET", "/healthz", "", "Host", host+":1")
	}
	for _, host := range []string{"evil.example", "evil.example:" + port, "queue.example.evil.example", "10.0.0.1", "xqueue.example", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "[::]", "127.1", "2130706433"} {
		w.want(421, "GET", "/healthz", "", "Host", host)
		w.want(421, "POST", "/api/login", `{"code":"x"}`, "Host", host)
		w.want(421, "GET", "/", "", "Host", host)
	}
}

func TestOtherOrigins(t *testing.T) {
	w := openWeb(t, nil)
	secret := w.Token(t, job.Admin).Secret
	cookie := w.login(fmt.Sprintf(`{"token":%q}`, secret))
	with := "queuemgr_session=" + cookie.Value
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://evil.example"}, {"Origin", "null"},
		{"Origin", "http://127.0.0.1:1"}, {"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:3000"},
	} {
		w.want(403, "POST", "/api/jobs", `{"shell":"true"}`, append(header, "Cookie", with)...)
		w.want(403, "POST", "/api/jobs", `{"shell":"true"}`, append(header, "Authorization", "Bearer "+secret)...)
		w.want(403, "POST", "/api/login", fmt.Sprintf(`{"token":%q}`, secret), header...)
		w.want(403, "POST", "/api/logout", "", append(header, "Cookie", with)...)
		w.want(403, "DELETE", "/api/jobs/1", "", append(header, "Cookie", with)...)
	}
	for _, header := range [][]string{nil, {"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, {"Origin", "http://" + w.addr}} {
		w.want(201, "POST", "/api/jobs", `{"shell":"true","hold":true}`, append(header, "Cookie", with)...)
	}
	resp, _ := w.want(200, "GET", "/api/jobs", "", "Cookie", with, "Origin", "http://evil.example")
	for name := range resp.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("another origin is let in: %s", name)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	w := openWeb(t, func(o *httpapi.Options) { o.BehindProxy = true })
	for _, path := range []string{"/", "/jobs/7", "/api/jobs", "/healthz", "/api/nosuch", "/assets/x.js"} {
		resp, _ := w.ask("GET", path, "")
		for name, want := range map[string]string{"Content-Security-Policy": "default-src 'none'; script-src 'self';", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store"} {
			if got := resp.Header.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if policy := resp.Header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Error(policy)
		}
	}
	if cookie := w.login(fmt.Sprintf(`{"token":%q}`, w.Token(t, job.Viewer).Secret)); !cookie.Secure {
		t.Error("behind a proxy that speaks TLS the cookie would be sent without")
	}
	_, text := w.want(200, "GET", "/", "")
	if !strings.Contains(text, "make") {
		t.Errorf("the page that is not there says %q", text)
	}
	w.want(404, "GET", "/api/nosuch", "")
	w.want(404, "GET", "/apis/../api/nosuch", "")
	w.want(404, "POST", "/", "")
}

// TestBareStatus is told this machine alone, and not through a proxy.
func TestBareStatus(t *testing.T) {
	w := openWeb(t, nil)
	secret := w.Token(t, job.Operator).Secret
	w.want(201, "POST", "/api/jobs", `{"shell":"true","hold":true}`, "Authorization", "Bearer "+secret)
	_, text := w.want(200, "GET", "/api/status", "")
	if strings.TrimSpace(text) != `{"status":"running","jobs":{"held":1},"total_jobs":1,"running_jobs":0}` {
		t.Error(text)
	}
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"} {
		w.want(401, "GET", "/api/status", "", name, "127.0.0.1")
	}
	w.want(401, "GET", "/api/status", "", "Cookie", "queuemgr_session=x")
	w.want(401, "GET", "/api/queues", "")
	behind := openWeb(t, func(o *httpapi.Options) { o.BehindProxy = true })
	behind.want(401, "GET", "/api/status", "")
}

// TestForwardedAddress wants the address that the proxy has seen, and not what a client made up.
func TestForwardedAddress(t *testing.T) {
	for _, c := range []struct {
		behind          bool
		forwarded, want string
	}{{false, "10.1.1.1", "127.0.0.1"}, {true, "10.1.1.1", "10.1.1.1"}, {true, "9.9.9.9, 10.1.1.1", "10.1.1.1"}, {true, "x", "127.0.0.1"}, {true, "", "127.0.0.1"}} {
		w := openWeb(t, func(o *httpapi.Options) { o.BehindProxy = c.behind })
		header := []string{"Authorization", "Bearer " + w.Token(t, job.Operator).Secret}
		if c.forwarded != "" {
			header = append(header, "X-Forwarded-For", c.forwarded)
		}
		w.want(201, "POST", "/api/jobs", `{"shell":"true","hold":true}`, header...)
		page, err := w.Audit(job.WithCaller(t.Context(), job.Caller{Name: "tester"}), "", 1)
		if err != nil || len(page.Entries) != 1 || page.Entries[0].From != c.want || page.Entries[0].Action != "add" {
			t.Errorf("%+v: %+v %v", c, page, err)
		}
	}
}

// TestTooMuch sends what nobody sends by accident.
func TestTooMuch(t *testing.T) {
	w := openWeb(t, func(o *httpapi.Options) { o.ReadTimeout = 100 * time.Millisecond })
	if resp := w.raw("GET /api/me HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n"); resp.StatusCode != 431 {
		t.Errorf("a long header: %s", resp.Status)
	}
	if resp := w.raw("GET /api/me HTTP/1.1\r\n\r\n"); resp.StatusCode != 400 {
		t.Errorf("no Host: %s", resp.Status)
	}
	if resp := w.raw("GET http://evil.example/api/me HTTP/1.1\r\nHost: localhost\r\n\r\n"); resp.StatusCode != 421 {
		t.Errorf("another host in the request line: %s", resp.Status)
	}
	if resp := w.raw("POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{"); resp.StatusCode != 408 {
		t.Errorf("a body that does not come: %s", resp.Status)
	}
	w.want(401, "POST", "/api/jobs", strings.Repeat("x", 100<<10))
	w.want(413, "POST", "/api/jobs", `{"shell":"`+strings.Repeat("x", 5<<20)+`"}`, "Authorization", "Bearer "+w.Token(t, job.Operator).Secret)
}

// TestAnswersThatNobodyReads asks on and on and reads nothing: small answers have a deadline, too.
func TestAnswersThatNobodyReads(t *testing.T) {
	w := openWeb(t, func(o *httpapi.Options) { o.WriteTimeout = 100 * time.Millisecond })
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetWriteDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	asks := []byte(strings.Repeat("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 1000))
	for err == nil {
		_, err = c.Write(asks)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the server waits for ever for who reads nothing")
	}
}

// TestDocs wants the page for browsers, logged in or not, a list as text for programs and where
// the program was built without its page, and a login of every program.
func TestDocs(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html>")
	})
	for _, with := range []http.Handler{nil, page} {
		w := openWeb(t, func(o *httpapi.Options) { o.Page = with })
		token := []string{"Authorization", "Bearer " + w.Token(t, job.Viewer).Secret}
		browser := []string{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}
		for _, c := range []struct {
			header []string
			status int
			html   bool
		}{
			{nil, 401, false},
			{[]string{"Accept", "*/*"}, 401, false},
			{token, 200, false},
			{append([]string{"Accept", "*/*"}, token...), 200, false},
			{append([]string{"Accept", "text/plain"}, token...), 200, false},
			{append(browser, token...), 200, with != nil},
			{browser, map[bool]int{true: 200, false: 401}[with != nil], with != nil},
		} {
			resp, text := w.want(c.status, "GET", "/api/docs", "", c.header...)
			if html := text == "<!doctype html>" && resp.Header.Get("Content-Type") == "text/html; charset=utf-8"; html != c.html {
				t.Errorf("page %v, %q: %s %.80q", with != nil, c.header, resp.Header.Get("Content-Type"), text)
			}
			if c.status == 200 && !c.html && !regexp.MustCompile(`(?m)^  POST +/api/jobs/\{id\}/stop +operator +\S`).MatchString(text) {
				t.Errorf("the list has no POST /api/jobs/{id}/stop:\n%s", text)
			}
		}
	}
}
