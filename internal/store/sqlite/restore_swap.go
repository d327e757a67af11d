package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	lib "modernc.org/sqlite/lib"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// swap puts what was readied in the registry's place and keeps the one before.
//
//	readable   its log is taken in; a second name; the rename of the new one over the first name
//	damaged    renamed away, then its log; the rename of the new one
//
// In the second case there is no registry for a moment. Should it end there, a daemon refuses to
// begin an empty one, since what was readied is there (checkNoRest), and the restore can be said again.
func (r *restore) swap(ctx context.Context) error {
	path, dir := r.o.Path, filepath.Dir(r.o.Path)
	whole := r.before.exists && r.before.unread == nil
	if whole {
		err := alone(ctx, path)
		switch resultCode(err) {
		case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
			whole, r.done.Unread = false, err.Error()
		case lib.SQLITE_BUSY:
			return errors.Join(&job.Error{Code: job.WrongState, Message: fmt.Sprintf("another program reads the registry %s; nothing was changed", path),
				Hint: "wait until it is done (registry export, check or backup?), and say this again", Err: err}, removeAll(r.made))
		default:
			if err != nil {
				return errors.Join((&Store{o: Options{Path: path}, disk: &disk{dir: dir}}).explain(err), removeAll(r.made))
			}
		}
		r.o.at("taken in")
	}
	aside, err := asideName(path)
	if err != nil {
		return errors.Join(err, removeAll(r.made))
	}
	if whole {
		err = r.keepWhole(aside)
	} else {
		err = r.keepDamaged(aside)
	}
	if err != nil {
		return fmt.Errorf("keep the present registry as %s: %w", aside, err)
	}
	r.o.at("kept")
	if err := os.Rename(r.made, path); err != nil {
		return fmt.Errorf("put the backup in place: %w", err)
	}
	r.o.at("replaced")
	return store.SyncDir(dir)
}

// keepWhole gives the registry, which is one file, a second name.
func (r *restore) keepWhole(aside string) error {
	r.done.Replaced = aside
	// A restore that was cut off may have given it already.
	if !sameFile(r.o.Path, aside) {
		if err := os.Link(r.o.Path, aside); err != nil {
			return err
		}
	}
	return store.SyncDir(filepath.Dir(aside))
}

// keepDamaged renames what there is of a registry. The log goes last: without its registry it is
// refused, while the registry without its log might be taken for whole.
func (r *restore) keepDamaged(aside string) error {
	for _, suffix := range []string{"", "-wal"} {
		err := os.Rename(r.o.Path+suffix, aside+suffix)
		if err == nil {
			r.done.Replaced = aside
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := store.SyncDir(filepath.Dir(aside)); err != nil {
			return err
		}
		r.o.at("moved " + suffix)
	}
	if err := os.Remove(r.o.Path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// asideName returns the first free name path.replaced-N, or the one that path has already.
func asideName(path string) (string, error) {
	for n := 1; ; n++ {
		aside := fmt.Sprintf("%s.replaced-%d", path, n)
		if sameFile(path, aside) {
			return aside, nil
		}
		free := true
		for _, suffix := range []string{"", "-wal"} {
			if _, err := os.Lstat(aside + suffix); err == nil {
				free = false
			} else if !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
		if free {
			return aside, nil
		}
	}
}
