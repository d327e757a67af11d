package runner

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

func TestParseDatagram(t *testing.T) {
	for _, tt := range []struct{ name, msg, want string }{
		{"all", "X_QUEUEMGR_RUN_ID=r\nSTATUS=half = done\nX_QUEUEMGR_PROGRESS=40\nX_QUEUEMGR_RESULT={\"a\":1}\nX_QUEUEMGR_ERROR=no\nX_QUEUEMGR_RETRY=30\n",
			`run=r progress=40 status=half = done result={"a":1} error=no retry=30`},
		{"alive", "WATCHDOG=1", "nothing"},
		{"unknown keys", "MAINPID=7\nREADY=1\nBARRIER=1", "nothing"},
		{"no text", "STATUS=", "status="},
		{"the last counts", "STATUS=a\nSTATUS=b", "status=b"},
		{"a line without key", "hm\nSTATUS=a\n=x", "status=a"},
		{"a fraction", "X_QUEUEMGR_PROGRESS=99.99", "progress=99"},
		{"nought", "X_QUEUEMGR_PROGRESS=0", "progress=0"},
		{"whole", "X_QUEUEMGR_PROGRESS=100.0", "progress=100"},
		{"too much", "STATUS=a\nX_QUEUEMGR_PROGRESS=100.5", "refused X_QUEUEMGR_PROGRESS=\"100.5\": progress is a number from 0 to 100"},
		{"below", "X_QUEUEMGR_PROGRESS=-1", "refused X_QUEUEMGR_PROGRESS=\"-1\": progress is a number from 0 to 100"},
		{"no number", "X_QUEUEMGR_PROGRESS=NaN", "refused X_QUEUEMGR_PROGRESS=\"NaN\": progress is a number from 0 to 100"},
		{"nothing", "X_QUEUEMGR_PROGRESS=", "refused X_QUEUEMGR_PROGRESS=\"\": progress is a number from 0 to 100"},
		{"hex", "X_QUEUEMGR_PROGRESS=0x1p3", "refused X_QUEUEMGR_PROGRESS=\"0x1p3\": progress is a number from 0 to 100"},
		{"no JSON", "X_QUEUEMGR_RESULT={a:1}", "refused X_QUEUEMGR_RESULT: the result is not valid JSON"},
		{"no result", "X_QUEUEMGR_RESULT=", "refused X_QUEUEMGR_RESULT: the result is not valid JSON"},
		{"half a result", "X_QUEUEMGR_RESULT={\n\"a\":1}", "refused X_QUEUEMGR_RESULT: the result is not valid JSON"},
		{"large", "X_QUEUEMGR_RESULT=\"" + strings.Repeat("x", wire.MaxResult) + `"`, "refused X_QUEUEMGR_RESULT: the result has more than the 65536 bytes that are allowed"},
		{"deep", "X_QUEUEMGR_RESULT=" + strings.Repeat("[", 513) + strings.Repeat("]", 513), "refused X_QUEUEMGR_RESULT: the result nests deeper than 512"},
		{"not that deep", `X_QUEUEMGR_RESULT="` + strings.Repeat(`[\"`, 600) + `"`, `result="` + strings.Repeat(`[\"`, 600) + `"`},
		{"never", "X_QUEUEMGR_RETRY=never", "retry=never"},
		{"soon", "X_QUEUEMGR_RETRY=soon", "refused X_QUEUEMGR_RETRY=\"soon\": it is never, or a number of seconds"},
		{"for ever", "X_QUEUEMGR_RETRY=Inf", "refused X_QUEUEMGR_RETRY=\"Inf\": it is never, or a number of seconds"},
		{"empty", "", "refused a message without a line KEY=VALUE"},
		{"garbage", "\x01\x02garbage", "refused a message without a line KEY=VALUE"},
		{"not UTF-8", "STATUS=\xff", "refused a message that is not UTF-8 text"},
		{"NUL", "STATUS=a\x00b", "refused a message with a NUL byte in it"},
		{"whose, even so", "X_QUEUEMGR_RUN_ID=r\nSTATUS=\xff", "refused a message that is not UTF-8 text"},
	} {
		d, wrong := parseDatagram([]byte(tt.msg))
		got := "refused " + wrong
		if wrong == "" {
			var s Said
			s.merge(&d)
			var parts []string
			part := func(name, text string) { parts = append(parts, name+"="+text) }
			if d.runID != nil {
				part("run", string(d.runID))
			}
			if s.Progress != nil {
				part("progress", fmt.Sprint(*s.Progress))
			}
			for _, p := range []struct {
				name string
				text *string
			}{{"status", s.Status}, {"result", (*string)(nil)}, {"error", s.Error}, {"retry", s.Retry}} {
				if p.name == "result" && s.Result != nil {
					part("result", string(s.Result))
				}
				if p.text != nil {
					part(p.name, *p.text)
				}
			}
			if got = strings.Join(parts, " "); got == "" {
				got = "nothing"
			}
			if says := s.Progress != nil || s.Status != nil || s.Result != nil || s.Error != nil || s.Retry != nil; says != d.says() {
				t.Errorf("%s: says %v", tt.name, d.says())
			}
		}
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
	if d, _ := parseDatagram([]byte("X_QUEUEMGR_RUN_ID=r\nSTATUS=\xff")); string(d.runID) != "r" {
		t.Error("who sent what is refused is not known")
	}
	long := "STATUS=" + strings.Repeat("ä", wire.MaxStatus)
	d, _ := parseDatagram([]byte(long))
	if len(d.status) > wire.MaxStatus || len(d.status) < wire.MaxStatus-3 || !utf8.Valid(d.status) {
		t.Errorf("a long text is cut to %d bytes, valid: %v", len(d.status), utf8.Valid(d.status))
	}
}

// FuzzDatagram: whatever comes, what is taken of it is fit for a message and the journal.
func FuzzDatagram(f *testing.F) {
	for _, s := range []string{"", "STATUS=a\nX_QUEUEMGR_PROGRESS=4", "X_QUEUEMGR_RESULT=[1]", "X_QUEUEMGR_RESULT={\"a\":\"\xed\xa0\x80\"}", "=\n\n==", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, wrong := parseDatagram(b)
		var s Said
		if wrong != "" {
			s.refuse(wrong)
		} else {
			s.merge(&d)
		}
		var rep, back wire.Report
		s.add(&rep)
		text, err := json.Marshal(rep)
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if rep.Progress != nil && (*rep.Progress < 0 || *rep.Progress > 100) {
			t.Fatalf("%q: progress %d", b, *rep.Progress)
		}
		rep.Result, back.Result = nil, nil // written in another way
		if diff := cmp.Diff(rep, back); diff != "" {
			t.Fatalf("%q: %s", b, diff)
		}
	})
}

// TestReportsOnlyGrow: progress does not go down, and what was refused is counted, not kept.
func TestReportsOnlyGrow(t *testing.T) {
	var rep wire.Report
	say := func(edit func(s *Said)) bool {
		var s Said
		edit(&s)
		return s.add(&rep)
	}
	at := func(n int) func(*Said) { return func(s *Said) { s.Progress = &n } }
	if !say(at(40)) || say(at(39)) || say(at(40)) || *rep.Progress != 40 || !say(at(41)) {
		t.Errorf("progress %d", *rep.Progress)
	}
	sent := rep
	for i := range 9 {
		if !say(func(s *Said) { s.refuse(fmt.Sprint("no ", i, strings.Repeat("x", 500))) }) {
			t.Error("a refusal is no news")
		}
	}
	if len(rep.Refused) != wire.MaxRefused || rep.RefusedMore != 4 || len(rep.Refused[0]) != wire.MaxRefusedText || sent.Refused != nil {
		t.Errorf("%d refused, %d more", len(rep.Refused), rep.RefusedMore)
	}
}
