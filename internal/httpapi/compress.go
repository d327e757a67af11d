package httpapi

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// worthCompressing is the shortest answer that is compressed, in bytes: a shorter one is one packet
// anyway. So no answer with a secret in it (a new token, a link) ever is.
const worthCompressing = 1 << 10

var compressors = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return z
}}

// answer answers a whole body. Over TCP a long one is compressed for whom takes that; over the unix
// socket copying costs less than compressing.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	header := w.Header()
	header["Content-Type"] = []string{contentType}
	if len(body) >= worthCompressing && overTCP(r) {
		header["Vary"] = []string{"Accept-Encoding"}
		if takesGzip(r.Header["Accept-Encoding"]) {
			b := buffers.Get().(*bytes.Buffer)
			defer putBuffer(b)
			compress(b, body)
			header["Content-Encoding"] = []string{"gzip"}
			body = b.Bytes()
		}
	}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	h.writeAll(w, body)
}

// compress writes body into b, which takes all.
func compress(b *bytes.Buffer, body []byte) {
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(b)
	_, _ = z.Write(body)
	_ = z.Close()
}

// takesGzip reads Accept-Encoding (RFC 9110, 12.5.3): gzip by its name, or by * where it is not named.
func takesGzip(values []string) bool {
	star := false
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			name, weight, _ := strings.Cut(item, ";")
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case "gzip", "x-gzip":
				return wanted(weight)
			case "*":
				star = wanted(weight)
			}
		}
	}
	return star
}

// wanted reports whether a weight, as in ;q=0.5, is not zero.
func wanted(weight string) bool {
	q, ok := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(weight, " ", "")), "q=")
	if !ok {
		return true
	}
	n, err := strconv.ParseFloat(q, 64)
	return err == nil && n > 0
}
