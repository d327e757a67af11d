package joblog

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// searchAll searches to the end, call by call.
func searchAll(t *testing.T, path string, o SearchOptions) (hits []Hit, calls int) {
	t.Helper()
	for {
		more, next, err := Search(t.Context(), path, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(more) > o.Limit {
			t.Fatalf("%d hits, limit %d", len(more), o.Limit)
		}
		hits = append(hits, more...)
		if calls++; next < 0 {
			return hits, calls
		}
		o.From = next
	}
}

// TestSearch holds the search in both directions to a plain one, with texts across the edges of
// blocks and lines longer than blocks.
func TestSearch(t *testing.T) {
	var log bytes.Buffer
	for i := range 3000 {
		switch {
		case i%997 == 5:
			fmt.Fprintf(&log, "%sneedle%s needle\n", strings.Repeat("x", blockSize+i), strings.Repeat("y", 2*blockSize))
		case i%10 == 3:
			fmt.Fprintf(&log, "line %d has a Needle in it\r\n", i)
		case i%10 == 7:
			fmt.Fprintf(&log, "line %d: needle needle %s\n", i, strings.Repeat("z", i%200))
		default:
			fmt.Fprintf(&log, "line %d %s\n", i, strings.Repeat("-", i%131))
		}
	}
	log.WriteString("the last line has a needle and no end")
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ignore := range []bool{false, true} {
		var first, last []int64 // offsets of the first and the last match of each line
		at := int64(0)
		for line := range bytes.Lines(log.Bytes()) {
			text := line
			if ignore {
				text = bytes.ToLower(line)
			}
			if i := bytes.Index(text, []byte("needle")); i >= 0 {
				first = append(first, at+int64(i))
				last = append(last, at+int64(bytes.LastIndex(text, []byte("needle"))))
			}
			at += int64(len(line))
		}
		slices.Reverse(last)
		for name, want := range map[string][]int64{"forwards": first, "backwards": last} {
			hits, _ := searchAll(t, path, SearchOptions{Text: map[bool]string{true: "nEEdle", false: "needle"}[ignore], IgnoreCase: ignore, From: -1, Backwards: name == "backwards", Limit: 7})
			var got []int64
			for _, h := range hits {
				got = append(got, h.Match)
				if !strings.Contains(strings.ToLower(h.Line), "needle") || strings.ContainsAny(h.Line, "\r\n") || h.Offset > h.Match || len(h.Line) > 2*around+10 {
					t.Errorf("%+v", h)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, ignoring case %v: %d hits, want %d", name, ignore, len(got), len(want))
			}
		}
	}
	if hits, _, err := Search(t.Context(), path+".none", SearchOptions{Text: "x", Limit: 1}); err != nil || len(hits) > 0 {
		t.Errorf("in a log that is not there: %v, %v", hits, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Search(ctx, path, SearchOptions{Text: "x", Limit: 1}); err == nil {
		t.Error("goes on when its context has ended")
	}
}

// large is a log of 200 MB that counts what is read of it.
type large struct{ read int64 }

const largeSize = 200_000_000

func (l *large) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), largeSize-off))
	for i := range n {
		p[i] = 'x'
		if (off+int64(i))%100 == 99 {
			p[i] = '\n'
		}
	}
	l.read += int64(n)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// TestLargeLog wants a tail to cost what it is long, and a search its bound, whatever the log's size.
func TestLargeLog(t *testing.T) {
	l := &large{}
	start, err := tailStart(t.Context(), l, 0, largeSize, 2000)
	if err != nil || start != largeSize-2000*100 || l.read > 2000*100+blockSize {
		t.Errorf("a tail of 200 kB begins at %d of %d and read %d bytes: %v", start, largeSize, l.read, err)
	}
	for _, backwards := range []bool{false, true} {
		l.read = 0
		s := &search{ctx: t.Context(), r: l, size: largeSize, budget: searchBudget, text: []byte("none"), o: SearchOptions{From: -1, Backwards: backwards, Limit: 10}}
		next, err := s.run()
		if err != nil || next < 0 || l.read > searchBudget+blockSize {
			t.Errorf("backwards %v: read %d bytes, next %d, %v", backwards, l.read, next, err)
		}
	}
}
