package joblog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// plainTrouble is what a line with an error looks like, said plainly.
var plainTrouble = regexp.MustCompile(`(?i)(?:^|[^\w])(errors?|fatal|panic|exception|traceback|fail(?:ed|ure|ures)?|segmentation fault|killed)(?:$|[^\w])`)

// TestSearchErrors holds the search for errors in both directions to a plain one, with words across
// the edges of blocks.
func TestSearchErrors(t *testing.T) {
	var log bytes.Buffer
	words := []string{"ERROR:", "errors", "terror", "mirror", "Failed.", "failover", "failures", "segmentation fault", "(killed)", "panic", "panicky", "Traceback (most", "an error\xff", "error_code", "exception", "0", "fail"}
	for i := range 1200 {
		// Each word comes to lie across an edge in one line or another.
		fmt.Fprintf(&log, "%s %s %s\n", strings.Repeat("-", i%97), words[i%len(words)], strings.Repeat("x", (i*7)%61))
		if i%200 == 11 {
			for len(log.Bytes())%blockSize < blockSize-i%20 { // up to the edge itself
				log.WriteByte('=')
			}
			log.WriteString(" error of an edge\n")
		}
	}
	log.WriteString("the last one failed")
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var want []int64
	at := int64(0)
	for line := range bytes.Lines(log.Bytes()) {
		if m := plainTrouble.FindSubmatchIndex(line); m != nil {
			want = append(want, at+int64(m[2]))
		}
		at += int64(len(line))
	}
	if len(want) < 400 {
		t.Fatalf("the log has %d lines with errors", len(want))
	}
	for _, backwards := range []bool{false, true} {
		hits, _ := searchAll(t, path, SearchOptions{Errors: true, From: -1, Backwards: backwards, Limit: 7})
		var got []int64
		for _, h := range hits {
			got = append(got, h.Match)
			if !plainTrouble.MatchString(h.Line) {
				t.Errorf("%+v is no error", h)
			}
		}
		if backwards {
			slices.Reverse(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("backwards %v: %d hits, want %d", backwards, len(got), len(want))
		}
	}
}

// TestTruncatedWhileSearched: the log became shorter than it was when the search began, which ends with it.
func TestTruncatedWhileSearched(t *testing.T) {
	for _, log := range []string{"one failed\nall is well\n", "one failed\n" + strings.Repeat("well ", blockSize/5+2)} {
		for _, backwards := range []bool{false, true} {
			s := &search{ctx: t.Context(), r: strings.NewReader(log), size: 3 * blockSize, budget: searchBudget, o: SearchOptions{Errors: true, From: -1, Backwards: backwards, Limit: 10}}
			next, err := s.run()
			if err != nil || next != -1 || s.budget < searchBudget-5*blockSize || !backwards && len(s.hits) != 1 {
				t.Errorf("of %d bytes, backwards %v: next %d, %v, %d hits, %d bytes read", len(log), backwards, next, err, len(s.hits), searchBudget-s.budget)
			}
		}
	}
}
