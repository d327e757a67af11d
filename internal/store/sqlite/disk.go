package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/job"
)

// disk watches the room on the registry's file system. Only the writer calls release,
// checkReserve and restore.
type disk struct {
	dir     string
	minFree int64 // bytes below which nothing is added; 0 = no floor
	ballast int64 // bytes kept in reserve for vital writes; 0 = none
	file    string
	log     *slog.Logger
	missing bool // the ballast is to be made when there is room
	failed  bool // the last try to make it did; said once
}

func newDisk(o *Options) *disk {
	return &disk{dir: filepath.Dir(o.Path), minFree: o.MinFree, ballast: o.Ballast, file: o.Path + "-ballast", log: o.Log, missing: o.Ballast > 0}
}

// free returns the bytes that may still be written.
func (d *disk) free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.dir, &st); err != nil {
		return 0, fmt.Errorf("read the free space of %s: %w", d.dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// checkFloor refuses additions when there is too little room.
func (d *disk) checkFloor() error {
	if d.minFree <= 0 {
		return nil
	}
	free, err := d.free()
	if err != nil || free >= d.minFree {
		return err
	}
	return d.exhausted("too little space is left", free, mebibytes(d.minFree)+" must stay free (setting min_free_space)", nil)
}

// full is the error for a write that found no room.
func (d *disk) full(cause error) error {
	free, err := d.free()
	if err != nil {
		return errors.Join(cause, err)
	}
	return d.exhausted("the disk is full", free, "too little to write, or a quota is used up", cause)
}

func (d *disk) exhausted(what string, free int64, why string, cause error) error {
	return &job.Error{Code: job.Exhausted, Message: fmt.Sprintf("%s: %s free in %s, %s", what, mebibytes(free), d.dir, why),
		Hint: "free some space there; it is noticed at once", Err: cause}
}

// mebibytes returns a size for people.
func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// refusesWrites tries whether there is room for a small file. Free space alone does not tell: a
// quota may be used up.
func (d *disk) refusesWrites() bool {
	f, err := os.CreateTemp(d.dir, "registry-room-*")
	if err == nil {
		_, err = f.Write(make([]byte, 64<<10))
		if err == nil {
			err = f.Sync() // some file systems only notice then
		}
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// release gives the ballast's room to a vital write and reports whether there was any.
func (d *disk) release() bool {
	if d.ballast <= 0 || d.missing {
		return false
	}
	if err := os.Remove(d.file); err != nil {
		d.log.Error("free the room kept in reserve", "file", d.file, "error", err)
		return false
	}
	d.missing = true
	d.log.Warn("the disk is full: the room kept in reserve is used to record what happens", "bytes", d.ballast)
	return true
}

// checkReserve refuses what is not vital while the ballast's room is in use and nothing else is left:
// what takes it then (claims, say) takes it from the ends that are to come.
func (d *disk) checkReserve() error {
	if !d.missing {
		return nil
	}
	if free, err := d.free(); err == nil && free <= d.ballast {
		return d.exhausted("the disk is full", free, mebibytes(d.ballast)+" are kept for recording what running jobs do", nil)
	}
	return nil
}

// restore makes the ballast when it is missing and there is room enough for it beside the floor.
func (d *disk) restore() {
	if !d.missing {
		return
	}
	free, err := d.free()
	if err != nil || free < d.minFree+2*d.ballast {
		return // tried again after the next write
	}
	if err := d.allocate(); err != nil {
		if !d.failed {
			d.log.Warn("can't keep room in reserve for recording exits on a full disk", "file", d.file, "bytes", d.ballast, "error", err)
		}
		d.failed = true
		return
	}
	d.missing, d.failed = false, false
}

func (d *disk) allocate() (err error) {
	f, err := os.OpenFile(d.file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			if rm := os.Remove(d.file); !errors.Is(rm, fs.ErrNotExist) {
				err = errors.Join(err, rm)
			}
		}
	}()
	err = unix.Fallocate(int(f.Fd()), 0, 0, d.ballast)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	// A file system without fallocate: only written blocks are room.
	block := make([]byte, 1<<16)
	for left := d.ballast; left > 0; left -= int64(len(block)) {
		if _, err := f.Write(block[:min(left, int64(len(block)))]); err != nil {
			return err
		}
	}
	return nil
}
