package web

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"
)

func packed(t *testing.T, text string) *fstest.MapFile {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: b.Bytes()}
}

func TestPage(t *testing.T) {
	p, err := load(fstest.MapFS{
		".keep":                 {},
		"index.html.gz":         packed(t, "<title>page</title>"),
		"assets/main-abc.js.gz": packed(t, "script"),
		"assets/small-abc.png":  {Data: []byte("picture")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, accept string
		status               int
		body, kind, cache    string
	}{
		{"GET", "/", "", 200, "<title>page</title>", "text/html; charset=utf-8", "no-cache"},
		{"GET", "/jobs/7", "", 200, "<title>page</title>", "text/html; charset=utf-8", "no-cache"},
		{"GET", "/jobs/a.b", "", 200, "<title>page</title>", "text/html; charset=utf-8", "no-cache"},
		{"GET", "/assets/main-abc.js", "gzip;q=0", 200, "script", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"GET", "/assets/small-abc.png", "gzip", 200, "picture", "image/png", "public, max-age=31536000, immutable"},
		{"HEAD", "/", "", 200, "", "text/html; charset=utf-8", "no-cache"},
		{"GET", "/assets/old-def.js", "", 404, "", "", ""},
		{"GET", "/favicon.ico", "", 404, "", "", ""},
		{"GET", "/../../etc/passwd", "", 200, "<title>page</title>", "text/html; charset=utf-8", "no-cache"},
		{"GET", "/.keep", "", 404, "", "", ""},
		{"POST", "/", "", 405, "", "", ""},
	} {
		r := httptest.NewRequest(c.method, "http://localhost/", nil)
		r.URL.Path = c.path
		if c.accept != "" {
			r.Header.Set("Accept-Encoding", c.accept)
		}
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, w.Code, c.status)
		}
		if c.status != http.StatusOK {
			continue
		}
		if got := w.Body.String(); got != c.body {
			t.Errorf("%s %s: body %q, want %q", c.method, c.path, got, c.body)
		}
		if got := w.Header().Get("Content-Type"); got != c.kind {
			t.Errorf("%s %s: Content-Type %q, want %q", c.method, c.path, got, c.kind)
		}
		if got := w.Header().Get("Cache-Control"); got != c.cache {
			t.Errorf("%s %s: Cache-Control %q, want %q", c.method, c.path, got, c.cache)
		}
	}
}

func TestPageCompressed(t *testing.T) {
	index := packed(t, "<title>page</title>")
	p, err := load(fstest.MapFS{"index.html.gz": index})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept-Encoding", "br, gzip")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Header().Get("Content-Encoding") != "gzip" || !bytes.Equal(w.Body.Bytes(), index.Data) {
		t.Errorf("Content-Encoding %q and %d bytes, want the kept %d bytes of gzip", w.Header().Get("Content-Encoding"), w.Body.Len(), len(index.Data))
	}
	r.Header.Set("If-None-Match", w.Header().Get("ETag"))
	w = httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != http.StatusNotModified {
		t.Errorf("with its ETag: status %d, want 304", w.Code)
	}
}
