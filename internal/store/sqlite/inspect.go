package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	lib "modernc.org/sqlite/lib"

	"github.com/queuemgr/queuemgr/internal/regular"
	"github.com/queuemgr/queuemgr/job"
)

// quickCheckBytes is the largest file that is checked as a whole at every start: it takes 1.5 ms a
// MiB, more where the disk is slow, and starting shall take well under a second. What is wrong in
// a larger one shows when its page is read, and in `registry check`.
const quickCheckBytes = 64 << 20

// inspect refuses a file that is not a sound registry. It opens it for reading only and so changes
// nothing. It reports whether there is a file at all.
func inspect(ctx context.Context, path string) (exists bool, err error) {
	f, info, err := regular.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, checkNoRest(path)
	}
	if errors.Is(err, regular.ErrKind) {
		return true, notRegular(path, err)
	}
	if err != nil {
		return false, &job.Error{Code: job.Internal, Message: fmt.Sprintf("can't open the registry %s: %v", path, err),
			Hint: "it must belong to the user of the daemon", Err: err}
	}
	defer f.Close()
	wal := hasContent(path + "-wal")
	if err := checkHeader(f, info.Size(), wal); err != nil {
		return true, damaged(path, err)
	}
	if info.Size() <= quickCheckBytes {
		return true, quickCheck(ctx, path)
	}
	return true, nil
}

// notRegular refuses what would hold whoever opens it.
func notRegular(path string, err error) error {
	return &job.Error{Code: job.Internal, Message: fmt.Sprintf("the registry %s is no regular file", path), Hint: "move it away", Err: err}
}

// glancing is how a connection reads beside whatever is at work: it takes no lock, and makes and touches no file. It
// does not see what stands in the write-ahead log alone, which the schema never does for long.
const glancing = "mode=ro&immutable=1&_pragma=query_only(1)"

// Glance reads a registry's header and the version of its schema, and which one this program knows. It is cheap, and
// does not look at the records: Check does.
func Glance(ctx context.Context, path string) (schema, knows int64, err error) {
	f, info, err := regular.Open(path)
	if errors.Is(err, regular.ErrKind) {
		return 0, 0, notRegular(path, err)
	}
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	if err := checkHeader(f, info.Size(), hasContent(path+"-wal")); err != nil {
		return 0, 0, damaged(path, err)
	}
	if knows, err = newestSchema(nil); err != nil {
		return 0, 0, err
	}
	schema, err = schemaBy(ctx, path, glancing)
	switch resultCode(err) {
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB, lib.SQLITE_ERROR: // the last: the table is not there
		err = damaged(path, err)
	}
	return schema, knows, err
}

// checkNoRest refuses to begin anew beside the write-ahead log of a registry that is gone: SQLite
// would throw it away. It also refuses where a restore was cut off that had to move a damaged one away.
func checkNoRest(path string) error {
	if hasContent(path + restoring) {
		return &job.Error{Code: job.Internal, Message: fmt.Sprintf("the registry %s is missing: a restore was cut off before its last step", path),
			Hint: "say it again: queuemgr registry restore FILE; what was there before is in " + path + ".replaced-1 or the highest such number"}
	}
	if !hasContent(path + "-wal") {
		return nil
	}
	return &job.Error{Code: job.Internal, Message: fmt.Sprintf("the registry %s is missing, but its log %s-wal is there; nothing was changed", path, path),
		Hint: "put registry.db back beside it, or move the log away and rebuild: queuemgr registry import " + journalOf(path)}
}

func hasContent(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0
}

// checkHeader reads SQLite's 100-byte header (https://www.sqlite.org/fileformat.html#the_database_header).
func checkHeader(r io.Reader, size int64, wal bool) error {
	var h [100]byte
	if n, err := io.ReadFull(r, h[:]); err != nil {
		return fmt.Errorf("it is only %d bytes long", n)
	}
	if string(h[:16]) != "SQLite format 3\x00" {
		return errors.New("it is no SQLite database")
	}
	if id := binary.BigEndian.Uint32(h[68:]); id != applicationID {
		return fmt.Errorf("it is a database of another program (application id %#x)", id)
	}
	pageSize := int64(binary.BigEndian.Uint16(h[16:]))
	if pageSize == 1 {
		pageSize = 1 << 16
	}
	// With a write-ahead log the file may still be shorter than the database is.
	if pages := int64(binary.BigEndian.Uint32(h[28:])); !wal && size < pages*pageSize {
		return fmt.Errorf("it is cut off: %d of %d bytes are there", size, pages*pageSize)
	}
	return nil
}

// quickCheck looks through all pages.
func quickCheck(ctx context.Context, path string) (err error) {
	db, err := openDB(path, reading)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return damaged(path, fmt.Errorf("%w: %s", errQuickCheck, found))
	}
	return nil
}
