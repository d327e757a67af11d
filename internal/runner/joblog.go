package runner

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// logFolder opens the log files of jobs for a runner that is root. The folder and all beneath it may
// belong to the daemon's account, which root must not be led astray by: nothing is ever opened through a
// symbolic link or outside of the folder, and no file is taken over that is not such a log already.
type logFolder string

const (
	logMode    = 0o640
	folderMode = 0o751 // who knows the name of a log gets to it; the names are not listed
	// lookAgain is how often a path is tried that changes while it is opened.
	lookAgain = 16

	resolveWhole   = unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS
	resolveBeneath = resolveWhole | unix.RESOLVE_BENEATH

	appendFlags = unix.O_WRONLY | unix.O_APPEND | unix.O_CLOEXEC | unix.O_NOCTTY
)

// check says whether the folder can be used.
func (l logFolder) check() error {
	fd, _, err := l.root()
	if err != nil {
		return fmt.Errorf("the folder of job logs %s: %w", l, err)
	}
	return unix.Close(fd)
}

// root opens the folder itself.
func (l logFolder) root() (fd int, st unix.Stat_t, err error) {
	fd, err = openat2(unix.AT_FDCWD, string(l), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0, resolveWhole)
	switch {
	case errors.Is(err, unix.ELOOP):
		return -1, st, fmt.Errorf("a symbolic link is in its path: use the real path (%w)", err)
	case errors.Is(err, unix.ENOSYS):
		return -1, st, fmt.Errorf("starting jobs as their users needs Linux 5.6 or later (openat2: %w)", err)
	case err != nil:
		return -1, st, err
	}
	if err := unix.Fstat(fd, &st); err != nil {
		return -1, st, errors.Join(err, unix.Close(fd))
	}
	return fd, st, nil
}

// open opens the log file path for a job of uid. A new one belongs to that account and to the folder's
// group: the job's user and the daemon read it, nobody else.
func (l logFolder) open(path string, uid uint32) (int, error) {
	rel, ok := strings.CutPrefix(path, strings.TrimSuffix(string(l), "/")+"/")
	if !ok || rel == "" {
		return -1, fmt.Errorf("it is not in the folder of job logs %s: %w", l, unix.EPERM)
	}
	root, folder, err := l.root()
	if err != nil {
		return -1, fmt.Errorf("the folder of job logs %s: %w", l, err)
	}
	defer func() { _ = unix.Close(root) }() // only looked through
	made := false
	for try := 1; ; try++ {
		fd, err := openat2(root, rel, appendFlags|unix.O_CREAT|unix.O_EXCL, logMode, resolveBeneath)
		switch {
		case err == nil:
			if err := unix.Fchown(fd, int(uid), int(folder.Gid)); err != nil {
				return -1, errors.Join(fmt.Errorf("give it to its user: %w", err), unix.Close(fd))
			}
			return fd, nil
		case errors.Is(err, unix.EEXIST):
			fd, err = openOld(root, rel, uid, folder.Gid)
			if !errors.Is(err, unix.ENOENT) || try == lookAgain {
				return fd, err
			}
		case errors.Is(err, unix.ENOENT) && !made:
			made = true
			if err := makeFolders(root, filepath.Dir(rel), &folder); err != nil {
				return -1, err
			}
		case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV):
			return -1, fmt.Errorf("its path leads out of %s or through a symbolic link: %w", l, err)
		case try == lookAgain || !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ENOENT):
			return -1, err
		}
	}
}

// openOld opens a log file that is there already, if it is one of ours.
func openOld(root int, rel string, uid, gid uint32) (int, error) {
	// Without O_NONBLOCK a pipe would hold us.
	fd, err := openat2(root, rel, appendFlags|unix.O_NONBLOCK, 0, resolveBeneath)
	switch {
	case errors.Is(err, unix.ELOOP):
		return -1, fmt.Errorf("it is a symbolic link: %w", err)
	case errors.Is(err, unix.ENXIO):
		return -1, fmt.Errorf("it is not a regular file: %w", unix.EPERM)
	case err != nil:
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil {
		switch {
		case st.Mode&unix.S_IFMT != unix.S_IFREG:
			err = fmt.Errorf("it is not a regular file: %w", unix.EPERM)
		case st.Nlink != 1:
			err = fmt.Errorf("it has %d names: %w", st.Nlink, unix.EPERM)
		case st.Uid != uid:
			err = fmt.Errorf("it belongs to user %d, not to the job's user %d: %w", st.Uid, uid, unix.EPERM)
		}
	}
	if err == nil && st.Gid != gid {
		err = unix.Fchown(fd, -1, int(gid))
	}
	if err == nil && st.Mode&0o7777 != logMode {
		err = unix.Fchmod(fd, logMode)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_APPEND) // a job expects no O_NONBLOCK
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// makeFolders makes the folders of rel beneath root and gives those it made to the owner of the folder
// of logs, who cleans up there.
func makeFolders(root int, rel string, folder *unix.Stat_t) error {
	parent := root
	defer func() {
		if parent != root {
			_ = unix.Close(parent) // only looked through
		}
	}()
	for name := range strings.SplitSeq(rel, "/") {
		if name == ".." {
			return fmt.Errorf("folder %s: %w", rel, unix.EXDEV)
		}
		err := unix.Mkdirat(parent, name, folderMode)
		mine := err == nil
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("make folder %s: %w", name, err)
		}
		next, err := openat2(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0, resolveBeneath)
		if err != nil {
			return fmt.Errorf("folder %s: %w", name, err)
		}
		if parent != root {
			_ = unix.Close(parent) // only looked through
		}
		parent = next
		if !mine {
			continue
		}
		var st unix.Stat_t
		if err := unix.Fstat(next, &st); err != nil {
			return fmt.Errorf("folder %s: %w", name, err)
		}
		if st.Uid != 0 { // another was put in its place meanwhile: it is not ours to give away
			continue
		}
		if err := errors.Join(unix.Fchmod(next, folderMode), unix.Fchown(next, int(folder.Uid), int(folder.Gid))); err != nil {
			return fmt.Errorf("give folder %s to the owner of the logs: %w", name, err)
		}
	}
	return nil
}

// openat2 is openat2(2), tried again when a signal interrupts it.
func openat2(dir int, path string, flags, mode, resolve uint64) (int, error) {
	for {
		fd, err := unix.Openat2(dir, path, &unix.OpenHow{Flags: flags, Mode: mode, Resolve: resolve})
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
