package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// folder is a step that makes a folder with an owner and a mode.
func (r *run) folder(name string, mode fs.FileMode, own owner) step {
	return step{
		todo: func(context.Context) (string, error) {
			info, err := os.Lstat(r.path(name))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return fmt.Sprintf("make folder %s (%s, %04o)", name, own, mode), nil
			case err != nil:
				return "", err
			case !info.IsDir():
				return "", fmt.Errorf("%s is not a folder: move it away", name)
			case !r.rightful(r.path(name), mode, own):
				return fmt.Sprintf("give folder %s its owner and mode (%s, %04o)", name, own, mode), nil
			}
			return "", nil
		},
		do: func(context.Context) (func(context.Context) error, error) {
			path := r.path(name)
			info, err := os.Lstat(path)
			if err == nil {
				sys, ok := info.Sys().(*syscall.Stat_t)
				if !ok {
					return nil, fmt.Errorf("the owner of %s cannot be told", name)
				}
				return func(context.Context) error {
					return errors.Join(os.Lchown(path, int(sys.Uid), int(sys.Gid)), os.Chmod(path, info.Mode().Perm()))
				}, r.give(path, mode, own)
			}
			top := r.topMissing(name)
			if err := os.MkdirAll(path, 0o755); err != nil {
				return nil, errors.Join(err, os.RemoveAll(top))
			}
			if err := r.give(path, mode, own); err != nil {
				return nil, errors.Join(err, os.RemoveAll(top))
			}
			// It was not there before this run: what is in it is this run's.
			return func(context.Context) error { return os.RemoveAll(top) }, nil
		},
	}
}

// topMissing returns the highest folder above or at name that does not exist yet.
func (r *run) topMissing(name string) string {
	top := r.path(name)
	for dir := top; dir != r.Root && dir != "/"; dir = parent(dir) {
		if _, err := os.Lstat(dir); err == nil {
			break
		}
		top = dir
	}
	return top
}

func (o owner) String() string {
	if o.group == "" {
		o.group = "root"
	}
	if o.user == "" {
		o.user = "root"
	}
	return o.user + ":" + o.group
}

// ids resolves an owner on this machine.
func (r *run) ids(own owner) (uid, gid int, err error) {
	if r.Kind == User {
		return os.Geteuid(), os.Getegid(), nil
	}
	if own.user != "" {
		u, err := r.lookup(context.Background(), "passwd", own.user)
		if err != nil || u == nil {
			return 0, 0, errors.Join(fmt.Errorf("there is no user %s", own.user), err)
		}
		uid = u.id
	}
	if own.group != "" {
		g, err := r.lookup(context.Background(), "group", own.group)
		if err != nil || g == nil {
			return 0, 0, errors.Join(fmt.Errorf("there is no group %s", own.group), err)
		}
		gid = g.id
	}
	return uid, gid, nil
}

// give sets the owner and the mode of what is at path. It never follows a link.
func (r *run) give(path string, mode fs.FileMode, own owner) error {
	uid, gid, err := r.ids(own)
	if err != nil {
		return err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if err := unix.Fchown(fd, uid, gid); err != nil {
		return &os.PathError{Op: "chown", Path: path, Err: err}
	}
	if err := unix.Fchmod(fd, uint32(mode)); err != nil {
		return &os.PathError{Op: "chmod", Path: path, Err: err}
	}
	return nil
}

// rightful reports whether what is at path has the owner and the mode.
func (r *run) rightful(path string, mode fs.FileMode, own owner) bool {
	uid, gid, err := r.ids(own)
	info, statErr := os.Lstat(path)
	if err != nil || statErr != nil || info.Mode().Perm() != mode {
		return false
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == uid && int(sys.Gid) == gid
}
