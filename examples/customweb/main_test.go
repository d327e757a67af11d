package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/test/harness"
)

// The program, its daemon and its port: nobody is answered without a login, and a viewer is.
func TestCustomWeb(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "queuemgr"), ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	s := &harness.Service{Home: t.TempDir(), Bin: bin, Env: []string{"QUEUEMGR_WEB_LISTEN=127.0.0.1:0"}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Cleanup(context.Background()); err != nil {
			t.Error(err)
		}
	})
	text, err := s.Must(ctx, "service", "status", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var status struct{ Web struct{ URL string } }
	if err := json.Unmarshal([]byte(text), &status); err != nil || status.Web.URL == "" {
		t.Fatalf("%v: %s", err, text)
	}
	token, err := s.Must(ctx, "token", "add", "-q", "--role", "viewer", "ci")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method string, header ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(status.Web.URL, "/")+"/api/custom", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			if header[i] == "Host" {
				req.Host = header[i+1]
			}
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	bearer := []string{"Authorization", "Bearer " + token}
	if code, body := ask("GET", bearer...); code != 200 || body != `{"message":"hello from a route of my own","you":"ci"}`+"\n" {
		t.Errorf("%d %s", code, body)
	}
	for _, c := range []struct {
		method string
		header []string
		code   int
	}{
		{"GET", nil, 401},
		{"GET", []string{"Authorization", "Bearer qm_wrong"}, 401},
		{"GET", append([]string{"Host", "evil.example"}, bearer...), 421},
		{"POST", bearer, 405},
	} {
		if code, body := ask(c.method, c.header...); code != c.code {
			t.Errorf("%s %q: %d %s", c.method, c.header, code, body)
		}
	}
}
