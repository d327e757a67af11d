// Package joblog knows where the output of a job's attempt is and reads it: from a byte offset or
// the last lines, and following it while the job still writes. Whoever starts the process writes
// the files; nobody here does.
package joblog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// Stderr is the name of the stream that a split job has a file of its own for. Every other name
// means the file that holds stdout, or both streams in order.
const Stderr = "stderr"

// perDirectory is how many jobs share a directory: none on disk for each job, and none that grows
// without end.
const perDirectory = 1000

// Path returns the log of one attempt of a job.
func Path(dir string, id int64, attempt int, stream string) string {
	name := strconv.FormatInt(id, 10) + "." + strconv.Itoa(attempt)
	if stream == Stderr {
		name += ".err"
	}
	return filepath.Join(dir, strconv.FormatInt(id/perDirectory, 10), name+".log")
}

// HookPath returns the log of a hook's command that was run for a job; n is the delivery's number.
func HookPath(dir string, id, n int64) string {
	return filepath.Join(dir, strconv.FormatInt(id/perDirectory, 10), strconv.FormatInt(id, 10)+".hook-"+strconv.FormatInt(n, 10)+".log")
}

// RemoveHook removes the log of a hook's command; that it is not there is no error.
func RemoveHook(dir string, id, n int64) error {
	if err := os.Remove(HookPath(dir, id, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the log of a hook of job %d: %w", id, err)
	}
	return nil
}

// Remove removes the logs of the attempts 1 to attempts of a job. Logs that are not there are no
// error. It goes on after an error and returns all of them.
func Remove(dir string, id int64, attempts int) error {
	var failed []error
	for attempt := 1; attempt <= attempts; attempt++ {
		for _, stream := range []string{"", Stderr} {
			if err := os.Remove(Path(dir, id, attempt, stream)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = append(failed, fmt.Errorf("remove the log of job %d: %w", id, err))
			}
		}
	}
	return errors.Join(failed...)
}

// Options says which part of a log to read.
type Options struct {
	Offset int64 // bytes to leave out at the beginning
	Tail   int   // only the last lines of what follows Offset; 0 = all
	Limit  int64 // most bytes; 0 = no limit; does not go with Follow
	// Follow goes on with what is written later, until Done is closed and all is read. A file that
	// is not there yet is waited for.
	Follow bool
	Done   <-chan struct{} // closed when nobody writes any more; nil = never
	// Rotates says that the log is a service's, which is moved away for another of its name: a follower
	// goes on in that one when something stands in it, for from then on nobody writes to the old. An Offset
	// beyond the end is of a file before, and that of the beginning then.
	Rotates bool
}

// Reader is a log that is read. Offset tells at which byte of the file reading began, Size how long
// the file was then.
type Reader interface {
	io.ReadCloser
	Offset() int64
	Size() int64
}

// Open returns a reader of the log at path. Without Follow it reads what is there now; a file that
// is not there is an empty log. With Follow a read blocks until there is something, and ends with
// ctx's error when ctx ends. Close may be called while a read blocks, and ends it.
//
// A job can truncate its own log (`echo x > /dev/stderr` does). A follower that sees the file
// shorter than what it has read says so in a line of its own and goes on with what the file holds
// then. A file that grew beyond its old length again before anybody looked cannot be told apart.
func Open(ctx context.Context, path string, o Options) (Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if o.Follow {
			return newFollower(ctx, path, nil, max(o.Offset, 0), 0, o), nil
		}
		return empty{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}
	start, size, err := begin(ctx, f, o)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if o.Follow {
		return newFollower(ctx, path, f, start, size, o), nil
	}
	// What is written while this is read is left out: else the reader of a fast job never ends.
	end := size
	if o.Limit > 0 {
		end = min(size, start+o.Limit)
	}
	return snapshot{io.NewSectionReader(f, start, end-start), f, start, size}, nil
}

// begin returns where reading starts, and the size of the file.
func begin(ctx context.Context, f *os.File, o Options) (start, size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, fmt.Errorf("size of a log: %w", err)
	}
	size = info.Size()
	start = max(o.Offset, 0)
	if start > size && !o.Follow { // a follower waits until the log is that long
		start = size
	}
	if o.Tail > 0 && start < size {
		start, err = tailStart(ctx, f, start, size, o.Tail)
	}
	return start, size, err
}

type snapshot struct {
	*io.SectionReader
	f     *os.File
	start int64
	size  int64
}

func (s snapshot) Offset() int64 { return s.start }
func (s snapshot) Size() int64   { return s.size }
func (s snapshot) Close() error  { return s.f.Close() }

// empty is a log that does not exist.
type empty struct{}

func (empty) Read([]byte) (int, error) { return 0, io.EOF }
func (empty) Offset() int64            { return 0 }
func (empty) Size() int64              { return 0 }
func (empty) Close() error             { return nil }
