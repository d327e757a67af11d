package joblog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

const (
	// searchBudget is how much of a log one search reads, in bytes.
	searchBudget = 8 << 20
	// around is how much of a line is shown on each side of what was looked for, in bytes.
	around = 512
)

// Hit is a line in which the text was found.
type Hit struct {
	Offset int64 // of the line's first byte, or of Line's where the line is longer
	Match  int64 // of the text's first byte
	Line   string
}

// SearchOptions says what to look for. Text has no line break.
type SearchOptions struct {
	Text       string
	Errors     bool  // lines that look like an error, in place of Text
	IgnoreCase bool  // of ASCII letters
	From       int64 // where to begin; below zero = the beginning, or the end when searching backwards
	Backwards  bool
	Limit      int // most hits
}

// Search looks in the log at path, one hit a line. next is where to go on, below zero when all is
// searched. What one call reads is bounded. A file that is not there is an empty log.
func Search(ctx context.Context, path string, o SearchOptions) (hits []Hit, next int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, -1, nil
	}
	if err != nil {
		return nil, -1, fmt.Errorf("open a job's log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, -1, fmt.Errorf("size of a job's log: %w", err)
	}
	s := &search{ctx: ctx, r: f, size: info.Size(), budget: searchBudget, o: o, text: []byte(o.Text)}
	if o.IgnoreCase {
		lower(s.text)
	}
	next, err = s.run()
	return s.hits, next, err
}

// search is one search under way.
type search struct {
	ctx    context.Context
	r      io.ReaderAt
	size   int64
	budget int64
	o      SearchOptions
	text   []byte
	hits   []Hit
	block  [blockSize]byte
}

func (s *search) run() (next int64, err error) {
	at := s.o.From
	switch {
	case at < 0 && s.o.Backwards || at > s.size:
		at = s.size
	case at < 0:
		at = 0
	}
	step := s.forward
	switch {
	case s.o.Errors && s.o.Backwards:
		step = s.troubleBackward
	case s.o.Errors:
		step = s.troubleForward
	case s.o.Backwards:
		step = s.backward
	}
	for at >= 0 {
		if len(s.hits) == s.o.Limit || s.budget <= 0 {
			return at, nil
		}
		if err := s.ctx.Err(); err != nil {
			return at, err
		}
		if at, err = step(at); err != nil {
			return at, fmt.Errorf("search a job's log: %w", err)
		}
	}
	return -1, nil
}

// read returns what is in the log between two offsets, of which there is at most a block. It is
// short where the job truncated its log meanwhile.
func (s *search) read(from, to int64) ([]byte, error) {
	b := s.block[:max(0, to-from)]
	s.budget -= int64(len(b))
	n, err := s.r.ReadAt(b, from)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// forward looks in one block from at on and returns where to go on, -1 at the end.
func (s *search) forward(at int64) (int64, error) {
	b, err := s.read(at, min(at+blockSize, s.size))
	if err != nil || len(b) < len(s.text) {
		return -1, err
	}
	i := bytes.Index(s.fold(b), s.text)
	if i < 0 {
		if at+int64(len(b)) >= s.size {
			return -1, nil
		}
		return at + int64(len(b)-len(s.text)+1), nil // it may begin at the end of this block
	}
	match := at + int64(i)
	if err := s.hit(match, len(s.text)); err != nil {
		return -1, err
	}
	return s.lineEnd(match + int64(len(s.text)))
}

// lineEnd returns where the line behind the one at at begins, -1 for none.
func (s *search) lineEnd(at int64) (int64, error) {
	for at < s.size {
		b, err := s.read(at, min(at+blockSize, s.size))
		if err != nil || len(b) == 0 {
			return -1, err
		}
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			return at + int64(i) + 1, nil
		}
		if at += int64(len(b)); s.budget <= 0 {
			return at, nil // a line without end: the same one may be met again
		}
	}
	return -1, nil
}

// backward looks in one block that ends at at and returns where to go on, -1 at the beginning.
func (s *search) backward(at int64) (int64, error) {
	from := max(0, at-blockSize)
	b, err := s.read(from, at)
	if err != nil || len(b) < len(s.text) {
		return -1, err
	}
	i := bytes.LastIndex(s.fold(b), s.text)
	if i < 0 {
		if from == 0 {
			return -1, nil
		}
		return from + int64(len(s.text)) - 1, nil // it may end at the beginning of this block
	}
	match := from + int64(i)
	if err := s.hit(match, len(s.text)); err != nil {
		return -1, err
	}
	return s.lineStart(match)
}

// lineStart returns where the line that holds at begins, -1 where that is the log's beginning.
func (s *search) lineStart(at int64) (int64, error) {
	for at > 0 {
		from := max(0, at-blockSize)
		b, err := s.read(from, at)
		if err != nil || len(b) == 0 {
			return -1, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		if at = from; s.budget <= 0 {
			return at, nil
		}
	}
	return -1, nil
}

// hit keeps the line around a match of n bytes.
func (s *search) hit(match int64, n int) error {
	from, to := max(0, match-around), min(s.size, match+int64(n)+around)
	b := make([]byte, to-from)
	got, err := s.r.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	before := min(int(match-from), got)
	begin := bytes.LastIndexByte(b[:before], '\n') + 1
	end := got
	if i := bytes.IndexByte(b[before:got], '\n'); i >= 0 {
		end = before + i
	}
	line := strings.ToValidUTF8(string(bytes.TrimSuffix(b[begin:end], []byte("\r"))), "\uFFFD")
	s.hits = append(s.hits, Hit{Offset: from + int64(begin), Match: match, Line: line})
	return nil
}

// fold returns b with ASCII letters in lower case where case does not count.
func (s *search) fold(b []byte) []byte {
	if s.o.IgnoreCase {
		lower(b)
	}
	return b
}

func lower(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}
