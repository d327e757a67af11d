package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Largest bodies, in bytes.
const (
	maxBody  = 4 << 20   // one job, or anything else that is no batch
	maxBatch = 512 << 20 // a batch, which is read as a stream
)

// sending is a request's body as it comes. It gives up on a client that sends nothing for a while.
type sending struct {
	io.ReadCloser
	header  http.Header
	rc      *http.ResponseController
	timeout time.Duration
	until   time.Time // for the whole body; zero = as long as it keeps coming
	set     time.Time // when the deadline was set
	err     error     // of the read before: there is no other after it
}

// deadlineSlack is how much less than its time a client may get between two reads: setting the deadline
// costs more than most reads.
const deadlineSlack = time.Second

// limitSending sets the time a client has for its body. The deadline stays where a body is not
// read, or not to its end: the server discards such a rest before it answers, and without one it
// would wait for ever.
func (h *Handler) limitSending(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	s := &sending{ReadCloser: r.Body, header: w.Header(), rc: http.NewResponseController(w), timeout: h.o.ReadTimeout}
	s.extend(time.Now())
	r.Body = s
}

// extend gives the client its time from now on.
func (s *sending) extend(now time.Time) {
	if now.Sub(s.set) < min(deadlineSlack, s.timeout/2) {
		return
	}
	s.set = now
	s.deadline(now.Add(s.timeout))
}

func (s *sending) deadline(t time.Time) {
	if !s.until.IsZero() && (t.IsZero() || s.until.Before(t)) && s.err == nil {
		t = s.until
	}
	// A connection that knows no deadlines has no slow network behind it (tests).
	_ = s.rc.SetReadDeadline(t)
}

// Read implements io.Reader.
func (s *sending) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	s.extend(time.Now())
	n, err := s.ReadCloser.Read(p)
	s.err = err
	switch {
	case errors.Is(err, io.EOF):
		s.deadline(time.Time{}) // left in place it would end the request
	case errors.Is(err, os.ErrDeadlineExceeded):
		// The deadline is over and stays: the server tries to read the rest once more.
		s.header["Connection"] = []string{"close"}
	}
	return n, err
}

// limited reads a body up to a limit.
type limited struct {
	r     io.Reader
	left  int64
	limit int64
}

// Read implements io.Reader.
func (b *limited) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, tooLarge(b.limit)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more than allowed, to see that there is more
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge(b.limit)
	}
	return n, err
}

// readRest reads what a client still sends after an error: one that is writing sees no answer.
func readRest(r *request) {
	// What goes wrong now changes nothing: an error is answered already.
	_, _ = io.CopyN(io.Discard, r.Body, maxBatch)
}

func tooLarge(limit int64) error {
	return statusError{http.StatusRequestEntityTooLarge, &job.Error{Code: job.Invalid,
		Message: fmt.Sprintf("the body is larger than %d bytes", limit), Hint: "put long input into a file that the job reads"}}
}

// readBody reads a whole body into b.
func readBody(r *request, b *bytes.Buffer) error {
	_, err := b.ReadFrom(&limited{r.Body, maxBody, maxBody})
	if err != nil {
		readRest(r)
	}
	return unreadable(err)
}

// unreadable is the error of a body that broke off.
func unreadable(err error) error {
	if err == nil || job.CodeOf(err) != job.Internal {
		return err
	}
	if e := (*http.MaxBytesError)(nil); errors.As(err, &e) {
		return tooLarge(e.Limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return statusError{http.StatusRequestTimeout, &job.Error{Code: job.Invalid, Message: "the body did not come", Hint: "send it without pauses", Err: err}}
	}
	return &job.Error{Code: job.Invalid, Message: "the body broke off", Hint: "send it again", Err: err}
}

// decode reads the body as JSON into v. An empty body leaves v as it is where optional.
func decode(r *request, v any, optional bool) error {
	if err := wantJSON(r); err != nil {
		return err
	}
	b := buffers.Get().(*bytes.Buffer)
	defer putBuffer(b)
	if err := readBody(r, b); err != nil {
		return err
	}
	if optional && len(bytes.TrimSpace(b.Bytes())) == 0 {
		return nil
	}
	return unmarshal(b.Bytes(), v)
}

// wantJSON refuses a body that says it is something else; that also keeps plain web forms out.
func wantJSON(r *request) error {
	kind := mediaType(r)
	if kind == "" || kind == "application/json" {
		return nil
	}
	return statusError{http.StatusUnsupportedMediaType, &job.Error{Code: job.Invalid, Field: "Content-Type",
		Message: fmt.Sprintf("a body of type %q is not understood", kind), Hint: "send application/json"}}
}

func mediaType(r *request) string {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// unmarshal is strict: one value, no unknown fields, and errors that name the field.
func unmarshal(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return nameField(jsonError(err), data, v)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return &job.Error{Code: job.Invalid, Message: "something follows the JSON value", Hint: "send one JSON object, or a batch as application/x-ndjson"}
	}
	return job.CheckNames(data)
}

// jsonError makes the error of a JSON decoder one that says where and what.
func jsonError(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		field := strings.TrimPrefix(kind.Field, "Spec.") // embedded in oldSpec, which nobody sees
		return &job.Error{Code: job.Invalid, Field: field, Err: err,
			Message: fmt.Sprintf("%s is a JSON %s", or(field, "the body"), kind.Value), Hint: "it must be " + jsonName(kind.Type)}
	case errors.As(err, &syntax):
		return &job.Error{Code: job.Invalid, Message: fmt.Sprintf("no valid JSON: %v (at byte %d)", syntax, syntax.Offset), Hint: "send a JSON object", Err: err}
	case errors.Is(err, io.EOF):
		return &job.Error{Code: job.Invalid, Message: "the body is empty", Hint: "send a JSON object", Err: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &job.Error{Code: job.Invalid, Message: "the JSON breaks off before its end", Hint: "send a whole JSON object", Err: err}
	case job.CodeOf(err) != job.Internal:
		return err // a field's own type said it
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name = strings.Trim(name, `"`)
		return &job.Error{Code: job.Invalid, Field: name, Message: fmt.Sprintf("unknown field %q", name), Hint: "its fields are listed in " + openAPIPath, Err: err}
	}
	return unreadable(err)
}

// nameField adds to an error that a field's own type made which field that is.
func nameField(err error, data []byte, v any) error {
	e := (*job.Error)(nil)
	if !errors.As(err, &e) || e.Field != "" {
		return err
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return err // no object: there is no field to name
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		alone, _ := json.Marshal(map[string]json.RawMessage{name: fields[name]}) // was valid JSON a moment ago
		if job.CodeOf(json.Unmarshal(alone, reflect.New(reflect.TypeOf(v).Elem()).Interface())) == e.Code {
			named := *e
			named.Field, named.Message = name, name+": "+e.Message
			return &named
		}
	}
	return err
}

// jsonName says what a Go type is called in JSON.
func jsonName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number, not below zero"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
