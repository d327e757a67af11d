package httpapi_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

// TestCompressed asks over TCP for long and short answers with what clients say they take.
func TestCompressed(t *testing.T) {
	w := openWeb(t, nil)
	token := "Bearer " + w.Token(t, job.Operator).Secret
	const jobs = 20
	batch := `{"jobs":[` + strings.TrimSuffix(strings.Repeat(`{"shell":"echo one two three","hold":true},`, jobs), ",") + `]}`
	w.want(201, "POST", "/api/jobs", batch, "Authorization", token, "Content-Type", "application/json")
	_, plain := w.want(200, "GET", "/api/jobs", "", "Authorization", token, "Accept-Encoding", "identity")
	for accept, want := range map[string]bool{"gzip": true, "br, GZip;q=0.5": true, "*": true, "deflate, *;q=0.1": true, "x-gzip": true,
		"identity": false, "gzip;q=0": false, "gzip; q=0.000, *": false, "*;q=0": false, "gzip;q=x": false, "br": false} {
		resp, body := w.want(200, "GET", "/api/jobs", "", "Authorization", token, "Accept-Encoding", accept)
		if got := resp.Header.Get("Content-Encoding") == "gzip"; got != want || resp.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: Content-Encoding %q, Vary %q", accept, resp.Header.Get("Content-Encoding"), resp.Header.Get("Vary"))
			continue
		}
		if n := resp.Header.Get("Content-Length"); n != strconv.Itoa(len(body)) {
			t.Errorf("%q: Content-Length %s of %d", accept, n, len(body))
		}
		if want {
			if len(body) > len(plain)/2 {
				t.Errorf("%q: %d bytes of %d", accept, len(body), len(plain))
			}
			body = unzip(t, body)
		}
		if body != plain {
			t.Errorf("%q: another answer:\n%s", accept, body)
		}
	}

	// What is short, an error, a log or a stream comes as it is.
	for path, status := range map[string]int{"/api/jobs/1": 200, "/api/jobs/4711": 404, "/api/jobs/1/logs": 200} {
		if resp, _ := w.want(status, "GET", path, "", "Authorization", token, "Accept-Encoding", "gzip"); resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s is compressed", path)
		}
	}
	resp, _ := w.want(200, "GET", "/api/openapi.json", "", "Authorization", token, "Accept-Encoding", "gzip")
	if resp.Header.Get("Content-Encoding") != "gzip" {
		t.Error("the document is not compressed")
	}

	// Who says nothing of it has Go's client unpack it: nobody notices.
	var page job.Page
	resp, text := w.want(200, "GET", "/api/jobs", "", "Authorization", token)
	if err := json.Unmarshal([]byte(text), &page); err != nil || len(page.Jobs) != jobs || !resp.Uncompressed {
		t.Errorf("%d jobs, unpacked: %v, %v", len(page.Jobs), resp.Uncompressed, err)
	}
}

func unzip(t *testing.T, body string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSocketIsNotCompressed asks over the unix socket.
func TestSocketIsNotCompressed(t *testing.T) {
	a := open(t)
	resp, text := a.ask("GET", "/api/openapi.json", "", "Accept-Encoding", "gzip")
	if resp.Header.Get("Content-Encoding") != "" || !json.Valid([]byte(text)) {
		t.Errorf("Content-Encoding %q", resp.Header.Get("Content-Encoding"))
	}
}

// TestStreamsAreNotCompressed looks at the events and the feed of a client that takes gzip.
func TestStreamsAreNotCompressed(t *testing.T) {
	w := openWeb(t, nil)
	token := w.Token(t, job.Operator).Secret
	for _, path := range []string{"/api/events", "/api/feed"} {
		req := "GET " + path + " HTTP/1.1\r\nHost: " + w.addr + "\r\nAuthorization: Bearer " + token + "\r\nAccept-Encoding: gzip\r\n\r\n"
		resp := w.raw(req)
		if resp.StatusCode != 200 || resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("%s: %s, %v", path, resp.Status, resp.Header)
		}
	}
}
