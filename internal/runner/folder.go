package runner

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// folders makes, fills and removes the folders of runs. Where the runner is root, the folder they lie in
// belongs to the daemon's account and each of them to the account of its run, and root must not be led
// astray by either: everything is reached by descriptors, through no symbolic link and onto no other mount.
type folders struct {
	drop   bool
	daemon uint32 // uid of the daemon's account, with drop
	log    *slog.Logger

	mu    sync.Mutex
	swept map[string]bool // parents in which leftovers were looked for
	work  sync.WaitGroup
}

const (
	runFolderMode = 0o711 // who knows the names gets to what the run shows
	// goneName begins the names of folders that are on their way out.
	goneName = ".gone-"
	// maxDepth is how many folders in each other are open at a time while one is removed.
	maxDepth = 32
	// maxPasses is how often a folder is gone through that others still write to, or that is deeper.
	maxPasses = 1024

	runFolderResolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV
	dirFlags         = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
)

// parent opens the folder that dir is to lie in.
func (f *folders) parent(dir string) (fd int, name string, err error) {
	path, name := filepath.Split(dir)
	if !filepath.IsAbs(dir) || name == "" || name == "." || name == ".." || strings.HasPrefix(name, goneName) {
		return -1, "", fmt.Errorf("%s is no path of a folder: %w", dir, unix.EINVAL)
	}
	resolve := uint64(0)
	if f.drop {
		resolve = resolveWhole
	}
	fd, err = openat2(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0, resolve)
	switch {
	case errors.Is(err, unix.ELOOP) && f.drop:
		return -1, "", fmt.Errorf("a symbolic link is in the path %s: use the real path in the setting proc_dir (%w)", path, err)
	case err != nil:
		return -1, "", fmt.Errorf("open %s: %w", path, err)
	}
	if !f.drop {
		return fd, name, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return -1, "", errors.Join(err, unix.Close(fd))
	}
	// The daemon says where; what is not its own it must not have root write to.
	if st.Uid != f.daemon {
		return -1, "", errors.Join(fmt.Errorf("%s belongs to user %d, not to the daemon's account: %w", path, st.Uid, unix.EPERM), unix.Close(fd))
	}
	return fd, name, nil
}

// open opens the folder itself, if it is the run's.
func (f *folders) open(to Folder) (int, error) {
	parent, name, err := f.parent(to.Dir)
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	return f.openIn(parent, name, to.UID)
}

func (f *folders) openIn(parent int, name string, uid uint32) (int, error) {
	fd, err := openat2(parent, name, dirFlags, 0, runFolderResolve)
	switch {
	case errors.Is(err, unix.EXDEV):
		return -1, fmt.Errorf("something is mounted on it: %w", err)
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return -1, fmt.Errorf("the job's folder is not a folder any more: %w", err)
	case err != nil:
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Uid != uid {
		err = fmt.Errorf("it belongs to user %d, not to the job's user %d: %w", st.Uid, uid, unix.EPERM)
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// create makes the folder of a run with what is in it from the beginning. One of an earlier run goes first.
func (f *folders) create(to Folder, gid uint32, files map[string]string, params []byte) error {
	parent, name, err := f.parent(to.Dir)
	if errors.Is(err, unix.ENOENT) && !f.drop {
		if err := os.MkdirAll(filepath.Dir(to.Dir), 0o755); err != nil {
			return err
		}
		parent, name, err = f.parent(to.Dir)
	}
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	f.sweep(filepath.Dir(to.Dir), parent)
	err = unix.Mkdirat(parent, name, 0o700)
	if errors.Is(err, unix.EEXIST) {
		if err := f.clearIn(parent, name); err != nil {
			return fmt.Errorf("remove what an earlier run left there: %w", err)
		}
		err = unix.Mkdirat(parent, name, 0o700)
	}
	if err != nil {
		return fmt.Errorf("make it: %w", err)
	}
	fd, err := f.openIn(parent, name, uint32(os.Geteuid()))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for file, text := range files {
		if err := putFile(fd, file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if params != nil {
		if err := f.putParams(fd, params, to.UID, gid); err != nil {
			return err
		}
	}
	// Last: from here on the account can change what is in it.
	if f.drop {
		if err := unix.Fchown(fd, int(to.UID), int(gid)); err != nil {
			return fmt.Errorf("give it to its user: %w", err)
		}
	}
	if err := unix.Fchmod(fd, runFolderMode); err != nil {
		return fmt.Errorf("open it to its readers: %w", err)
	}
	return nil
}

// putParams writes the parameters for the account alone.
func (f *folders) putParams(dir int, params []byte, uid, gid uint32) error {
	fd, err := unix.Openat(dir, wire.FileParams, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o400)
	if err != nil {
		return fmt.Errorf("make %s: %w", wire.FileParams, err)
	}
	err = writeAll(fd, params)
	if err == nil {
		err = unix.Fchmod(fd, 0o400) // whatever the umask
	}
	if err == nil && f.drop {
		err = unix.Fchown(fd, int(uid), int(gid))
	}
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return fmt.Errorf("write %s: %w", wire.FileParams, err)
	}
	return nil
}

// putFile puts a file in place of the one before, so that a reader never sees half of it.
func putFile(dir int, name string, content []byte, mode uint32) error {
	tmp := "." + name + ".new"
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(dir, tmp, flags, mode)
	if errors.Is(err, unix.EEXIST) { // of a runner that died, or the job's idea of a joke
		if err := unix.Unlinkat(dir, tmp, 0); err != nil {
			return fmt.Errorf("remove %s: %w", tmp, err)
		}
		fd, err = unix.Openat(dir, tmp, flags, mode)
	}
	if err != nil {
		return fmt.Errorf("make %s: %w", tmp, err)
	}
	err = writeAll(fd, content)
	if err == nil {
		err = unix.Fchmod(fd, mode)
	}
	if err = errors.Join(err, unix.Close(fd)); err == nil {
		err = unix.Renameat(dir, tmp, dir, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), unix.Unlinkat(dir, tmp, 0))
	}
	return nil
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		default:
			b = b[n:]
		}
	}
	return nil
}

// show writes files into the folder of a run.
func (f *folders) show(to Folder, files map[string]string) error {
	fd, err := f.open(to)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var errs []error
	for name, text := range files {
		errs = append(errs, putFile(fd, name, []byte(text), 0o644))
	}
	return errors.Join(errs...)
}

// result reads what the run left as its result.
func (f *folders) result(to Folder) (result json.RawMessage, wrong string) {
	refuse := func(err error) (json.RawMessage, string) {
		return nil, fmt.Sprintf("%s: %v", wire.FileResult, err)
	}
	dir, err := f.open(to)
	if errors.Is(err, unix.ENOENT) {
		return nil, "" // the run has removed its folder
	}
	if err != nil {
		return refuse(err)
	}
	defer unix.Close(dir)
	fd, err := openat2(dir, wire.FileResult, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0, runFolderResolve)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, ""
	case errors.Is(err, unix.ELOOP):
		return refuse(errors.New("it is a symbolic link"))
	case errors.Is(err, unix.ENXIO):
		return refuse(errors.New("it is not a regular file"))
	case err != nil:
		return refuse(err)
	}
	file := os.NewFile(uintptr(fd), wire.FileResult)
	defer file.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return refuse(err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return refuse(errors.New("it is not a regular file"))
	case st.Uid != to.UID:
		return refuse(fmt.Errorf("it belongs to user %d, not to the job's user %d", st.Uid, to.UID))
	case st.Size > wire.MaxResultFile:
		return refuse(fmt.Errorf("it has %d bytes; %d are allowed", st.Size, wire.MaxResultFile))
	}
	b, err := io.ReadAll(io.LimitReader(file, wire.MaxResultFile+1))
	if err != nil {
		return refuse(err)
	}
	if why := checkResult(b, wire.MaxResultFile); why != "" {
		return nil, wire.FileResult + ": " + why
	}
	return b, ""
}

// clear removes the folder of a run: at once out of the way of the next run, and then away.
func (f *folders) clear(of Folder) error {
	parent, name, err := f.parent(of.Dir)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if err := f.clearIn(parent, name); !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

func (f *folders) clearIn(parent int, name string) error {
	gone := goneName + rand.Text()
	if err := unix.Renameat(parent, name, parent, gone); err != nil {
		return err
	}
	keep, err := unix.FcntlInt(uintptr(parent), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return remove(parent, gone)
	}
	f.work.Go(func() {
		defer unix.Close(keep)
		if err := remove(keep, gone); err != nil {
			f.log.Warn("remove the folder of a job", "was", name, "now", gone, "error", err)
		}
	})
	return nil
}

// sweep removes what a runner before was still removing when it died; once for each parent.
func (f *folders) sweep(path string, parent int) {
	f.mu.Lock()
	done := f.swept[path]
	if f.swept == nil {
		f.swept = map[string]bool{}
	}
	f.swept[path] = true
	f.mu.Unlock()
	if done {
		return
	}
	names, err := namesIn(parent)
	if err != nil {
		f.log.Warn("look for folders that are to be removed", "in", path, "error", err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, goneName) {
			continue
		}
		if err := remove(parent, name); err != nil {
			f.log.Warn("remove the folder of a job", "folder", filepath.Join(path, name), "error", err)
		}
	}
}

// namesIn lists a folder by a descriptor of its own, so that fd's place in it does not count.
func namesIn(fd int) ([]string, error) {
	own, err := openat2(fd, ".", dirFlags, 0, runFolderResolve)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(own), "folder")
	names, err := dir.Readdirnames(-1)
	return names, errors.Join(err, dir.Close())
}

// remove removes name in parent with all that is in it. It follows no link, enters no mount, and what is too
// deep is moved up first, so that no depth takes all descriptors.
func remove(parent int, name string) error {
	if err := unix.Unlinkat(parent, name, 0); err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	top, err := openat2(parent, name, dirFlags, 0, runFolderResolve)
	if err != nil {
		return err
	}
	defer unix.Close(top)
	for range maxPasses {
		err = empty(top, top, 1)
		if err == nil {
			err = unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
		}
		if err == nil || !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	return err
}

// empty removes what is in dir; top is the folder that deep ones are moved to.
func empty(top, dir, depth int) error {
	if err := unix.Fchmod(dir, 0o700); err != nil { // the account may have closed it; not root's trouble, but ours else
		return err
	}
	names, err := namesIn(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		err := unix.Unlinkat(dir, name, 0)
		if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EPERM) {
			err = emptyFolder(top, dir, name, depth)
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func emptyFolder(top, dir int, name string, depth int) error {
	if depth >= maxDepth {
		// The next pass finds it there.
		return unix.Renameat(dir, name, top, rand.Text())
	}
	sub, err := openat2(dir, name, dirFlags, 0, runFolderResolve)
	if errors.Is(err, unix.EACCES) { // 0000, of our own account
		_ = unix.Fchmodat(dir, name, 0o700, unix.AT_SYMLINK_NOFOLLOW) // the open says whether it helped
		sub, err = openat2(dir, name, dirFlags, 0, runFolderResolve)
	}
	if err != nil {
		return err
	}
	err = empty(top, sub, depth+1)
	_ = unix.Close(sub) // only looked through
	if err != nil {
		return err
	}
	return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}
