package jobs

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/jobtype"
)

// tree is a source: a folder with what is in it, or a file or link alone.
type tree struct {
	source  string   // absolute
	base    string   // its last name
	root    *os.Root // the folder, or the one that holds the file: nothing outside it is read, whatever links say
	entries []entry
	files   int
	links   int
	bytes   int64
	summed  bool // each file's sum is known
}

// entry is a file, link or folder of a tree. A folder comes before what is in it.
type entry struct {
	path string // below the root, "." = the folder itself
	info fs.FileInfo
	link string // where a link leads
	sum  [sha256.Size]byte
}

func (t *tree) isDir() bool { return t.entries[0].path == "." }

func openTree(ctx context.Context, source string) (*tree, error) {
	absolute, err := filepath.Abs(source)
	if err != nil {
		return nil, err
	}
	info, err := os.Lstat(absolute)
	if err != nil {
		return nil, jobtype.NoRetry(fmt.Errorf("a source is not there: %w", err))
	}
	t := &tree{source: absolute, base: filepath.Base(absolute)}
	at, below := absolute, "."
	if !info.IsDir() {
		at, below = filepath.Dir(absolute), t.base
	}
	if t.root, err = os.OpenRoot(at); err != nil {
		return nil, err
	}
	err = fs.WalkDir(t.root.FS(), below, func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		return t.add(path)
	})
	if err != nil {
		return nil, errors.Join(err, t.root.Close())
	}
	return t, nil
}

func (t *tree) add(path string) error {
	info, err := t.root.Lstat(path)
	if err != nil {
		return err
	}
	e := entry{path: path, info: info}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		t.files++
		t.bytes += info.Size()
	case mode&fs.ModeSymlink != 0:
		t.links++
		if e.link, err = t.root.Readlink(path); err != nil {
			return err
		}
	case !mode.IsDir():
		return jobtype.NoRetry(fmt.Errorf("%s is no file, link or folder: leave it out of the sources", filepath.Join(t.root.Name(), path)))
	}
	t.entries = append(t.entries, e)
	return nil
}

// read reads a file, into out too where there is one, and notes its sum. A file that has another size
// than when it was looked at is an error: nobody knows what was read.
func (f *Files) read(ctx context.Context, t *tree, e *entry, out io.Writer) error {
	f.jot.seen++
	in, err := t.root.OpenFile(e.path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	sum := sha256.New()
	writers := []io.Writer{sum}
	if out != nil {
		writers = append(writers, out)
	}
	n, err := io.Copy(io.MultiWriter(writers...), io.LimitReader(&reader{ctx, in, f.jot}, e.info.Size()))
	if err != nil {
		return err
	}
	var more [1]byte
	if rest, err := in.Read(more[:]); n != e.info.Size() || rest > 0 || err != io.EOF {
		return fmt.Errorf("%s changed while it was read", filepath.Join(t.root.Name(), e.path))
	}
	sum.Sum(e.sum[:0])
	return nil
}

// reader ends with its context, and tells what it has read.
type reader struct {
	ctx context.Context
	io.Reader
	jot *meter
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(b)
	r.jot.add(int64(n))
	return n, err
}

// copyTree makes a copy of t under the name target.
func (f *Files) copyTree(ctx context.Context, t *tree, target string) (err error) {
	made, err := f.partial(target)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeTree(made))
		}
	}()
	place := func(e *entry) string {
		if t.isDir() {
			return filepath.Join(made, e.path)
		}
		return made
	}
	for i := range t.entries {
		e := &t.entries[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		switch mode := e.info.Mode(); {
		case mode.IsDir():
			err = os.Mkdir(place(e), 0o700)
		case mode.IsRegular():
			if err = f.copyFile(ctx, t, e, place(e)); err == nil {
				err = dress(place(e), e.info)
			}
		default:
			if err = os.Symlink(e.link, place(e)); err == nil {
				err = own(place(e), e.info)
			}
		}
		if err != nil {
			return err
		}
	}
	t.summed = true
	for i := len(t.entries) - 1; i >= 0; i-- { // a folder that is not writable gets so when it is full
		if e := &t.entries[i]; e.info.IsDir() {
			if err := dress(place(e), e.info); err != nil {
				return err
			}
		}
	}
	if err := syncAll(filepath.Dir(made)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f.rename(made, target); err != nil {
		return err
	}
	return syncFolder(target)
}

// copyFile copies one file and reads the copy back.
func (f *Files) copyFile(ctx context.Context, t *tree, e *entry, to string) error {
	out, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = f.read(ctx, t, e, out)
	if err == nil {
		_, err = out.Seek(0, io.SeekStart)
	}
	if err == nil {
		sum := sha256.New()
		if _, err = io.Copy(sum, &reader{ctx, out, f.jot}); err == nil {
			err = same(sum, e, to)
		}
	}
	return errors.Join(err, out.Close())
}

// same compares what was read back with what was read.
func same(sum hash.Hash, e *entry, what string) error {
	if got := sum.Sum(nil); string(got) != string(e.sum[:]) {
		return fmt.Errorf("%s was read back as something else than was written (SHA-256 %s, not %s): is the disk sound?", what, hex.EncodeToString(got), hex.EncodeToString(e.sum[:]))
	}
	return nil
}

// dress gives a file or folder the rights, times and, where we may, the owner of another.
func dress(path string, info fs.FileInfo) error {
	if err := own(path, info); err != nil {
		return err
	}
	if err := os.Chmod(path, info.Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

func own(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil // only root may give files away
	}
	return os.Lchown(path, int(stat.Uid), int(stat.Gid))
}

// syncAll puts all that was written on the file system of dir on disk: once, and not for each file.
func syncAll(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }() // only read
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return nil
}

// archive writes a .tar.gz of all sources and reads it back.
func (f *Files) archive(ctx context.Context, result *FilesResult) error {
	if err := f.free(f.Destination); err != nil {
		return jobtype.NoRetry(err)
	}
	trees, err := f.scan(ctx, 2)
	if err != nil {
		return err
	}
	defer closeAll(trees)
	names := map[string]bool{}
	for _, t := range trees {
		if names[t.base] {
			return jobtype.NoRetry(fmt.Errorf("two sources are called %s: the archive could not tell them apart", t.base))
		}
		names[t.base] = true
	}
	target, err := filepath.Abs(f.Destination)
	if err != nil {
		return err
	}
	for _, t := range trees {
		if t.isDir() && strings.HasPrefix(target, strings.TrimSuffix(t.source, "/")+"/") {
			return jobtype.NoRetry(fmt.Errorf("the archive %s can't lie in %s, which goes into it", target, t.source))
		}
	}
	sum := sha256.New()
	err = f.whole(target, func(out *os.File) error {
		if err := f.pack(ctx, trees, io.MultiWriter(out, sum)); err != nil {
			return err
		}
		size, err := out.Seek(0, io.SeekEnd)
		if err == nil {
			_, err = out.Seek(0, io.SeekStart)
		}
		if err != nil {
			return err
		}
		result.MadeBytes = size
		return f.unpack(ctx, trees, out, hex.EncodeToString(sum.Sum(nil)))
	})
	if err != nil {
		return err
	}
	result.count(trees)
	result.SHA256, result.Made = hex.EncodeToString(sum.Sum(nil)), []string{target}
	return nil
}

func (f *Files) pack(ctx context.Context, trees []*tree, out io.Writer) error {
	buffered := bufio.NewWriterSize(out, 1<<20)
	zip := gzip.NewWriter(buffered)
	pack := tar.NewWriter(zip)
	for _, t := range trees {
		for i := range t.entries {
			if err := f.packEntry(ctx, t, &t.entries[i], pack); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(pack.Close(), zip.Close()); err != nil {
		return err
	}
	return buffered.Flush()
}

func (f *Files) packEntry(ctx context.Context, t *tree, e *entry, pack *tar.Writer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	header, err := tar.FileInfoHeader(e.info, e.link)
	if err != nil {
		return err
	}
	header.Name = t.packed(e)
	header.Format = tar.FormatPAX
	if err := pack.WriteHeader(header); err != nil {
		return err
	}
	if !e.info.Mode().IsRegular() {
		return nil
	}
	return f.read(ctx, t, e, pack)
}

// packed returns the name of e in an archive.
func (t *tree) packed(e *entry) string {
	name := t.base
	if t.isDir() && e.path != "." {
		name += "/" + e.path
	}
	if e.info.IsDir() {
		name += "/"
	}
	return name
}

// unpack reads an archive back: it must be whole, and hold each file as it was read.
func (f *Files) unpack(ctx context.Context, trees []*tree, in io.Reader, want string) error {
	all := sha256.New()
	read := io.TeeReader(in, all)
	zip, err := gzip.NewReader(bufio.NewReaderSize(read, 1<<20))
	if err != nil {
		return err
	}
	pack := tar.NewReader(zip)
	for _, t := range trees {
		for i := range t.entries {
			e := &t.entries[i]
			header, err := pack.Next()
			if err != nil {
				return fmt.Errorf("the archive was read back, and breaks off before %s: %w", t.packed(e), err)
			}
			if header.Name != t.packed(e) {
				return fmt.Errorf("the archive was read back, and has %s where %s was written", header.Name, t.packed(e))
			}
			if !e.info.Mode().IsRegular() {
				continue
			}
			sum := sha256.New()
			if _, err := io.Copy(sum, &reader{ctx, pack, f.jot}); err != nil {
				return fmt.Errorf("the archive was read back, and %s breaks off: %w", header.Name, err)
			}
			if err := same(sum, e, header.Name); err != nil {
				return err
			}
		}
	}
	if _, err := pack.Next(); err != io.EOF {
		return errors.New("the archive was read back, and has more in it than was written")
	}
	if _, err := io.Copy(io.Discard, zip); err != nil { // the end of the gzip stream, with its own sum
		return err
	}
	if _, err := io.Copy(io.Discard, read); err != nil {
		return err
	}
	if got := hex.EncodeToString(all.Sum(nil)); got != want {
		return fmt.Errorf("the archive was read back as something else than was written (SHA-256 %s, not %s): is the disk sound?", got, want)
	}
	return nil
}
