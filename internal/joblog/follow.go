package joblog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// truncated is what a follower says where a log became shorter than what was read of it.
const truncated = "\n[queuemgr: the job truncated its log here]\n"

// follower reads a log that may still grow, or not exist yet. Reads are one at a time; Close may
// come from elsewhere.
type follower struct {
	ctx  context.Context
	stop context.CancelFunc
	done <-chan struct{}
	path string
	from int64 // where reading began
	size int64 // of the log then

	mu     sync.Mutex // held by Read, and by Close once stop has ended a Read that blocks
	f      *os.File   // nil until the file exists
	offset int64
	long   bool   // the log was as long as offset once: shorter means truncated
	watch  *watch // nil until there was nothing to read
	notice string // to be read before anything else
	closed bool
}

func newFollower(ctx context.Context, path string, f *os.File, offset, size int64, done <-chan struct{}) *follower {
	ctx, stop := context.WithCancel(ctx)
	return &follower{ctx: ctx, stop: stop, done: done, path: path, from: offset, size: size, f: f, offset: offset}
}

// Offset implements Reader.
func (r *follower) Offset() int64 { return r.from }

// Size implements Reader.
func (r *follower) Size() int64 { return r.size }

// Read implements io.Reader.
func (r *follower) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if r.closed {
			return 0, os.ErrClosed
		}
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		// Seen before the read: then what the read finds at the end is the end.
		last := r.isDone()
		if n, err := r.readNow(p); n > 0 || err != nil {
			return n, err
		}
		if last {
			return 0, io.EOF
		}
		if r.watch == nil {
			if err := r.subscribe(); err != nil {
				return 0, err
			}
			continue // it may have grown before the watch was there
		}
		select {
		case <-r.watch.c:
		case <-r.done:
		case <-r.ctx.Done():
		}
		if r.f == nil {
			// The path may have grown by a directory: watch the deepest one there is now.
			r.unsubscribe()
		}
	}
}

func (r *follower) isDone() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// readNow reads what is there, 0 bytes where nothing new is.
func (r *follower) readNow(p []byte) (int, error) {
	if r.f == nil {
		f, err := os.Open(r.path)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("open a job's log: %w", err)
		}
		r.f = f
		r.unsubscribe() // of the directory
	}
	if r.notice == "" {
		n, err := r.f.ReadAt(p, r.offset)
		r.offset += int64(n)
		if n > 0 {
			r.long = true
			return n, nil
		}
		if !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("read a job's log: %w", err)
		}
		info, err := r.f.Stat()
		if err != nil {
			return 0, fmt.Errorf("size of a job's log: %w", err)
		}
		r.long = r.long || info.Size() >= r.offset
		if info.Size() >= r.offset || !r.long {
			return 0, nil
		}
		r.offset, r.notice = 0, truncated
	}
	n := copy(p, r.notice)
	r.notice = r.notice[n:]
	return n, nil
}

// subscribe watches the file, or the deepest directory of its path that exists.
func (r *follower) subscribe() (err error) {
	if r.f != nil {
		// By descriptor, not by name: what is read is what is watched, even when it was removed.
		r.watch, err = subscribe(fmt.Sprintf("/proc/self/fd/%d", r.f.Fd()), true, nil)
		return err
	}
	for dir, missing := filepath.Dir(r.path), ""; ; {
		r.watch, err = subscribe(dir, false, nil)
		switch {
		case errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir):
			dir, missing = filepath.Dir(dir), dir
			continue
		case err != nil || missing == "":
			return err
		}
		if _, err := os.Stat(missing); errors.Is(err, fs.ErrNotExist) {
			return nil // it comes into dir
		}
		// It has come since it was looked for, and what comes into it is not seen from dir.
		r.unsubscribe()
		dir, missing = filepath.Dir(r.path), ""
	}
}

func (r *follower) unsubscribe() {
	if r.watch != nil {
		r.watch.close()
		r.watch = nil
	}
}

// Close ends the following at once and releases the file and its watch.
func (r *follower) Close() error {
	r.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	r.unsubscribe()
	if r.f == nil {
		return nil
	}
	return r.f.Close()
}
