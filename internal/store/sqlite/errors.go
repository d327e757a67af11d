package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	modernc "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/queuemgr/queuemgr/job"
)

// resultCode returns SQLite's primary result code of err, 0 where it is not SQLite's.
func resultCode(err error) int {
	if e := (*modernc.Error)(nil); errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// isFull reports whether a write failed for want of room: for the database, its log, or the log's
// index. A quota that is used up is an I/O error to SQLite like any other, so the disk is asked.
func (d *disk) isFull(err error) bool {
	e := (*modernc.Error)(nil)
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() {
	case lib.SQLITE_IOERR_SHMSIZE:
		return true
	case lib.SQLITE_IOERR_WRITE, lib.SQLITE_IOERR_FSYNC:
		return d.refusesWrites()
	}
	return e.Code()&0xff == lib.SQLITE_FULL
}

// explain makes of an error one that a user can act on. What is a *job.Error already, or the end
// of a context, stays.
func (s *Store) explain(err error) error {
	if e := (*job.Error)(nil); errors.As(err, &e) {
		return err
	}
	switch resultCode(err) {
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return damaged(s.o.Path, err)
	case lib.SQLITE_READONLY, lib.SQLITE_PERM, lib.SQLITE_CANTOPEN:
		return &job.Error{Code: job.Internal, Message: fmt.Sprintf("the registry %s can't be opened or written: %v", s.o.Path, err),
			Hint: "the file and its folder must belong to the user of the daemon", Err: err}
	case lib.SQLITE_BUSY:
		return &job.Error{Code: job.Unavailable, Message: fmt.Sprintf("another program holds the registry %s: %v", s.o.Path, err),
			Hint: "end it, or wait until it is done", Err: err}
	}
	if s.disk.isFull(err) {
		return s.disk.full(err)
	}
	return err
}

// journalOf is where registry.jsonl is when the setting registry_path does not say otherwise.
func journalOf(path string) string { return filepath.Join(filepath.Dir(path), "registry.jsonl") }

// errQuickCheck is what SQLite finds when it looks through a database.
var errQuickCheck = errors.New("quick check")

// firstLine is an error without what it repeats for each page.
func firstLine(err error) string {
	text, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "quick check: "), "*** in database main ***\n"), "\n")
	return text
}

// damaged is the error for a registry that must not be used. Nothing is repaired or replaced
// without being asked: the file is the evidence, and perhaps most of it can still be read.
func damaged(path string, err error) error {
	var why any = err
	if code := resultCode(err); code != 0 || errors.Is(err, errQuickCheck) {
		why = "what it holds does not fit together (SQLite: " + firstLine(err) + ")"
	}
	return &job.Error{Code: job.Internal, Message: fmt.Sprintf("the registry %s is damaged: %v; nothing was changed", path, why),
		Hint: "move it away, with its -wal file, and rebuild it: queuemgr registry import " + journalOf(path), Err: err}
}
