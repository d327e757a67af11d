// Package web holds the web page: its source, built by `make web` into dist, and what serves that.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// dist holds nothing but .keep where the page has not been built: the program is built without it then.
//
//go:embed all:dist
var dist embed.FS

// index is the page itself, for every address that is no file of it.
const index = "index.html"

// file is one file of the page. What shrinks is kept compressed alone, and unpacked for the rare
// client that does not take it.
type file struct {
	body   []byte
	gzip   bool
	kind   string
	tag    string // ETag
	hashed bool   // its name changes with what is in it
}

// Page serves the page, or nil where the program was built without it.
func Page() http.Handler {
	built, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil
	}
	p, err := load(built)
	if err != nil || p[index] == nil {
		return nil
	}
	return p
}

// page is its files by their path.
type page map[string]*file

func load(files fs.FS) (page, error) {
	p := page{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		plain, compressed := strings.CutSuffix(name, ".gz")
		sum := sha256.Sum256(body)
		p[plain] = &file{
			body: body, gzip: compressed, kind: kindOf(plain), tag: `"` + hex.EncodeToString(sum[:8]) + `"`,
			hashed: strings.HasPrefix(plain, "assets/"),
		}
		return nil
	})
	return p, err
}

// kindOf does not ask the machine's own table of types, which differs from one to the next.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		return kind
	}
	return "application/octet-stream"
}

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the page is only read", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	f := p[name]
	if f == nil {
		// The page's own addresses (/jobs/7) have no file, and a file that is missing is no page.
		if strings.HasPrefix(name, "assets/") || path.Ext(name) != "" && !strings.Contains(name, "/") {
			http.NotFound(w, r)
			return
		}
		f = p[index]
	}
	f.serve(w, r)
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "no-cache")
	if f.hashed {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body := f.body
	if f.gzip {
		h.Set("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
		} else {
			var err error
			if body, err = unpack(body); err != nil {
				http.Error(w, "the page is damaged: build it again", http.StatusInternalServerError)
				return
			}
		}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func takesGzip(accepted string) bool {
	for part := range strings.SplitSeq(accepted, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.TrimSpace(name) == "gzip" && strings.ReplaceAll(weight, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

func unpack(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
