package servicetest

import (
	"fmt"
	"io"

	"github.com/queuemgr/queuemgr/job"
)

var logCases = []testCase{
	{"Parts", logParts},
	{"Split", logSplit},
	{"Follow", logFollow},
	{"FollowFromBeforeTheStart", logFollowWaiting},
	{"Close", logClose},
	{"Bytes", logBytes},
	{"Search", logSearch},
	{"SearchRefused", logSearchRefused},
	{"Refused", logRefused},
}

// reads takes exactly text from r.
func (s *suite) reads(r io.Reader, text string) {
	s.Helper()
	b := make([]byte, len(text))
	if n, err := io.ReadFull(r, b); err != nil || string(b) != text {
		s.Fatalf("read %q, %v; want %q", b[:n], err, text)
	}
}

func logParts(s *suite) {
	j := s.shell("echo one; echo two >&2; echo three")
	s.wait(j.ID)
	for _, c := range []struct {
		o    job.LogOptions
		want string
	}{
		{job.LogOptions{}, "one\ntwo\nthree\n"},
		{job.LogOptions{Stream: "stdout"}, "one\ntwo\nthree\n"},
		{job.LogOptions{Offset: 4}, "two\nthree\n"},
		{job.LogOptions{Offset: 14}, ""},
		{job.LogOptions{Offset: 4000}, ""},
		{job.LogOptions{Tail: 1}, "three\n"},
		{job.LogOptions{Tail: 100}, "one\ntwo\nthree\n"},
		{job.LogOptions{Limit: 5}, "one\nt"},
		{job.LogOptions{Offset: 4, Limit: 4}, "two\n"},
		{job.LogOptions{Tail: 2, Limit: 2}, "tw"},
		{job.LogOptions{Offset: 12, Limit: 400}, "e\n"},
		{job.LogOptions{Attempt: 1, Tail: 2, Follow: true}, "two\nthree\n"},
	} {
		if got := s.log(j.ID, c.o); got != c.want {
			s.Errorf("%+v: %q, want %q", c.o, got, c.want)
		}
	}
	if got := s.log(s.held(job.Spec{}).ID, job.LogOptions{}); got != "" {
		s.Errorf("log of a job that has not run: %q", got)
	}
}

func logSplit(s *suite) {
	j := s.add(job.Spec{Shell: "echo out; echo err >&2", Split: true})
	s.wait(j.ID)
	s.same("stdout", s.log(j.ID, job.LogOptions{}), "out\n")
	s.same("stderr", s.log(j.ID, job.LogOptions{Stream: "stderr"}), "err\n")
}

func logFollow(s *suite) {
	first, second := s.gate(), s.gate()
	j := s.shell("echo 0; echo a; " + first.wait() + "; echo b; " + second.wait() + "; printf end")
	r, err := s.Logs(s.ctx, j.ID, job.LogOptions{Follow: true, Offset: 2})
	s.ok(err)
	defer r.Close()
	s.reads(r, "a\n")
	first.open()
	s.reads(r, "b\n")
	second.open()
	rest, err := io.ReadAll(r)
	if err != nil || string(rest) != "end" {
		s.Errorf("the end: %q, %v", rest, err)
	}
}

func logFollowWaiting(s *suite) {
	j := s.held(job.Spec{Shell: "echo at last"})
	r, err := s.Logs(s.ctx, j.ID, job.LogOptions{Follow: true})
	s.ok(err)
	defer r.Close()
	s.act(job.ActStart, j.ID)
	all, err := io.ReadAll(r)
	if err != nil || string(all) != "at last\n" {
		s.Errorf("%q, %v", all, err)
	}
}

func logClose(s *suite) {
	g := s.gate()
	j := s.shell("echo ready; " + g.wait())
	r, err := s.Logs(s.ctx, j.ID, job.LogOptions{Follow: true})
	s.ok(err)
	s.reads(r, "ready\n")
	ended := make(chan error)
	go func() {
		_, err := r.Read(make([]byte, 1))
		ended <- err
	}()
	s.ok(r.Close())
	if err := <-ended; err == nil {
		s.Error("a read of a closed log has no error")
	}
	g.open()
	s.wait(j.ID)
}

func logBytes(s *suite) {
	j := s.shell(`printf '\0\377\r\n\033'`)
	s.wait(j.ID)
	if got := s.log(j.ID, job.LogOptions{}); got != "\x00\xff\r\n\x1b" {
		s.Errorf("%q", got)
	}
}

func logRefused(s *suite) {
	j := s.shell("true")
	s.wait(j.ID)
	for _, c := range []struct {
		o     job.LogOptions
		code  job.Code
		field string
	}{
		{job.LogOptions{Stream: "both"}, job.Invalid, "stream"},
		{job.LogOptions{Stream: "stderr"}, job.NotFound, "stream"},
		{job.LogOptions{Attempt: 2}, job.NotFound, "attempt"},
		{job.LogOptions{Offset: -1}, job.Invalid, ""},
		{job.LogOptions{Tail: -1}, job.Invalid, ""},
	} {
		r, err := s.Logs(s.ctx, j.ID, c.o)
		if err == nil {
			r.Close()
		}
		s.refused(err, c.code, c.field)
	}
}

func logSearch(s *suite) {
	j := s.add(job.Spec{Shell: "echo one error; echo two; echo 'Error three'; printf 'an error\\377'; echo error >&2", Split: true})
	s.wait(j.ID)
	three := int64(20)
	for _, c := range []struct {
		o    job.LogSearch
		want []job.LogHit
		next *int64
	}{
		{job.LogSearch{Text: "error"}, []job.LogHit{{Offset: 0, Match: 4, Line: "one error"}, {Offset: 26, Match: 29, Line: "an error\uFFFD"}}, nil},
		{job.LogSearch{Text: "error", Backwards: true, IgnoreCase: true}, []job.LogHit{{Offset: 26, Match: 29, Line: "an error\uFFFD"}, {Offset: 14, Match: 14, Line: "Error three"}, {Offset: 0, Match: 4, Line: "one error"}}, nil},
		{job.LogSearch{Text: "error", From: &three}, []job.LogHit{{Offset: 26, Match: 29, Line: "an error\uFFFD"}}, nil},
		{job.LogSearch{Text: "error", From: &three, Backwards: true}, []job.LogHit{{Offset: 0, Match: 4, Line: "one error"}}, nil},
		{job.LogSearch{Text: "error", Limit: 1}, []job.LogHit{{Offset: 0, Match: 4, Line: "one error"}}, new(int64(10))},
		{job.LogSearch{Text: "error", Stream: "stderr"}, []job.LogHit{{Offset: 0, Match: 0, Line: "error"}}, nil},
		{job.LogSearch{Text: "none"}, []job.LogHit{}, nil},
		{job.LogSearch{Errors: true, Limit: 2}, []job.LogHit{{Offset: 0, Match: 4, Line: "one error"}, {Offset: 14, Match: 14, Line: "Error three"}}, new(int64(26))},
		{job.LogSearch{Errors: true, Limit: 1, Backwards: true}, []job.LogHit{{Offset: 26, Match: 29, Line: "an error\uFFFD"}}, new(int64(26))},
	} {
		hits, err := s.SearchLog(s.ctx, j.ID, c.o)
		s.ok(err)
		s.same(fmt.Sprintf("%+v", c.o), hits, job.LogHits{Hits: c.want, Next: c.next})
	}
}

func logSearchRefused(s *suite) {
	j := s.shell("true")
	s.wait(j.ID)
	for field, o := range map[string]job.LogSearch{"search": {}, "errors": {Text: "x", Errors: true}, "limit": {Text: "x", Limit: job.MaxLogHits + 1}} {
		_, err := s.SearchLog(s.ctx, j.ID, o)
		s.refused(err, job.Invalid, field)
	}
	_, err := s.SearchLog(s.ctx, j.ID, job.LogSearch{Text: "a\nb"})
	s.refused(err, job.Invalid, "search")
	_, err = s.SearchLog(s.ctx, j.ID, job.LogSearch{Text: "x", Attempt: 2})
	s.refused(err, job.NotFound, "")
	_, err = s.SearchLog(s.ctx, 99, job.LogSearch{Text: "x"})
	s.refused(err, job.NotFound, "")
	_, err = s.Logs(s.ctx, j.ID, job.LogOptions{Limit: 1, Follow: true})
	s.refused(err, job.Invalid, "limit")
}
