// Package regular opens files that others may have put there: a pipe or a device in the place of a file would hold
// for ever whoever opens it as one.
package regular

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrKind is why a file is not read: it is a pipe, a folder, a device or a socket.
var ErrKind = errors.New("it is no regular file")

// Open opens a regular file for reading.
func Open(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0) // a pipe does not wait for who writes
	if errors.Is(err, syscall.ENXIO) {
		return nil, nil, &fs.PathError{Op: "open", Path: path, Err: ErrKind} // a socket
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat() // of what was opened: the name may be another's by now
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrKind}
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// ReadFile reads a regular file.
func ReadFile(path string) ([]byte, error) {
	f, _, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return io.ReadAll(f)
}
