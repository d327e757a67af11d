package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	modernc "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// BackupOptions of Backup.
type BackupOptions struct {
	Path    string   // of the registry, which may be in use
	File    string   // that is made
	Replace bool     // File may be there
	Spare   []string // files that File must not be, beside the registry and what belongs to it

	copying func() // called in tests before the first page is copied
}

// BackedUp is what a backup holds.
type BackedUp struct {
	Jobs   int64 // on record, without deleted ones
	Bytes  int64
	NextID int64 // number of the next job
}

// Backup writes the registry as it is at one moment into a file of its own, beside a daemon that
// goes on writing or without one. The file is checked, on disk, and there only when it is whole.
// Errors: job.NotFound (registry, folder), job.Conflict (File is there), job.Invalid (File can't be
// one), job.Forbidden, job.Exhausted (space), job.Internal (damage).
func Backup(ctx context.Context, o BackupOptions) (done BackedUp, err error) {
	dir := filepath.Dir(o.File)
	if err := checkTarget(&o, dir); err != nil {
		return done, err
	}
	exists, err := inspect(ctx, o.Path)
	if err != nil {
		return done, err
	}
	if !exists {
		return done, &job.Error{Code: job.NotFound, Message: fmt.Sprintf("there is no registry %s", o.Path),
			Hint: "it is made when the daemon starts for the first time"}
	}
	f, err := os.CreateTemp(dir, filepath.Base(o.File)+".part-*") // 0600
	if err != nil {
		return done, targetError(dir, err)
	}
	part := f.Name()
	defer func() { err = errors.Join(err, removeAll(part)) }()
	if err := f.Close(); err != nil {
		return done, err
	}
	if done, err = copyRegistry(ctx, o.Path, part, o.copying); err != nil {
		return done, err
	}
	if err := checkCopy(ctx, o.Path, part); err != nil {
		return done, err
	}
	info, err := os.Stat(part)
	if err != nil {
		return done, err
	}
	done.Bytes = info.Size()
	return done, putInPlace(part, &o)
}

// checkTarget refuses what a backup must not become.
func checkTarget(o *BackupOptions, dir string) error {
	info, err := os.Lstat(o.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return targetError(dir, err)
	case !info.Mode().IsRegular():
		return &job.Error{Code: job.Invalid, Message: fmt.Sprintf("%s is no regular file", o.File), Hint: "name a file that is not there yet"}
	}
	if belongs(o.Path, o.File, dir) || namesAny(o.File, dir, o.Spare) {
		return &job.Error{Code: job.Invalid, Message: fmt.Sprintf("%s belongs to the service itself", o.File), Hint: "give the backup another name, best on another disk"}
	}
	if info != nil && !o.Replace {
		return taken(o.File)
	}
	return nil
}

func taken(file string) error {
	return &job.Error{Code: job.Conflict, Message: fmt.Sprintf("%s exists already", file), Hint: "choose another name, or replace it with --force"}
}

// companions are what stands behind a registry's name in the names of the files that belong to it,
// whether they are there at present or not.
var companions = []string{"", "-wal", "-shm", "-journal", "-ballast", newSuffix, newSuffix + "-wal", newSuffix + "-shm", restoring, restoring + "-wal", restoring + "-shm"}

// belongs reports whether file is the registry at path or one of its companions.
func belongs(path, file, dir string) bool {
	names := make([]string, len(companions))
	for i, c := range companions {
		names[i] = path + c
	}
	return namesAny(file, dir, names)
}

// namesAny reports whether file is one of others, by its folder and name or as the same file.
func namesAny(file, dir string, others []string) bool {
	for _, other := range others {
		if filepath.Base(file) == filepath.Base(other) && sameFile(dir, filepath.Dir(other)) || sameFile(file, other) {
			return true
		}
	}
	return false
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// targetError is the error for a backup's folder.
func targetError(dir string, err error) error {
	e := &job.Error{Code: job.Internal, Message: fmt.Sprintf("can't write into the folder %s: %v", dir, reason(err)), Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		e.Code, e.Message, e.Hint = job.NotFound, fmt.Sprintf("there is no folder %s", dir), "make it first, or choose another one"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		e.Code, e.Hint = job.Forbidden, "choose a folder that you may write to"
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		e.Code, e.Hint = job.Exhausted, "free some space there, or choose another folder"
	}
	return e
}

// reason is what the system says, without the name of a file that the message has already.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// pagesAtOnce is how much is copied before the context is asked again, in pages: 4 MiB.
const pagesAtOnce = 1024

// copyRegistry copies the registry at path over the empty file to and brings it to disk.
func copyRegistry(ctx context.Context, path, to string, copying func()) (done BackedUp, err error) {
	done, size, err := snapshot(ctx, path, to, copying)
	if err != nil {
		return done, err
	}
	if err := alone(ctx, to); err != nil {
		return done, copyError(path, to, size, err)
	}
	if err := syncFile(to); err != nil {
		return done, targetError(filepath.Dir(to), err)
	}
	return done, nil
}

// snapshot copies the pages of one state: it holds a read transaction, during which the log of a
// registry in use can't begin anew and grows. So nothing else is done in it, and pages are copied as
// they are: VACUUM INTO takes half as long again.
func snapshot(ctx context.Context, path, to string, copying func()) (done BackedUp, size int64, err error) {
	db, err := openDB(path, reading)
	if err != nil {
		return done, size, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	c, err := db.Conn(ctx)
	if err != nil {
		return done, size, copyError(path, to, 0, err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if _, err := c.ExecContext(ctx, "BEGIN"); err != nil {
		return done, size, copyError(path, to, 0, err)
	}
	defer func() {
		_, end := c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		err = errors.Join(err, end)
	}()
	err = c.QueryRowContext(ctx, `SELECT next_job, (SELECT coalesce(sum(n), 0) FROM counters WHERE state <> 'deleted'), page_count * page_size
		FROM registry, pragma_page_count, pragma_page_size`).Scan(&done.NextID, &done.Jobs, &size)
	if err != nil {
		return done, size, copyError(path, to, 0, fmt.Errorf("read the registry's state: %w", err))
	}
	if free, err := (&disk{dir: filepath.Dir(to)}).free(); err == nil && free < size {
		return done, size, noRoom(to, size, nil)
	}
	if copying != nil {
		copying()
	}
	if err := c.Raw(func(dc any) error { return copyPages(ctx, dc, to) }); err != nil {
		return done, size, copyError(path, to, size, err)
	}
	return done, size, nil
}

// copyPages copies a connection's database.
func copyPages(ctx context.Context, dc any, to string) (err error) {
	source, ok := dc.(interface {
		NewBackup(string) (*modernc.Backup, error)
	})
	if !ok {
		return fmt.Errorf("the SQLite driver's %T makes no backups", dc)
	}
	// No journal and no syncing: a copy that does not get done is thrown away.
	b, err := source.NewBackup(dsn(to, "mode=rw&_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Finish()) }()
	for {
		if more, err := b.Step(pagesAtOnce); err != nil || !more {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// alone makes of a database one file that needs no log beside it, so that it can be read where
// nothing may be written. It fails with SQLITE_BUSY while somebody else has the database open.
func alone(ctx context.Context, path string) (err error) {
	db, err := openDB(path, "mode=rw&_pragma=busy_timeout(5000)&_pragma=temp_store(2)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode); err != nil {
		return err
	}
	if mode != "delete" {
		return fmt.Errorf("take in the log of %s: its journal mode stays %s", path, mode)
	}
	return nil
}

func syncFile(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}

// copyError explains why the registry at path can't be copied to a file of size bytes.
func copyError(path, to string, size int64, err error) error {
	var known *job.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	dir := filepath.Dir(to)
	target := &disk{dir: dir}
	if target.isFull(err) {
		return noRoom(to, size, err)
	}
	if e := (*modernc.Error)(nil); errors.As(err, &e) && (e.Code() == lib.SQLITE_IOERR_WRITE || e.Code() == lib.SQLITE_IOERR_TRUNCATE) {
		return &job.Error{Code: job.Internal, Message: fmt.Sprintf("can't write into the folder %s: %v", dir, err), Hint: "choose another disk", Err: err}
	}
	return (&Store{o: Options{Path: path}, disk: target}).explain(fmt.Errorf("copy the registry %s: %w", path, err))
}

func noRoom(to string, size int64, cause error) error {
	free, err := (&disk{dir: filepath.Dir(to)}).free()
	return &job.Error{Code: job.Exhausted, Message: fmt.Sprintf("no room in %s: the copy takes %s, %s are free", filepath.Dir(to), mebibytes(size), mebibytes(free)),
		Hint: "free some space there, or choose another disk", Err: errors.Join(cause, err)}
}

// checkCopy looks through the whole copy of the registry at path.
func checkCopy(ctx context.Context, path, copied string) error {
	problems, err := integrity(ctx, copied)
	if err != nil && resultCode(err) != lib.SQLITE_CORRUPT {
		return fmt.Errorf("check the copy of %s: %w", path, err)
	}
	if err != nil || len(problems) > 0 {
		return damaged(path, errors.Join(errors.New("its copy is not sound: "+strings.Join(problems, "; ")), err))
	}
	return nil
}

// integrity returns what is wrong with the pages of a database.
func integrity(ctx context.Context, path string) (problems []string, err error) {
	db, err := openDB(path, reading)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	return checkOne(ctx, tx, "PRAGMA integrity_check(3)")
}

// putInPlace gives a backup its name.
func putInPlace(part string, o *BackupOptions) error {
	dir := filepath.Dir(o.File)
	err := error(unix.EINVAL)
	if !o.Replace {
		err = unix.Renameat2(unix.AT_FDCWD, part, unix.AT_FDCWD, o.File, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EEXIST) { // made meanwhile
			return taken(o.File)
		}
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // a file system that can't refuse
		err = os.Rename(part, o.File)
	}
	if err != nil {
		return targetError(dir, err)
	}
	return store.SyncDir(dir)
}

// removeAll removes a database that is not wanted, where it is there.
func removeAll(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
