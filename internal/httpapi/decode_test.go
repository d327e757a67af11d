package httpapi

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/queuemgr/queuemgr/job"
)

// TestBodyLimit reads bodies around a limit, in reads of all sizes.
func TestBodyLimit(t *testing.T) {
	for _, n := range []int{0, 1, 99, 100, 101, 1000} {
		for name, chunk := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "eof with data": iotest.DataErrReader,
		} {
			in := chunk(strings.NewReader(strings.Repeat("x", n)))
			b := newBody(httptest.NewRecorder(), &request{Request: httptest.NewRequest(http.MethodPost, "/", in)}, 100)
			got, err := io.ReadAll(b)
			s := statusError{}
			switch {
			case n <= 100 && (err != nil || len(got) != n):
				t.Errorf("%s: %d of %d bytes, %v", name, len(got), n, err)
			case n > 100 && (!errors.As(err, &s) || s.status != http.StatusRequestEntityTooLarge || job.CodeOf(err) != job.Invalid):
				t.Errorf("%s: %d bytes of at most 100: %v", name, n, err)
			}
		}
	}
}

// TestLongLines reads lines around the size of the reader's buffer and of a job's limit.
func TestLongLines(t *testing.T) {
	line := func(n int) string { return `{"shell":"` + strings.Repeat("x", n-len(`{"shell":""}`)) + `"}` + "\n" }
	for _, n := range []int{64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, maxBody - 1} {
		b, lines, err := readLines(strings.NewReader(line(100) + line(n) + line(100)))
		if err != nil || len(b.Jobs) != 3 || lines(3) != 3 || len(b.Jobs[1].Shell) != n-len(`{"shell":""}`) {
			t.Errorf("a line of %d bytes: %d jobs, %v", n, len(b.Jobs), err)
		}
	}
	_, _, err := readLines(strings.NewReader(line(100) + line(maxBody+1)))
	e := (*job.Error)(nil)
	if !errors.As(err, &e) || e.Line != 2 || problemOf(err).Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a line that is too long: %v", err)
	}
	for _, broken := range []io.Reader{iotest.TimeoutReader(strings.NewReader(line(100))), iotest.ErrReader(errors.New("reset"))} {
		if _, _, err := readLines(broken); job.CodeOf(err) != job.Invalid {
			t.Errorf("a body that breaks off: %v", err)
		}
	}
}

// TestEveryCodeHasAStatus keeps the one mapping whole.
func TestEveryCodeHasAStatus(t *testing.T) {
	for _, code := range []job.Code{job.Invalid, job.NotFound, job.WrongState, job.Conflict, job.Forbidden, job.Exhausted, job.Unavailable, job.Internal} {
		p := problemOf(&job.Error{Code: code, Message: "m", Hint: "h", Field: "f", Line: 1, JobID: 2})
		if p.Status < 400 || p.Title == "" || p.Code != code || p.Detail != "m" || p.Hint != "h" || p.Field != "f" || p.Line != 1 || p.JobID != 2 {
			t.Errorf("%s: %+v", code, p)
		}
	}
	if p := problemOf(&job.Error{Code: "new"}); p.Status != http.StatusInternalServerError {
		t.Errorf("a code without a status: %+v", p)
	}
}
