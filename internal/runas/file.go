package runas

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// file is what a file says, read again only when the file has changed.
type file[T any] struct {
	path     string
	noFollow bool // a symbolic link is an error
	missing  T    // what holds without the file
	read     func(f *os.File, info fs.FileInfo) (T, error)

	known identity
	value T
	err   error
}

// identity tells one content of a file from another as far as that can be told without reading. Its
// zero value is that of no file.
type identity struct {
	dev, ino     uint64
	mode, uid    uint32
	size         int64
	mtime, ctime syscall.Timespec
}

// settled is how old a change must be for a later one to have another time for certain.
const settled = 2 * time.Second

// get returns what the file says at now.
func (f *file[T]) get(now time.Time) (T, error) {
	stat := os.Stat
	flags := os.O_RDONLY | syscall.O_NONBLOCK // a pipe in its place must not hold us
	if f.noFollow {
		stat = os.Lstat
		flags |= syscall.O_NOFOLLOW
	}
	info, err := stat(f.path)
	if err == nil && f.known != (identity{}) && identityOf(info) == f.known {
		return f.value, f.err
	}
	f.known = identity{}
	if errors.Is(err, fs.ErrNotExist) {
		return f.missing, nil
	}
	var none T
	if err != nil {
		return none, err
	}
	if f.noFollow && info.Mode().Type() == fs.ModeSymlink {
		return none, errors.New(f.path + " is a symbolic link: put the file itself there")
	}
	open, err := os.OpenFile(f.path, flags, 0)
	if err != nil {
		return none, err
	}
	defer func() { _ = open.Close() }() // only read
	if info, err = open.Stat(); err != nil {
		return none, err
	}
	f.value, f.err = f.read(open, info)
	// Of a file that is being changed right now a part may have been read.
	if id := identityOf(info); now.Sub(time.Unix(id.ctime.Unix())) > settled {
		f.known = id
	}
	return f.value, f.err
}

func identityOf(info fs.FileInfo) identity {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}
	}
	return identity{dev: st.Dev, ino: st.Ino, mode: st.Mode, uid: st.Uid, size: st.Size, mtime: st.Mtim, ctime: st.Ctim}
}
