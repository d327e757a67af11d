package joblog_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/internal/joblog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPath(t *testing.T) {
	for _, c := range []struct {
		id      int64
		attempt int
		stream  string
		want    string
	}{
		{7, 1, "stdout", "/l/0/7.1.log"},
		{7, 2, "stderr", "/l/0/7.2.err.log"},
		{1234567, 1, "", "/l/1234/1234567.1.log"},
	} {
		if got := joblog.Path("/l", c.id, c.attempt, c.stream); got != c.want {
			t.Errorf("Path(%d, %d, %q) = %q, want %q", c.id, c.attempt, c.stream, got, c.want)
		}
	}
}

// write appends to the log of job 7, as its process would.
func write(t *testing.T, dir, text string) string {
	t.Helper()
	path := joblog.Path(dir, 7, 1, "")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string, o joblog.Options) joblog.Reader {
	t.Helper()
	r, err := joblog.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func all(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParts(t *testing.T) {
	const text = "one\ntwo\nthree\n"
	path := write(t, t.TempDir(), text)
	for _, c := range []struct {
		o    joblog.Options
		want string
	}{
		{joblog.Options{}, text},
		{joblog.Options{Offset: 4}, "two\nthree\n"},
		{joblog.Options{Offset: int64(len(text))}, ""},
		{joblog.Options{Offset: 1 << 40}, ""},
		{joblog.Options{Tail: 1}, "three\n"},
		{joblog.Options{Tail: 2}, "two\nthree\n"},
		{joblog.Options{Tail: 3}, text},
		{joblog.Options{Tail: 1 << 30}, text},
		{joblog.Options{Offset: 5, Tail: 9}, "wo\nthree\n"},
	} {
		if got := all(t, open(t, path, c.o)); got != c.want {
			t.Errorf("%+v: %q, want %q", c.o, got, c.want)
		}
	}
	if got := all(t, open(t, path+".no", joblog.Options{})); got != "" {
		t.Errorf("a log that is not there: %q", got)
	}
}

// TestTailAcrossBlocks compares tails of logs with lines of all lengths with cutting the whole.
func TestTailAcrossBlocks(t *testing.T) {
	var b bytes.Buffer
	for i := range 3000 {
		fmt.Fprintf(&b, "%d %s\n", i, strings.Repeat("x", i%190))
	}
	for _, end := range []string{"", "\n", "no newline"} {
		text := b.String() + end
		path := write(t, t.TempDir(), text)
		lines := strings.SplitAfter(text, "\n")
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		for _, n := range []int{1, 2, 500, 1371, 2999, 3000, 3001} {
			want := strings.Join(lines[max(0, len(lines)-n):], "")
			if got := all(t, open(t, path, joblog.Options{Tail: n})); got != want {
				t.Errorf("the last %d lines, ending in %q: %d bytes, want %d", n, end, len(got), len(want))
			}
		}
	}
}

// expect reads exactly as much as want is long.
func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Fatalf("read %q, %v; want %q", b, err, want)
	}
}

func TestFollow(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "a\nb\n")
	done := make(chan struct{})
	r := open(t, path, joblog.Options{Tail: 1, Follow: true, Done: done})
	expect(t, r, "b\n")
	for i := range 100 {
		line := fmt.Sprintf("line %d\n", i)
		write(t, dir, line)
		expect(t, r, line)
	}
	write(t, dir, "last")
	close(done)
	if got := all(t, r); got != "last" {
		t.Errorf("after done: %q", got)
	}
}

// TestFollowNothingYet follows a log whose directories do not exist.
func TestFollowNothingYet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	done := make(chan struct{})
	path := joblog.Path(dir, 7, 1, "")
	r := open(t, path, joblog.Options{Follow: true, Done: done})
	got := make(chan string)
	go func() {
		b, err := io.ReadAll(r)
		got <- fmt.Sprint(string(b), err)
	}()
	write(t, dir, "first\n")
	close(done)
	if s := <-got; s != "first\n<nil>" {
		t.Error(s)
	}

	none := open(t, path+".no", joblog.Options{Follow: true, Done: done})
	if s := all(t, none); s != "" {
		t.Errorf("a log that never came: %q", s)
	}
}

// TestFollowFromBeyondTheEnd waits until the log has grown to where reading begins.
func TestFollowFromBeyondTheEnd(t *testing.T) {
	for _, o := range []joblog.Options{{Offset: 5}, {Offset: 5, Tail: 3}} {
		dir := t.TempDir()
		path := joblog.Path(dir, 7, 1, "")
		done := make(chan struct{})
		o.Follow, o.Done = true, done
		missing := open(t, path, o)
		write(t, dir, "012")
		short := open(t, path, o)
		for _, r := range []joblog.Reader{missing, short} {
			if at := r.Offset(); at != 5 {
				t.Errorf("begins at %d", at)
			}
		}
		write(t, dir, "3456")
		expect(t, missing, "56")
		expect(t, short, "56")
		close(done)
		if got := all(t, missing) + all(t, short); got != "" {
			t.Errorf("after done: %q", got)
		}
	}
}

// TestFollowBucketAppears follows from before the directory is there, one step at a time.
func TestFollowBucketAppears(t *testing.T) {
	dir := t.TempDir()
	path := joblog.Path(dir, 7, 1, "")
	r := open(t, path, joblog.Options{Follow: true})
	got := make(chan byte)
	go func() {
		b := make([]byte, 1)
		_, _ = io.ReadFull(r, b) // a failure shows as a wrong byte
		got <- b[0]
	}()
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "x")
	if b := <-got; b != 'x' {
		t.Errorf("read %q", b)
	}
}

func TestFollowTruncated(t *testing.T) {
	dir := t.TempDir()
	done := make(chan struct{})
	path := write(t, dir, "a long line\n")
	r := open(t, path, joblog.Options{Follow: true, Done: done})
	expect(t, r, "a long line\n")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "new\n")
	expect(t, r, "\n[queuemgr: the job truncated its log here]\nnew\n")
	close(done)
	if got := all(t, r); got != "" {
		t.Errorf("after done: %q", got)
	}
}

// TestFollowRemoved reads to the end a log that retention removed.
func TestFollowRemoved(t *testing.T) {
	dir := t.TempDir()
	done := make(chan struct{})
	path := write(t, dir, "kept")
	r := open(t, path, joblog.Options{Follow: true, Done: done})
	if err := joblog.Remove(dir, 7, 1); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "kept")
	go close(done)
	if got := all(t, r); got != "" {
		t.Errorf("after done: %q", got)
	}
}

func TestFollowEnds(t *testing.T) {
	path := write(t, t.TempDir(), "")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	read := func(r io.Reader) {
		_, err := r.Read(make([]byte, 1))
		ended <- err
	}
	byContext, err := joblog.Open(ctx, path, joblog.Options{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer byContext.Close()
	byClose := open(t, path, joblog.Options{Follow: true})
	go read(byContext)
	cancel()
	if err := <-ended; err == nil {
		t.Error("a read whose context ended has no error")
	}
	go read(byClose)
	if err := byClose.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("a read of a closed log has no error")
	}
}

// TestManyFollowers has each of many readers of one file, and of files of their own, see all.
func TestManyFollowers(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "")
	done := make(chan struct{})
	got := make(chan string)
	const readers = 200
	for i := range readers {
		target := path
		if i%2 == 1 {
			target = joblog.Path(dir, int64(100+i), 1, "")
			if err := os.WriteFile(target, []byte("shared"), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		r := open(t, target, joblog.Options{Follow: true, Done: done})
		go func() {
			b, err := io.ReadAll(r)
			got <- fmt.Sprint(string(b), err)
		}()
	}
	write(t, dir, "sha")
	write(t, dir, "red")
	close(done)
	for range readers {
		if s := <-got; s != "shared<nil>" {
			t.Error(s)
		}
	}
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "x")
	other := joblog.Path(dir, 8, 1, "")
	for _, p := range []string{joblog.Path(dir, 7, 3, "stderr"), other} {
		if err := os.WriteFile(p, nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := joblog.Remove(dir, 7, 3); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(left) != 1 || left[0] != other {
		t.Errorf("left: %v %v", left, err)
	}
}

func BenchmarkOpenTail(b *testing.B) {
	path := filepath.Join(b.TempDir(), "log")
	if err := os.WriteFile(path, bytes.Repeat([]byte("a line of a job's output\n"), 8<<20), 0o640); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, err := joblog.Open(b.Context(), path, joblog.Options{Tail: 50})
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}
