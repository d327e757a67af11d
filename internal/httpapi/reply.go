package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
)

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepBuffer is the largest buffer that is kept for the next request, in bytes.
const keepBuffer = 1 << 20

func putBuffer(b *bytes.Buffer) {
	if b.Cap() <= keepBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// reply answers v as JSON.
func (h *Handler) reply(w http.ResponseWriter, r *request, status int, v any) error {
	h.write(w, r.Request, status, "application/json", v)
	return nil
}

func (h *Handler) write(w http.ResponseWriter, r *http.Request, status int, contentType string, v any) {
	b := buffers.Get().(*bytes.Buffer)
	defer putBuffer(b)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false) // commands are full of < > &
	if err := enc.Encode(v); err != nil {
		h.o.Log.Error("answer cannot be written as JSON", "path", r.URL.Path, "error", err)
		http.Error(w, `{"type":"about:blank","title":"Internal Server Error","status":500,"code":"internal"}`, http.StatusInternalServerError)
		return
	}
	h.answer(w, r, status, contentType, b.Bytes())
}

// inBuffer is what net/http takes without writing to the client, in bytes.
const inBuffer = 2 << 10

// writeAll writes a whole body. Its errors have nobody to be told to: the client has gone away, or
// reads nothing and is dropped.
func (h *Handler) writeAll(w http.ResponseWriter, b []byte) {
	if len(b) <= inBuffer {
		_, _ = w.Write(b)
		return
	}
	_ = h.send(http.NewResponseController(w), w, b)
}
