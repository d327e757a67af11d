// Package jsonl keeps registry.jsonl, the registry's readable journal: one flat JSON object a line
// and change. It also exports a registry to such lines and imports it from them, and from the file
// of the Python service that queuemgr replaces.
//
// Every file begins with a snapshot of what is on record, so that it rebuilds a registry by
// itself, and files that were rotated away may be deleted. See DESIGN.md of the parent package.
package jsonl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// Registry is what this package needs of a store.
type Registry interface {
	store.Jobs
	store.Queues
	store.Changes
	RegistryID() string
}

// Options of New.
type Options struct {
	Path     string
	Store    Registry
	MaxBytes int64 // of a file before it is rotated; 0 = DefaultMaxBytes
	Keep     int   // rotated files that are kept: Path.1 is the newest; 0 = DefaultKeep
	Log      *slog.Logger
	Now      func() time.Time // nil = time.Now
}

// Defaults of Options.
const (
	DefaultMaxBytes = 64 << 20
	DefaultKeep     = 3
)

// batch is how many changes are written at once.
const batch = 500

// Writer appends each committed change to the file. One goroutine runs Run; the other methods may
// be called from any.
type Writer struct {
	o    Options
	wake chan struct{} // holds a token when there may be something to write

	mu      sync.Mutex
	file    *file  // nil while it can't be used
	problem string // why the last write failed
	synced  uint64
}

// New returns a writer. Whether the file can be written shows when Run tries.
func New(o Options) (*Writer, error) {
	if o.Path == "" || o.Store == nil {
		return nil, errors.New("registry.jsonl needs a path and a store")
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Keep <= 0 {
		o.Keep = DefaultKeep
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Writer{o: o, wake: make(chan struct{}, 1)}, nil
}

// Wake says that there are new changes. It never blocks.
func (w *Writer) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run writes what is missing and then each change, until ctx ends; then it writes what has been
// committed, syncs and closes the file. Failures to write stop nothing: they are told by Problem,
// and the next change tries again. The error is that of the last writing.
func (w *Writer) Run(ctx context.Context) error {
	for {
		w.settle(w.catchUp(ctx))
		select {
		case <-ctx.Done():
			return w.finish(context.WithoutCancel(ctx))
		case <-w.wake:
		}
	}
}

// settle remembers how writing went.
func (w *Writer) settle(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.problem
	switch {
	case errors.Is(err, context.Canceled):
		return // the end of Run
	case err == nil:
		w.problem = ""
	default:
		w.problem = fmt.Sprintf("can't write %s: %v; jobs go on, and what is missing is written when it works again", w.o.Path, err)
	}
	switch {
	case w.problem != "" && w.problem != was:
		w.o.Log.Error("write registry.jsonl", "file", w.o.Path, "error", err)
	case w.problem == "" && was != "":
		w.o.Log.Info("registry.jsonl is complete again", "file", w.o.Path)
	}
}

// Problem says what somebody should mend, "" for nothing.
func (w *Writer) Problem() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.problem
}

// Sync brings what is written to disk.
func (w *Writer) Sync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sync()
}

func (w *Writer) sync() error {
	if w.file == nil {
		return nil
	}
	if err := w.file.f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", w.o.Path, err)
	}
	w.synced = w.file.seq
	return nil
}

// Position returns up to which change the file was on disk at the last Sync: what the store may
// forget.
func (w *Writer) Position() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.synced
}

// catchUp writes everything up to the last change.
func (w *Writer) catchUp(ctx context.Context) error {
	if err := w.ready(ctx); err != nil {
		return err
	}
	for {
		n, err := w.append(ctx)
		if job.CodeOf(err) == job.Exhausted {
			// Changes that are gone can't be written any more: begin again from what there is.
			err = w.rotate(ctx, w.o.Store.Seq())
			n = batch
		}
		if err != nil || n == 0 {
			return err
		}
		if w.file.size > w.file.limit {
			if err := w.rotate(ctx, w.file.seq); err != nil {
				return err
			}
		}
	}
}

// ready makes sure that the file is open.
func (w *Writer) ready(ctx context.Context) error {
	if w.file != nil {
		return nil
	}
	f, err := resume(ctx, &w.o)
	if err != nil {
		return err
	}
	if f == nil {
		return w.begin(ctx)
	}
	w.use(f)
	return nil
}

// wholeHistory is up to how many changes a first file holds all of them and no snapshot.
const wholeHistory = 10_000

// begin starts a file where there is none: behind the one that was rotated last, when a crash came
// before the new one was in place; before the first change of a young registry; or else here.
func (w *Writer) begin(ctx context.Context) error {
	if seq, ok := rotatedSeq(&w.o); ok {
		return w.rotate(ctx, seq)
	}
	seq := w.o.Store.Seq()
	if _, err := w.o.Store.Changes(ctx, 0, 1); err == nil && seq <= wholeHistory {
		seq = 0
	}
	return w.rotate(ctx, seq)
}

// append writes the next changes and returns how many.
func (w *Writer) append(ctx context.Context) (int, error) {
	changes, err := w.o.Store.Changes(ctx, w.file.seq, batch)
	if err != nil || len(changes) == 0 {
		return 0, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.file.append(changes); err != nil {
		// Opened anew it begins behind its last whole line.
		err = errors.Join(err, w.file.f.Close())
		w.file = nil
		return 0, err
	}
	return len(changes), nil
}

// rotate begins a new file with a snapshot, behind which the changes after seq follow.
func (w *Writer) rotate(ctx context.Context, seq uint64) error {
	f, err := startFile(ctx, &w.o, seq)
	if err != nil {
		return err
	}
	w.use(f)
	return w.Sync()
}

// use replaces the file.
func (w *Writer) use(f *file) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file != nil {
		if err := w.file.f.Close(); err != nil {
			w.o.Log.Warn("close registry.jsonl", "file", w.o.Path, "error", err)
		}
	}
	w.file = f
}

// finish writes what is left at the end of Run. It begins no new file: the next start does.
func (w *Writer) finish(ctx context.Context) error {
	if w.file == nil {
		return nil // Problem has said why
	}
	for {
		n, err := w.append(ctx)
		if err != nil {
			return fmt.Errorf("write the last lines of %s: %w", w.o.Path, err)
		}
		if n == 0 {
			break
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	err := errors.Join(w.sync(), w.file.f.Close())
	w.file = nil
	return err
}
