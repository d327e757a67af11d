package main

import (
	"slices"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	events := `{"Action":"output","Package":"p","Test":"TestGood","Output":"=== RUN TestGood\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"    bad_test.go:3: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"output","Package":"p","Test":"TestSkip","Output":"    skip_test.go:3: needs root\n"}
{"Action":"skip","Package":"p","Test":"TestSkip"}
{"Action":"output","Package":"p","Test":"TestCut","Output":"panic: boom\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q"}
plain words of the go command
`
	var out strings.Builder
	s, err := read(strings.NewReader(events), &out)
	if err != nil {
		t.Fatal(err)
	}
	if s.passed != 1 || s.failed != 2 || !slices.Equal(s.skips, []string{"p TestSkip: skip_test.go:3: needs root"}) {
		t.Errorf("counted %+v", s)
	}
	for _, want := range []string{"FAIL p TestBad\n    bad_test.go:3: wrong\n", "panic: boom", "FAIL\tp\t0.1s\n", "plain words"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the report:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "TestGood") || strings.Contains(out.String(), "no test files") {
		t.Errorf("the report is noisy:\n%s", &out)
	}
}
