package jsonl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// file is registry.jsonl, open at its end.
type file struct {
	f     *os.File
	size  int64  // bytes
	limit int64  // bytes from which it is rotated
	seq   uint64 // of its last line
	buf   []byte // reused
}

// append writes changes with one write(2).
func (f *file) append(changes []job.Change) error {
	f.buf = f.buf[:0]
	for i := range changes {
		if want := f.seq + uint64(i) + 1; changes[i].Seq != want {
			return fmt.Errorf("change %d follows %d", changes[i].Seq, want-1)
		}
		f.buf = append(f.buf, changes[i].JSON...)
		f.buf = append(f.buf, '\n')
	}
	if _, err := f.f.Write(f.buf); err != nil {
		return err
	}
	f.size += int64(len(f.buf))
	f.seq = changes[len(changes)-1].Seq
	if cap(f.buf) > 1<<20 {
		f.buf = nil
	}
	return nil
}

// resume opens the file where it was left: a line that a crash has torn is cut off. It returns nil
// when there is no file, or none of this registry: such a one is put aside and never deleted. What
// does not even look like JSON is somebody's other file: it is left alone, which is an error.
func resume(ctx context.Context, o *Options) (*file, error) {
	f, err := os.OpenFile(o.Path, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if info.Size() == 0 {
		return nil, errors.Join(f.Close(), os.Remove(o.Path))
	}
	var first [1]byte
	if _, err := f.ReadAt(first[:], 0); err != nil {
		return nil, errors.Join(fmt.Errorf("read its beginning: %w", err), f.Close())
	}
	if first[0] != '{' {
		return nil, errors.Join(errors.New("the file there is no journal of a registry and was left as it is; "+
			"move it away or let registry_path name another file"), f.Close())
	}
	opened, why, err := read(f, info.Size(), o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read it to go on behind its last line: %w", err), f.Close())
	}
	if why == "" {
		return opened, nil
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	aside, err := putAside(o.Path)
	if err != nil {
		return nil, err
	}
	o.Log.WarnContext(ctx, "registry.jsonl does not go with the registry: it was put aside and a new one begins",
		"file", o.Path, "why", why, "aside", aside, "hint", "queuemgr registry import can read it")
	return nil, nil
}

// read finds where the file ends, or why it is none of the registry's.
func read(f *os.File, size int64, o *Options) (opened *file, why string, err error) {
	whole, err := wholeLines(f, size)
	if err != nil {
		return nil, "", err
	}
	first, err := readLine(f, 0, whole)
	if err != nil {
		return nil, "", err
	}
	h, ok := parseHeader(first)
	if !ok {
		return nil, "it was not written by this program", nil
	}
	if h.RegistryID != o.Store.RegistryID() {
		return nil, "it belongs to another registry", nil
	}
	start, err := wholeLines(f, whole-1)
	if err != nil {
		return nil, "", err
	}
	last, err := readLine(f, start, whole)
	if err != nil {
		return nil, "", err
	}
	seq, ok := parseSeq(last)
	if !ok || seq < h.Seq {
		return nil, "its last line is damaged", nil
	}
	if seq > o.Store.Seq() {
		return nil, fmt.Sprintf("it goes up to change %d, the registry to %d", seq, o.Store.Seq()), nil
	}
	if whole < size {
		if err := f.Truncate(whole); err != nil {
			return nil, "", err
		}
		o.Log.Warn("a torn last line of registry.jsonl was cut off and is written again", "file", o.Path, "bytes", size-whole)
	}
	return &file{f: f, size: whole, limit: max(o.MaxBytes, 2*h.Bytes), seq: seq}, "", nil
}

func parseHeader(line []byte) (h header, ok bool) {
	err := json.Unmarshal(line, &h)
	return h, err == nil && h.Kind == snapshotKind
}

func parseSeq(line []byte) (seq uint64, ok bool) {
	c, err := job.ParseChange(line)
	return c.Seq, err == nil
}

// wholeLines returns how many of the first size bytes are whole lines.
func wholeLines(f io.ReaderAt, size int64) (int64, error) {
	block := make([]byte, 64<<10)
	for size > 0 {
		b := block[:min(size, int64(len(block)))]
		size -= int64(len(b))
		if _, err := f.ReadAt(b, size); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			return size + int64(i) + 1, nil
		}
	}
	return 0, nil
}

// readLine returns the line that begins at from, nil where there is none before the end.
func readLine(f io.ReaderAt, from, end int64) ([]byte, error) {
	var line []byte
	block := make([]byte, 64<<10)
	for from < end {
		b := block[:min(end-from, int64(len(block)))]
		if _, err := f.ReadAt(b, from); err != nil {
			return nil, err
		}
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			return append(line, b[:i]...), nil
		}
		line = append(line, b...)
		from += int64(len(b))
	}
	return line, nil
}

// putAside renames a file to the first free name Path.old, Path.old-2, …
func putAside(path string) (string, error) {
	for n := 1; ; n++ {
		aside := path + ".old"
		if n > 1 {
			aside = fmt.Sprintf("%s.old-%d", path, n)
		}
		// Link fails where the name is taken, which a rename would overwrite.
		err := os.Link(path, aside)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("put it aside: %w", err)
		}
		return aside, os.Remove(path)
	}
}

// startFile begins a new file with a snapshot of the registry and moves it into place when it is
// whole; the one before becomes Path.1. The changes after seq are to follow; where these are all
// there ever were, the snapshot is empty.
func startFile(ctx context.Context, o *Options, seq uint64) (_ *file, err error) {
	made := o.Path + ".new"
	f, err := os.OpenFile(made, os.O_CREATE|os.O_TRUNC|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			if rm := os.Remove(made); !errors.Is(rm, fs.ErrNotExist) {
				err = errors.Join(err, rm)
			}
		}
	}()
	if seq == 0 {
		err = writeHeader(f, o.Store, seq, o.Now())
	} else {
		err = writeSnapshot(ctx, o.Store, f, seq, o.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("write a snapshot: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if err := shift(o.Path, o.Keep); err != nil {
		return nil, fmt.Errorf("rotate: %w", err)
	}
	if err := os.Rename(made, o.Path); err != nil {
		return nil, err
	}
	if err := store.SyncDir(filepath.Dir(o.Path)); err != nil {
		return nil, err
	}
	return &file{f: f, size: info.Size(), limit: max(o.MaxBytes, 2*info.Size()), seq: seq}, nil
}

// rotatedSeq returns the last change of the file that was rotated last, where it is the registry's.
func rotatedSeq(o *Options) (seq uint64, ok bool) {
	f, err := os.Open(o.Path + ".1")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, false
	}
	rotated, why, err := read(f, info.Size(), o)
	if err != nil || why != "" {
		return 0, false
	}
	return rotated.seq, true
}

// shift renames Path to Path.1, Path.1 to Path.2 and so on; the last one is overwritten.
func shift(path string, keep int) error {
	name := func(n int) string {
		if n == 0 {
			return path
		}
		return fmt.Sprintf("%s.%d", path, n)
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for n := keep - 1; n >= 0; n-- {
		if err := os.Rename(name(n), name(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
