package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/internal/joblog"
	"github.com/queuemgr/queuemgr/job"
)

// textLogs prints daemon.log and runner.log.
func (a *app) textLogs(ctx context.Context, r *ruler, o serviceLogsOptions) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	names := []string{r.paths.DaemonLog(), r.paths.RunnerLog()}
	there := false
	for _, name := range names {
		_, err := os.Stat(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return a.noLog(r, name, err)
		}
		there = there || err == nil
	}
	if !there && !o.follow {
		return a.noLog(r, names[0], os.ErrNotExist)
	}
	want := func(string) bool { return true }
	if o.job > 0 {
		id := strconv.FormatInt(o.job, 10)
		want = func(line string) bool { return attribute(line, "job") == id }
	}
	files := make([]*textLog, len(names))
	for i, name := range names {
		tail := o.tail
		if o.job > 0 {
			tail = 0 // which lines are the last is known only when all have been looked at
		}
		files[i] = &textLog{name: name}
		if o.follow { // before anything is printed: a rotation from now on is followed
			if err := files[i].follow(ctx, sizeOf(name)); err != nil {
				return a.noLog(r, name, err)
			}
			defer files[i].close()
		}
		f, err := joblog.Open(ctx, name, joblog.Options{Tail: tail})
		if err != nil {
			return a.noLog(r, name, err)
		}
		defer f.Close() //nolint:errcheck // only read
		files[i].lines, files[i].end = bufio.NewReader(f), f.Offset()
	}
	out := bufio.NewWriter(a.Stdout)
	printed, err := printMerged(ctx, out, files, want, o.tail)
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if o.follow {
		return a.followTexts(ctx, cancel, files, want)
	}
	if printed == 0 && o.job > 0 {
		a.warn("nothing is logged of job %d: these logs tell only of what was wrong. Its way: queuemgr job status %d; its output: queuemgr job logs %d", o.job, o.job, o.job)
	}
	return nil
}

// noLog is why a log cannot be printed.
func (a *app) noLog(r *ruler, name string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &job.Error{Code: job.NotFound, Err: err, Message: "nothing is logged yet: " + name + " is not there", Hint: "the service makes it: " + r.command("start")}
	case errors.Is(err, os.ErrPermission):
		return &job.Error{Code: job.Forbidden, Err: err, Message: "the log " + name + " is not yours to read", Hint: "sudo queuemgr service logs"}
	}
	return err
}

// textLog is a log whose lines are read in turn with those of others.
type textLog struct {
	name  string
	lines *bufio.Reader
	end   int64 // what stands before it has been read

	next string // "" = at the end
	at   time.Time

	later joblog.Reader // of what is written from now on, nil unless that is wanted
}

// sizeOf is how long a file is, 0 for none.
func sizeOf(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

// follow has later begin at an offset.
func (l *textLog) follow(ctx context.Context, offset int64) (err error) {
	l.close()
	l.later, err = joblog.Open(ctx, l.name, joblog.Options{Offset: offset, Follow: true, Rotates: true})
	return err
}

func (l *textLog) close() {
	if l.later != nil {
		_ = l.later.Close() // only read
		l.later = nil
	}
}

// skip has later go on where lines have been read to.
func (l *textLog) skip(ctx context.Context) error {
	read := l.end - l.later.Offset()
	if read < 0 { // the beginning of a line stood there
		return l.follow(ctx, l.end)
	}
	_, err := io.CopyN(io.Discard, l.later, read)
	return err
}

// advance reads the next line. A last one without its end is left: it is being written.
func (l *textLog) advance() error {
	line, err := l.lines.ReadString('\n')
	if errors.Is(err, io.EOF) {
		l.next = ""
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", l.name, err)
	}
	l.next = line
	l.end += int64(len(line))
	// A line without a time, as of a crash, belongs to the one before it.
	if at, err := time.Parse(time.RFC3339Nano, attribute(line, "time")); err == nil {
		l.at = at
	}
	return nil
}

// printMerged prints those lines of files that are wanted, in order of time, and of them the last most; 0 for all.
// It returns how many those are.
func printMerged(ctx context.Context, w io.Writer, files []*textLog, want func(string) bool, most int) (int, error) {
	for _, f := range files {
		if err := f.advance(); err != nil {
			return 0, err
		}
	}
	var kept []string
	n := 0
	for ctx.Err() == nil {
		var first *textLog
		for _, f := range files {
			if f.next != "" && (first == nil || f.at.Before(first.at)) {
				first = f
			}
		}
		if first == nil {
			break
		}
		if line := first.next; want(line) {
			n++
			if most > 0 {
				kept = append(kept, line)
				if len(kept) >= 2*most {
					kept = slices.Delete(kept, 0, len(kept)-most)
				}
			} else if _, err := io.WriteString(w, printableLine(line)); err != nil {
				return n, err
			}
		}
		if err := first.advance(); err != nil {
			return n, err
		}
	}
	for _, line := range kept[max(len(kept)-most, 0):] {
		if _, err := io.WriteString(w, printableLine(line)); err != nil {
			return n, err
		}
	}
	return n, ctx.Err()
}

// printableLine is a line of a log as a terminal may have it.
func printableLine(line string) string {
	parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t") // of a crash
	for i := range parts {
		parts[i] = printable(parts[i])
	}
	return strings.Join(parts, "\t") + "\n"
}

// followTexts prints what is written into files from where they have been read to, until ctx ends. An error with
// one ends the others by cancel, and is returned.
func (a *app) followTexts(ctx context.Context, cancel context.CancelCauseFunc, files []*textLog, want func(string) bool) error {
	var printing sync.Mutex
	var reading sync.WaitGroup
	for _, f := range files {
		reading.Go(func() {
			if err := f.skip(ctx); err != nil {
				cancel(err)
				return
			}
			for lines := bufio.NewReader(f.later); ; {
				line, err := lines.ReadString('\n')
				if err == nil && want(line) {
					printing.Lock()
					err = a.print("%s", printableLine(line))
					printing.Unlock()
				}
				if err != nil {
					cancel(err) // the first one is what is told
					return
				}
			}
		})
	}
	reading.Wait()
	return context.Cause(ctx)
}

// attribute returns the value of a key in a line that slog has written as text, "" where it has none.
func attribute(line, key string) string {
	for line = strings.TrimRight(line, "\n"); line != ""; line = strings.TrimPrefix(line, " ") {
		name, rest, found := strings.Cut(line, "=")
		if !found {
			return ""
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return ""
			}
			if value, err = strconv.Unquote(quoted); err != nil {
				return ""
			}
			rest = rest[len(quoted):]
		} else {
			value, rest, _ = strings.Cut(rest, " ")
		}
		if unquoted, err := strconv.Unquote(name); err == nil {
			name = unquoted
		}
		if name == key {
			return value
		}
		line = rest
	}
	return ""
}
