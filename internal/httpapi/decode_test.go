package httpapi

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// TestBodyLimit reads bodies around a limit, in reads of all sizes.
func TestBodyLimit(t *testing.T) {
	for _, n := range []int{0, 1, 99, 100, 101, 1000} {
		for name, chunk := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "eof with data": iotest.DataErrReader,
		} {
			in := chunk(strings.NewReader(strings.Repeat("x", n)))
			got, err := io.ReadAll(&limited{in, 100, 100})
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
	h := New(Options{})
	line := func(n int) string { return `{"shell":"` + strings.Repeat("x", n-len(`{"shell":""}`)) + `"}` + "\n" }
	for _, n := range []int{64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, maxBody - 1} {
		b, lines, err := h.readLines(strings.NewReader(line(100) + line(n) + line(100)))
		if err != nil || len(b.Jobs) != 3 || lines(3) != 3 || len(b.Jobs[1].Shell) != n-len(`{"shell":""}`) {
			t.Errorf("a line of %d bytes: %d jobs, %v", n, len(b.Jobs), err)
		}
	}
	_, _, err := h.readLines(strings.NewReader(line(100) + line(maxBody+1)))
	e := (*job.Error)(nil)
	if !errors.As(err, &e) || e.Line != 2 || problemOf(err).Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a line that is too long: %v", err)
	}
	for _, broken := range []io.Reader{iotest.TimeoutReader(strings.NewReader(line(100))), iotest.ErrReader(errors.New("reset"))} {
		if _, _, err := h.readLines(broken); job.CodeOf(err) != job.Invalid {
			t.Errorf("a body that breaks off: %v", err)
		}
	}
}

// TestLongValues reads batches with values around the limit of one job.
func TestLongValues(t *testing.T) {
	h := New(Options{})
	value := func(n int) string { return `{"name":"` + strings.Repeat("x", n-len(`{"name":""}`)) + `"}` }
	for _, n := range []int{100, maxBody - 1, maxBody} {
		b, _, err := h.readBatch(strings.NewReader(`{"defaults":` + value(n) + `,"jobs":[` + value(n) + `,` + value(100) + `]}`))
		if err != nil || len(b.Jobs) != 2 || len(b.Jobs[0].Name) != n-len(`{"name":""}`) {
			t.Errorf("a value of %d bytes: %d jobs, %v", n, len(b.Jobs), err)
		}
	}
	for _, body := range []string{`{"jobs":[` + value(100) + `,` + value(maxBody+2) + `]}`, `{"defaults":` + value(maxBody+2) + `}`, `{"` + strings.Repeat("x", 2*maxBody)} {
		if _, _, err := h.readBatch(strings.NewReader(body)); problemOf(err).Status != http.StatusRequestEntityTooLarge {
			t.Errorf("%.30s…: %v", body, err)
		}
	}
}

// TestBatchLimit wants the job after the last that is allowed refused as soon as it is read.
func TestBatchLimit(t *testing.T) {
	h := New(Options{})
	lines := strings.Repeat("{}\n", job.MaxBatch)
	list := `{"jobs":[` + strings.Repeat("{},", job.MaxBatch-1) + `{}`
	if b, _, err := h.readLines(strings.NewReader(lines)); err != nil || len(b.Jobs) != job.MaxBatch {
		t.Errorf("%d lines: %v", len(b.Jobs), err)
	}
	if b, _, err := h.readBatch(strings.NewReader(list + `]}`)); err != nil || len(b.Jobs) != job.MaxBatch {
		t.Errorf("a list of %d: %v", len(b.Jobs), err)
	}
	_, _, err1 := h.readLines(strings.NewReader(lines + "{}\nnot read"))
	_, _, err2 := h.readBatch(strings.NewReader(list + `,{},not read`))
	for _, err := range []error{err1, err2} {
		e := (*job.Error)(nil)
		if !errors.As(err, &e) || e.Code != job.Invalid || e.Field != "jobs" || e.Line != job.MaxBatch+1 {
			t.Errorf("one job too many: %v", err)
		}
	}
}

// TestPanicOfADecoder is an error of its request, and keeps nobody else from decoding.
func TestPanicOfADecoder(t *testing.T) {
	h := New(Options{})
	for range 2 * cap(h.decoding) {
		s := &specs{workers: h.decoding, n: 1}
		s.parts = []*specsPart{{text: []byte("{}"), ends: []int{3}, lines: []int{1}}} // more than there is
		jobs, _, err := s.done(nil)
		if len(jobs) > 0 || job.CodeOf(err) != job.Internal || problemOf(err).Status != http.StatusInternalServerError || !s.failed.Load() {
			t.Fatalf("%d jobs, %v", len(jobs), err)
		}
	}
	if b, _, err := h.readLines(strings.NewReader("{}\n")); err != nil || len(b.Jobs) != 1 {
		t.Errorf("afterwards: %d jobs, %v", len(b.Jobs), err)
	}
}

// TestDecodersOfAll bounds what all batches decode at a time.
func TestDecodersOfAll(t *testing.T) {
	h := New(Options{})
	for range cap(h.decoding) {
		h.decoding <- struct{}{} // others are at work
	}
	read := make(chan error)
	for _, f := range []func() error{
		func() error { _, _, err := h.readLines(strings.NewReader("{}\n")); return err },
		func() error { _, _, err := h.readBatch(strings.NewReader(`{"jobs":[{}]}`)); return err },
	} {
		go func() { read <- f() }()
		select {
		case err := <-read:
			t.Fatalf("it did not wait for the others: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		<-h.decoding
		if err := <-read; err != nil {
			t.Error(err)
		}
		h.decoding <- struct{}{}
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
