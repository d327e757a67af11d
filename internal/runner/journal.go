package runner

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Journal is the runner's durable memory; see DESIGN.md. One goroutine uses it.
type Journal struct {
	path      string
	log       *slog.Logger
	f         *os.File
	size      int64 // of whole, good records
	reserved  int64 // file offset up to which room is allocated
	noReserve bool  // the file system cannot reserve
	rewriteAt int64 // size at which a rewrite is worth a thought
	header    header
	found     []*runRecord // at open; taken by the core
}

const (
	// rewriteSize is the size in bytes below which the journal is never rewritten.
	rewriteSize = 8 << 20
	// reserveSize in bytes is kept allocated ahead of the end, so that ends of runs can be
	// recorded on a full disk.
	reserveSize = 1 << 20
)

// OpenJournal opens or makes the journal at path for the machine's present boot. What is damaged
// in it is put aside beside it, and the journal gets a new identity, because evidence may be gone.
func OpenJournal(path, version, bootID string, log *slog.Logger) (*Journal, error) {
	j := &Journal{path: path, log: log, rewriteAt: rewriteSize}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open runner journal: %w", err)
	}
	j.f = f
	p, err := replay(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	j.header, j.found = p.header, p.live()
	if len(p.cut) > 0 {
		if err := j.putAside(p.cut); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	if j.header.BootID == "" {
		j.header.BootID = bootID
	}
	j.header.Version = version
	if !p.intact {
		if err := j.Rewrite(j.found, true); err != nil {
			return nil, errors.Join(err, j.f.Close())
		}
		return j, nil
	}
	if j.size, err = f.Seek(0, io.SeekEnd); err != nil {
		return nil, errors.Join(fmt.Errorf("open runner journal: %w", err), f.Close())
	}
	return j, nil
}

// putAside keeps damaged bytes for who wants to look at them.
func (j *Journal) putAside(cut []byte) error {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.torn-%d", j.path, n)
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("keep the damaged part of the runner journal: %w", err)
		}
		_, err = f.Write(cut)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("keep the damaged part of the runner journal: %w", err)
		}
		j.log.Warn("the runner journal was damaged; the readable rest is kept",
			"journal", j.path, "bytes", len(cut), "kept_in", name)
		return nil
	}
}

// reserve makes sure that n bytes fit and the reserve is still there after them.
func (j *Journal) reserve(n int) error {
	want := j.size + int64(n) + reserveSize
	if j.noReserve || want <= j.reserved {
		return nil
	}
	reserved, err := j.allocate(j.f, j.size, want+reserveSize)
	if err == nil {
		j.reserved = reserved
	}
	return err
}

// allocate takes room for f up to the offset to and returns up to where it has some.
func (j *Journal) allocate(f *os.File, from, to int64) (int64, error) {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, from, to-from)
	switch {
	case err == nil:
		return to, nil
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		j.noReserve = true
		return 0, nil
	}
	return 0, fmt.Errorf("reserve room in the runner journal: %w", err)
}

// write appends whole records with one write(2). After an error nothing of them is in the file.
func (j *Journal) write(records []byte) error {
	n, err := unix.Pwrite(int(j.f.Fd()), records, j.size)
	if err == nil && n < len(records) {
		err = unix.ENOSPC // a short write to a file means that it is full
	}
	if err != nil {
		err = fmt.Errorf("write runner journal: %w", err)
		if n > 0 {
			// Half a record must not stay between good ones.
			if terr := j.f.Truncate(j.size); terr != nil {
				err = errors.Join(err, terr)
			}
			j.reserved = 0
		}
		return err
	}
	j.size += int64(n)
	return nil
}

// sync makes what was written survive a power loss.
func (j *Journal) sync() error {
	if err := unix.Fdatasync(int(j.f.Fd())); err != nil {
		return fmt.Errorf("sync runner journal: %w", err)
	}
	return nil
}

// Rewrite replaces the file by one with only what is alive. newID gives it a new identity.
func (j *Journal) Rewrite(live []*runRecord, newID bool) error {
	h := j.header
	if newID {
		h.Journal = newJournalID()
	}
	buf, err := appendRecord(nil, record{Header: &h})
	if err != nil {
		return err
	}
	for _, run := range live {
		if buf, err = appendRun(buf, run); err != nil {
			return err
		}
	}
	var reserved int64
	f, err := replaceFile(j.path, buf, func(f *os.File) error {
		var err error
		size := int64(len(buf))
		reserved, err = j.allocate(f, size, size+2*reserveSize)
		if newID && err != nil {
			// Without its new identity the journal would lie; starts will be refused.
			j.log.Warn("no room is kept for the ends of runs", "error", err)
			return nil
		}
		return err // the old file stays, and its reserve
	})
	if err != nil {
		return fmt.Errorf("rewrite runner journal: %w", err)
	}
	if err := syncDir(filepath.Dir(j.path)); err != nil {
		// The new file is in place for every later process; only a power loss could bring the old
		// one back, and the boot id tells that.
		j.log.Warn("sync the directory of the runner journal", "error", err)
	}
	old := j.f
	j.f, j.header = f, h
	j.size, j.reserved = int64(len(buf)), reserved
	j.rewriteAt = max(rewriteSize, 2*j.size)
	if err := old.Close(); err != nil { // replaced: nothing of it is needed
		j.log.Warn("close the replaced runner journal", "error", err)
	}
	return nil
}

// replaceFile puts a file with content in place of path and returns it open for writing, if room
// agrees to what is about to be the file.
func replaceFile(path string, content []byte, room func(*os.File) error) (*os.File, error) {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err = f.Chmod(0o600); err == nil { // the umask may be a job's at this moment
		_, err = f.Write(content)
	}
	if err == nil {
		err = room(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(tmp))
	}
	return f, nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Close syncs and closes the file.
func (j *Journal) Close() error { return errors.Join(j.sync(), j.f.Close()) }

// newJournalID returns 16 random bytes in hex.
func newJournalID() string {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand.Read never returns an error
	}
	return hex.EncodeToString(b[:])
}
