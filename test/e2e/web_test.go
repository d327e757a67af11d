package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// page is a service with its port, asked as a browser or a program would.
type page struct {
	*home
	client *http.Client
}

func newPage(t *testing.T, settings string) *page {
	t.Helper()
	h := newHome(t, "QUEUEMGR_WEB_LISTEN=127.0.0.1:0")
	if settings != "" {
		h.write("config.toml", settings)
	}
	h.start()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // tests look at the certificate themselves
	t.Cleanup(transport.CloseIdleConnections)
	return &page{home: h, client: &http.Client{Transport: transport}}
}

// url is where the page is now; a daemon that is started again has another port.
func (p *page) url() string {
	p.t.Helper()
	s := p.status()
	if s.Web == nil || s.Web.URL == "" {
		p.t.Fatalf("the page is not served: %+v", s.Web)
	}
	return strings.TrimSuffix(s.Web.URL, "/")
}

// fetch asks over TCP and wants a status. "Host" among the headers is the request's.
func (p *page) fetch(status int, method, path, body string, header ...string) (*http.Response, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.ctx, method, p.url()+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode != status {
		p.t.Errorf("%s %s: %s, want %d: %.300s", method, path, resp.Status, status, text)
	}
	return resp, string(text)
}

func bearer(secret string) []string { return []string{"Authorization", "Bearer " + secret} }

// login redeems the link that `queuemgr web` prints and returns the cookie's header, and the code.
func (p *page) login(args ...string) (header []string, code string) {
	p.t.Helper()
	link := p.must(append([]string{"web"}, args...)...)
	at, code, ok := strings.Cut(link, "/#login=")
	if !ok || at != p.url() {
		p.t.Fatalf("the link is %q", link)
	}
	resp, _ := p.fetch(200, "POST", "/api/login", fmt.Sprintf(`{"code":%q}`, code))
	if len(resp.Cookies()) != 1 {
		p.t.Fatalf("cookies: %v", resp.Cookies())
	}
	c := resp.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Secure != strings.HasPrefix(at, "https") {
		p.t.Errorf("the cookie is %s", resp.Header.Get("Set-Cookie"))
	}
	return []string{"Cookie", c.Name + "=" + c.Value}, code
}

// TestLoginLink logs in once with a link, adds a job that runs as the service's user, and stays logged
// in over a SIGKILL.
func TestLoginLink(t *testing.T) {
	t.Parallel()
	p := newPage(t, "")
	cookie, code := p.login()
	p.fetch(401, "POST", "/api/login", fmt.Sprintf(`{"code":%q}`, code))
	_, text := p.fetch(201, "POST", "/api/jobs", `{"shell":"id -u; echo $HOME"}`, cookie...)
	var j job.Job
	p.decode(text, &j)
	p.wait(j.ID)
	if log := p.logs(j.ID); !strings.HasPrefix(log, fmt.Sprintf("%d\n/", os.Geteuid())) {
		t.Errorf("the job says %q", log)
	}
	p.kill()
	p.start()
	_, text = p.fetch(200, "GET", "/api/me", "", cookie...)
	var me job.Me
	if p.decode(text, &me); me.Role != job.Admin || me.Via != job.ViaSession {
		t.Errorf("%+v", me)
	}
	p.fetch(204, "POST", "/api/logout", "", cookie...)
	p.fetch(401, "GET", "/api/me", "", cookie...)
	p.kill()
	p.start()
	p.fetch(401, "GET", "/api/me", "", cookie...)
	// A link ends with its daemon.
	_, code, _ = strings.Cut(p.must("web"), "#login=")
	p.must("daemon", "restart")
	p.fetch(401, "POST", "/api/login", fmt.Sprintf(`{"code":%q}`, code))
}

// TestNothingWithoutLogin asks for every operation of the document.
func TestNothingWithoutLogin(t *testing.T) {
	t.Parallel()
	p := newPage(t, "")
	c := p.HTTP()
	defer c.CloseIdleConnections()
	var document struct{ Paths map[string]map[string]any }
	if err := harness.Get(p.ctx, c, "/api/openapi.json", &document); err != nil {
		t.Fatal(err)
	}
	open := []string{"/healthz", "/readyz", "/api/login", "/api/logout"}
	for path, methods := range document.Paths {
		for method := range methods {
			if !slices.Contains(open, path) && path != "/api/status" {
				p.fetch(401, strings.ToUpper(method), strings.NewReplacer("{id}", "1", "{name}", "default", "{token}", "x").Replace(path), "{}")
			}
		}
	}
	if _, text := p.fetch(200, "GET", "/api/status", ""); strings.Contains(text, p.Home) || strings.Contains(text, "version") {
		t.Errorf("without a login the status says %s", text)
	}
	p.fetch(200, "GET", "/", "")
	p.fetch(200, "GET", "/healthz", "")
	if p.status().PID == 0 {
		t.Error("the daemon was ended without a login")
	}
}

func TestRolesHostsAndOrigins(t *testing.T) {
	t.Parallel()
	p := newPage(t, "[web]\nhosts = [\"queue.example\"]\n")
	viewer, operator := bearer(p.must("token", "add", "-q", "--role", "viewer", "v")), bearer(p.must("token", "add", "-q", "--role", "operator", "o"))
	cookie, _ := p.login("--role", "viewer")
	const spec = `{"shell":"true"}`
	for _, who := range [][]string{viewer, cookie} {
		p.fetch(200, "GET", "/api/jobs", "", who...)
		p.fetch(403, "POST", "/api/jobs", spec, who...)
		p.fetch(403, "POST", "/api/daemon/shutdown", "", who...)
		p.fetch(403, "GET", "/api/audit", "", who...)
	}
	p.fetch(201, "POST", "/api/jobs", spec, operator...)
	p.fetch(403, "POST", "/api/tokens", `{"name":"x","role":"admin"}`, operator...)
	p.fetch(200, "GET", "/api/jobs", "", append(viewer, "Host", "queue.example")...)
	for _, host := range []string{"evil.example", "10.0.0.1", "queue.example.evil.example"} {
		p.fetch(421, "GET", "/api/jobs", "", append(viewer, "Host", host)...)
	}
	p.fetch(403, "POST", "/api/jobs", spec, append(operator, "Sec-Fetch-Site", "cross-site")...)
	p.fetch(403, "POST", "/api/jobs", spec, append(operator, "Origin", "http://evil.example")...)
	if jobs := p.jobs(); len(jobs) != 1 {
		t.Errorf("%d jobs were added, want one", len(jobs))
	}
	for range 12 {
		p.fetchAny("POST", "/api/login", `{"token":"qm_wrong"}`)
	}
	if resp, _ := p.fetch(429, "POST", "/api/login", `{"token":"qm_wrong"}`); resp.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
}

// fetchAny asks and takes any answer.
func (p *page) fetchAny(method, path, body string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.ctx, method, p.url()+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
}

// TestTokenIsRevoked, and what was done with it is in the audit; its secret is in no file.
func TestTokenIsRevoked(t *testing.T) {
	t.Parallel()
	p := newPage(t, "")
	secret := p.must("token", "add", "-q", "--role", "operator", "--expires", "30d", "ci")
	_, text := p.fetch(201, "POST", "/api/jobs", `{"shell":"sleep 600"}`, bearer(secret)...)
	var j job.Job
	if p.decode(text, &j); j.Owner != "ci" {
		t.Errorf("the job is %s's", j.Owner)
	}
	p.fetch(200, "POST", fmt.Sprintf("/api/jobs/%d/stop", j.ID), `{"force":true}`, bearer(secret)...)
	p.wait(j.ID)
	link := p.must("web")
	p.must("token", "revoke", "ci")
	p.fetch(401, "GET", "/api/jobs", "", bearer(secret)...)
	c := p.HTTP()
	defer c.CloseIdleConnections()
	var audit job.AuditPage
	if err := harness.Get(p.ctx, c, "/api/audit", &audit); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range audit.Entries {
		told = append(told, fmt.Sprintf("%s %s %s %s", e.Via, e.From, e.Action, e.Target))
	}
	want := []string{"socket  revoke token token ci", "socket  make login link as admin", fmt.Sprintf("token 127.0.0.1 stop job %d", j.ID), fmt.Sprintf("token 127.0.0.1 add job %d", j.ID), "socket  add token token ci (operator)"}
	if !slices.Equal(told, want) {
		t.Errorf("the audit tells %q, want %q", told, want)
	}
	p.must("registry", "backup", p.Path("backup.db"))
	p.must("daemon", "stop")
	p.must("registry", "export", p.Path("export.jsonl"))
	_, code, _ := strings.Cut(link, "#login=")
	err := filepath.WalkDir(p.Home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, s := range []string{secret, secret[3:], code} {
			if bytes.Contains(content, []byte(s)) {
				t.Errorf("%s holds a secret", path)
			}
		}
		if strings.HasSuffix(path, ".jsonl") && bytes.Contains(content, []byte("operator")) {
			t.Errorf("%s tells of tokens", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPortInUse keeps the queue working while another program has the port, says who, and serves the
// page when it is free.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	h := newHome(t, "QUEUEMGR_WEB_LISTEN="+other.Addr().String())
	h.start()
	if code := h.wait(h.add("--", "true")); code != 0 {
		t.Errorf("a job ends with %d", code)
	}
	want := fmt.Sprintf("%s is taken by process %d (", other.Addr(), os.Getpid())
	if w := h.status().Web; w == nil || w.URL != "" || !strings.HasPrefix(w.Problem, want) {
		t.Errorf("%+v, want %q", w, want)
	}
	if out := h.must("service", "status"); !strings.Contains(out, "not served: "+want) {
		t.Errorf("service status says nothing of it:\n%s", out)
	}
	h.refused(4, []string{"not served", "is taken by"}, "web")
	other.Close()
	h.must("daemon", "reload")
	h.untilStatus("the page to be served", func(s *job.Status) bool { return s.Web.URL != "" })
	if out := h.must("web"); !strings.HasPrefix(out, "http://"+other.Addr().String()+"/#login=") {
		t.Errorf("the link is %q", out)
	}
}

func TestUnsafeBindIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t, "QUEUEMGR_WEB_LISTEN=") // empty: the file is not asked
	h.Env = append(h.Env, "QUEUEMGR_WEB_LISTEN=0.0.0.0:0")
	h.refused(2, []string{"QUEUEMGR_WEB_LISTEN", "no TLS", `tls = "auto"`, "behind_proxy"}, "daemon", "start", "--daemon")
	file := h.write("config.toml", "[web]\nlisten = \"127.0.0.1:0\"\ntls_cert = \"c.pem\"\n")
	h.Env = append(h.Env, "QUEUEMGR_WEB_LISTEN=127.0.0.1:0")
	h.refused(2, []string{file + ":3", "tls_key"}, "daemon", "start", "--daemon")
}

// fingerprint is that of the certificate that the page has now.
func (p *page) fingerprint() string {
	p.t.Helper()
	resp, _ := p.fetch(200, "GET", "/healthz", "")
	if resp.TLS == nil {
		p.t.Fatal("no TLS")
	}
	sum := sha256.Sum256(resp.TLS.PeerCertificates[0].Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

func TestOwnCertificate(t *testing.T) {
	t.Parallel()
	p := newPage(t, "[web]\ntls = \"auto\"\n")
	was := p.fingerprint()
	if w := p.status().Web; w.Fingerprint != was || !strings.HasPrefix(w.URL, "https://127.0.0.1:") {
		t.Errorf("%+v, the certificate is %s", w, was)
	}
	if r := p.run("web"); !strings.Contains(r.Stderr, was) || strings.Contains(r.Stdout, was) {
		t.Errorf("queuemgr web says %q and %q", r.Stdout, r.Stderr)
	}
	p.login()
	if info, err := os.Stat(p.Path("lib", "web.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	p.must("daemon", "restart")
	if now := p.fingerprint(); now != was {
		t.Errorf("after a restart the certificate is %s, was %s", now, was)
	}
	resp, err := p.client.Get("http" + strings.TrimPrefix(p.url(), "https") + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("without TLS: %s", resp.Status)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	writeCertificate(t, h.Path("cert.pem"), h.Path("key.pem"))
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	h.Env = append(h.Env, "QUEUEMGR_WEB_LISTEN=127.0.0.1:0")
	h.write("config.toml", "[web]\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n")
	h.start()
	p := &page{home: h, client: &http.Client{Transport: transport}}
	was := p.fingerprint()
	if p.status().Web.Fingerprint != "" {
		t.Error("a fingerprint is shown of a certificate that others vouch for")
	}
	writeCertificate(t, h.Path("cert.pem"), h.Path("key.pem"))
	h.must("daemon", "reload")
	now := p.fingerprint()
	if now == was {
		t.Error("the certificate was not read again")
	}
	h.write("key.pem", "oops")
	h.must("daemon", "reload")
	if p.fingerprint() != now {
		t.Error("a bad key took the certificate away")
	}
	h.must("daemon", "restart") // the queue works, the page says what is wrong
	if w := h.status().Web; w.URL != "" || !strings.Contains(w.Problem, "key.pem") {
		t.Errorf("%+v", w)
	}
	if code := h.wait(h.add("--", "true")); code != 0 {
		t.Errorf("a job ends with %d", code)
	}
}

func writeCertificate(t *testing.T, cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for path, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSlowHeader drops who sends a header drop by drop, and answers others meanwhile.
func TestSlowHeader(t *testing.T) {
	t.Parallel()
	p := newPage(t, "")
	var conns []net.Conn
	for range 50 {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nX: "); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	p.fetch(200, "GET", "/healthz", "")
	for _, c := range conns {
		if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil {
			t.Fatalf("it is not dropped: %v", err)
		}
	}
}
