package sqlite

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// walRoom is a little more than what the write-ahead log holds when it is taken into the database
// and begun anew, in bytes.
const walRoom = 18 << 20

// prepareLog writes zeros behind the end of the write-ahead log up to walRoom, where the disk has
// that much above its floor. A commit that makes the file longer has to wait for the file system to
// record its new blocks and size as well, which takes nearly twice as long as overwriting. Zeros
// are what SQLite passes over after a crash as it does over any frame that is not of this log.
//
// To be called while nobody writes to the log. Closing the file is no harm, as SQLite's locks are on
// the database and its -shm file.
func (d *disk) prepareLog(path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	if free, err := d.free(); err != nil || free < d.minFree+walRoom-end {
		return err // it grows as it is needed
	}
	zeros := make([]byte, 1<<18)
	for at := end; at < walRoom; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), walRoom-at)], at); err != nil {
			return errors.Join(err, f.Truncate(end))
		}
	}
	return unix.Fdatasync(int(f.Fd()))
}
