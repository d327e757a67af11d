package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/queuemgr/queuemgr/job"
)

// restoring ends the name of a registry that is about to replace the present one.
const restoring = ".restoring"

// Numbers are those that were given out and are never used again.
type Numbers struct {
	NextID int64  // the next job's
	Seq    uint64 // the last change's
}

// RestoreOptions of Restore.
type RestoreOptions struct {
	Path string // of the registry that is replaced; there need be none. Nobody else may write it.
	File string // a backup
	// Journal says what numbers the registry's readable journal knows. It is asked where the present
	// registry can't tell, and may be nil.
	Journal func() (Numbers, error)
	// Orphan lets the backup replace a registry with live jobs that the backup knows nothing of.
	Orphan bool
	Now    time.Time
	Log    *slog.Logger

	at         func(step string) // called in tests between two steps
	migrations fs.FS             // as in Options
}

// Restored says what a restore did.
type Restored struct {
	Jobs      int64       // on record, without deleted ones
	Held      []job.Range // jobs that waited when the backup was made: they may have run since
	HeldJobs  int64       // how many those are
	Live      int64       // live when the backup was made: re-attaching to the runner decides
	NextID    int64       // number of the next job
	Tokens    int64       // how many the backup has: none is restored, nor any login
	OldSchema int64       // of the backup, where it was brought up to date; 0 = it was
	Replaced  string      // where the registry before is kept; "" = there was none
	Unread    string      // why the registry before could not be read; "" = it could, or was not there
	Unknown   string      // why numbers given out after the backup may come again; "" = they don't
}

// Restore puts a backup in the place of the registry. It is checked, brought up to this program's
// schema and readied under another name, and then takes the registry's name in one step; the one
// before is kept beside as Path.replaced-N. However it is cut off, the one or the other is there.
//
// The backup gets an identity of its own, because its history forks: changes after the backup are on
// record elsewhere (registry.jsonl, clients that follow) under numbers that must not come again.
// Errors: job.NotFound, job.Forbidden, job.Invalid (File is no sound backup), job.WrongState (live
// jobs, another program reads the registry), job.Exhausted (space), job.Internal (newer schema).
func Restore(ctx context.Context, o RestoreOptions) (done Restored, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.at == nil {
		o.at = func(string) {}
	}
	if err := checkBackup(&o); err != nil {
		return done, err
	}
	before, err := readPresent(ctx, o.Path)
	if err != nil {
		return done, err
	}
	r := &restore{o: o, made: o.Path + restoring, before: before}
	if err := removeAll(r.made); err != nil {
		return done, fmt.Errorf("remove what an earlier restore has left: %w", err)
	}
	o.at("begun")
	if err := r.prepare(ctx); err != nil {
		return done, errors.Join(err, removeAll(r.made))
	}
	o.at("prepared")
	if err := ctx.Err(); err != nil {
		return done, errors.Join(err, removeAll(r.made))
	}
	// From here on it is carried through: no context cuts it off between two steps.
	if err := r.swap(context.WithoutCancel(ctx)); err != nil {
		return done, err
	}
	return r.done, nil
}

// restore is one restore.
type restore struct {
	o      RestoreOptions
	made   string // the backup's copy that is readied
	before present
	done   Restored
}

// checkBackup refuses a file that can't be a backup, as far as its beginning tells.
func checkBackup(o *RestoreOptions) error {
	f, err := os.Open(o.File)
	if err != nil {
		e := &job.Error{Code: job.Internal, Field: "file", Message: fmt.Sprintf("can't open the backup %s: %v", o.File, reason(err)), Err: err}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			e.Code, e.Hint = job.NotFound, "name a file that queuemgr registry backup has made"
		case errors.Is(err, fs.ErrPermission):
			e.Code, e.Hint = job.Forbidden, "run this as a user who may read it"
		}
		return e
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("inspect the backup %s: %w", o.File, err)
	case !info.Mode().IsRegular():
		return badBackup(o.File, errors.New("it is no regular file"))
	case belongs(o.Path, o.File, filepath.Dir(o.File)):
		return badBackup(o.File, errors.New("it is the registry itself, or belongs to it"))
	case hasContent(o.File + "-wal"):
		return badBackup(o.File, fmt.Errorf("%s-wal stands beside it, so it is a registry in use, or one that was not closed", o.File))
	}
	if err := checkHeader(f, info.Size(), false); err != nil {
		return badBackup(o.File, err)
	}
	return nil
}

func badBackup(file string, err error) error {
	return &job.Error{Code: job.Invalid, Field: "file", Message: fmt.Sprintf("%s is no sound backup of a registry: %v; nothing was changed", file, err),
		Hint: "name a file that queuemgr registry backup has made; lines of JSON are for queuemgr registry import", Err: err}
}

// present is the registry that is to be replaced.
type present struct {
	exists bool
	unread error // why it can't be read: it is damaged
	Numbers
	epoch uint64
	live  map[int64]string // run ids of the live jobs
}

// readPresent reads what must outlive the registry at path. That it is damaged is no error.
func readPresent(ctx context.Context, path string) (p present, err error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Its log alone can't be read, and must not be taken for the backup's.
		if hasContent(path + "-wal") {
			p.unread = errors.New("it is missing, only its log is there")
		}
		return p, nil
	case err != nil:
		return p, &job.Error{Code: job.Forbidden, Message: fmt.Sprintf("can't open the registry %s: %v", path, reason(err)),
			Hint: "run this as the user of the daemon, or as root", Err: err}
	}
	if err := f.Close(); err != nil {
		return p, err
	}
	p.exists = true
	if _, p.unread = inspect(ctx, path); p.unread != nil {
		return p, ctx.Err()
	}
	if err := p.read(ctx, path); err != nil {
		switch resultCode(err) {
		case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB, lib.SQLITE_ERROR: // the last: its tables are not ours
			p.unread = err
		default:
			return p, (&Store{o: Options{Path: path}, disk: &disk{dir: filepath.Dir(path)}}).explain(fmt.Errorf("read the registry %s: %w", path, err))
		}
	}
	return p, nil
}

const liveStates = "('starting', 'running', 'paused', 'stopping')"

func (p *present) read(ctx context.Context, path string) (err error) {
	db, err := openDB(path, reading)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.QueryRowContext(ctx, "SELECT next_job, last_seq, epoch FROM registry").Scan(&p.NextID, &p.Seq, &p.epoch); err != nil {
		return err
	}
	rows, err := db.QueryContext(ctx, "SELECT id, coalesce(doc ->> '$.run_id', '') FROM jobs WHERE state IN "+liveStates)
	if err != nil {
		return err
	}
	defer rows.Close()
	p.live = map[int64]string{}
	for rows.Next() {
		var id int64
		var run string
		if err := rows.Scan(&id, &run); err != nil {
			return err
		}
		p.live[id] = run
	}
	return rows.Err()
}

// copyIn copies the backup to the name under which it is readied, for whom the registry's folder
// belongs to: root may restore what another user's daemon opens.
func (r *restore) copyIn() (err error) {
	in, err := os.Open(r.o.File)
	if err != nil {
		return err
	}
	defer in.Close()
	dir := filepath.Dir(r.made)
	out, err := os.OpenFile(r.made, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return targetError(dir, err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := giveToOwner(out, dir); err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return targetError(dir, err)
	}
	return out.Sync()
}
