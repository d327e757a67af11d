package cli

import (
	"bufio"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAttribute(t *testing.T) {
	for _, c := range []struct{ line, key, want string }{
		{`time=2026-01-02T03:04:05.678Z level=INFO msg="a job=7 b" job=8 queue=q`, "job", "8"},
		{`time=2026-01-02T03:04:05.678Z level=INFO msg="a job=7 b"`, "job", ""},
		{`level=INFO msg="it said \"job=7\"" job=9` + "\n", "job", "9"},
		{`msg="a \"quoted\" one\n" job=1`, "msg", "a \"quoted\" one\n"},
		{`"odd key"=x job=2`, "odd key", "x"},
		{`msg="no end job=7`, "job", ""},
		{`job=`, "job", ""},
		{"panic: job=7", "job", ""},
		{"\tmain.go:7 +0x1f", "job", ""},
		{"", "job", ""},
		{"=====", "job", ""},
	} {
		if got := attribute(c.line, c.key); got != c.want {
			t.Errorf("%q: %s is %q, want %q", c.line, c.key, got, c.want)
		}
	}
}

func TestPrintMerged(t *testing.T) {
	const daemon = "time=2026-01-02T03:04:01Z msg=d1 job=7\ntime=2026-01-02T03:04:04Z msg=d2\npanic: \x1b[31mx\n\tmain.go:1\ntime=2026-01-02T03:04:09Z msg=d3 job=7\ntime=2026-01-02T03:04:10Z msg=half"
	const runner = "time=2026-01-02T03:04:02Z msg=r1\ntime=2026-01-02T04:04:05+01:00 msg=r2 job=71\n"
	all := []string{"time=2026-01-02T03:04:01Z msg=d1 job=7", "time=2026-01-02T03:04:02Z msg=r1", "time=2026-01-02T03:04:04Z msg=d2", `panic: \x1b[31mx`, "\tmain.go:1",
		"time=2026-01-02T04:04:05+01:00 msg=r2 job=71", "time=2026-01-02T03:04:09Z msg=d3 job=7"}
	for _, c := range []struct {
		name string
		most int
		job  string
		want []string
	}{
		{"all", 0, "", all},
		{"the last", 1, "", all[6:]},
		{"the last three", 3, "", all[4:]},
		{"more than there are", 50, "", all},
		{"of a job", 0, "7", []string{all[0], all[6]}},
		{"the last of a job", 1, "7", all[6:]},
		{"of no job", 0, "8", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := []*textLog{{name: "daemon", lines: bufio.NewReader(strings.NewReader(daemon))}, {name: "runner", lines: bufio.NewReader(strings.NewReader(runner))}}
			var out strings.Builder
			want := func(line string) bool { return c.job == "" || attribute(line, "job") == c.job }
			if _, err := printMerged(t.Context(), &out, files, want, c.most); err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				got = append(got, strings.TrimSuffix(line, "\n"))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			// A line that is being written is left to be read again, whole.
			if files[0].end != int64(strings.LastIndex(daemon, "\n")+1) || files[1].end != int64(len(runner)) {
				t.Errorf("read to %d and %d", files[0].end, files[1].end)
			}
		})
	}
}
