package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/queuemgr/queuemgr/internal/regular"
)

// owner names who a file belongs to; "" = root.
type owner struct{ user, group string }

// file is a step that makes the file called name contain data. One that is not ours and differs is kept beside as NAME.old.
func (r *run) file(name string, data []byte, mode fs.FileMode, own owner) step {
	return step{
		todo: func(context.Context) (string, error) {
			now, err := os.ReadFile(r.path(name))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return "write " + name, nil
			case err != nil:
				return "", err
			case !bytes.Equal(now, data) && r.foreign(name, now):
				return fmt.Sprintf("write %s; the one that was there is kept as %s.old", name, name), nil
			case !bytes.Equal(now, data):
				return "write " + name + " anew", nil
			case !r.rightful(r.path(name), mode, own):
				return fmt.Sprintf("give %s its owner and mode %04o", name, mode), nil
			}
			return "", nil
		},
		do: func(context.Context) (func(context.Context) error, error) {
			before, err := r.remember(name)
			if err != nil {
				return nil, err
			}
			made, err := r.makeParents(name)
			if err != nil {
				return nil, err
			}
			kept := ""
			if now, err := os.ReadFile(r.path(name)); err == nil && !bytes.Equal(now, data) && r.foreign(name, now) {
				if err := r.replace(name+".old", now, 0o600, owner{}); err != nil {
					return nil, err
				}
				kept = name + ".old"
			}
			if err := r.replace(name, data, mode, own); err != nil {
				made.remove()
				return nil, err
			}
			return func(context.Context) error {
				err := before.restore()
				if kept != "" {
					err = errors.Join(err, os.Remove(r.path(kept)))
				}
				made.remove()
				return err
			}, nil
		},
	}
}

// foreign reports whether what stands in the file called name was written by somebody else. Only of
// units can that be: the Python service that queuemgr replaces had one of the same name.
func (r *run) foreign(name string, data []byte) bool {
	return filepath.Ext(name) == ".service" && !regular.IsOurs(data)
}

// folders are what was made, the outermost first.
type folders []string

// makeParents makes the folders that the file called name is to be in, for everybody to look into.
func (r *run) makeParents(name string) (folders, error) {
	var missing folders
	for dir := filepath.Dir(r.path(name)); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		missing = slices.Insert(missing, 0, dir)
	}
	for i, dir := range missing {
		if err := errors.Join(os.Mkdir(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
			missing[:i].remove()
			return nil, err
		}
	}
	return missing, nil
}

// remove takes those away again that are empty.
func (f folders) remove() {
	for _, dir := range slices.Backward(f) {
		_ = os.Remove(dir) // what is not empty has become somebody's
	}
}

// replace puts a file in place atomically.
func (r *run) replace(name string, data []byte, mode fs.FileMode, own owner) (err error) {
	path := r.path(name)
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first failure is what counts
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = r.give(f.Name(), mode, own); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// state is how a file was: nothing, a link or a regular file.
type state struct {
	path   string
	exists bool
	link   string
	data   []byte
	mode   fs.FileMode
	uid    int
	gid    int
}

// remember keeps how a small file is, for undoing.
func (r *run) remember(name string) (state, error) {
	s := state{path: r.path(name)}
	info, err := os.Lstat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.exists, s.mode = true, info.Mode().Perm()
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.uid, s.gid = int(sys.Uid), int(sys.Gid)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		s.link, err = os.Readlink(s.path)
	case info.Mode().IsRegular():
		s.data, err = os.ReadFile(s.path)
	default:
		err = fmt.Errorf("%s is neither a file nor a link: move it away", name)
	}
	return s, err
}

// restore makes it as it was.
func (s state) restore() error {
	if !s.exists {
		return removeIfThere(s.path)
	}
	part := s.path + ".queuemgr-undo"
	if err := removeIfThere(part); err != nil {
		return err
	}
	if s.link != "" {
		if err := os.Symlink(s.link, part); err != nil {
			return err
		}
		return os.Rename(part, s.path)
	}
	if err := os.WriteFile(part, s.data, s.mode); err != nil {
		return errors.Join(err, removeIfThere(part))
	}
	if err := errors.Join(os.Chown(part, s.uid, s.gid), os.Chmod(part, s.mode)); err != nil {
		return errors.Join(err, removeIfThere(part))
	}
	return os.Rename(part, s.path)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// symlink is a step that makes name a link to target. What else was there is kept beside as NAME.old.
func (r *run) symlink(name, target string) step {
	return step{
		todo: func(context.Context) (string, error) {
			info, err := os.Lstat(r.path(name))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return fmt.Sprintf("link %s to %s", name, target), nil
			case err != nil:
				return "", err
			case info.Mode()&fs.ModeSymlink == 0:
				return fmt.Sprintf("link %s to %s; the file that was there is kept as %s.old", name, target, name), nil
			}
			now, err := os.Readlink(r.path(name))
			if err != nil || now == target {
				return "", err
			}
			return fmt.Sprintf("link %s to %s in place of %s", name, target, now), nil
		},
		do: func(context.Context) (func(context.Context) error, error) {
			path := r.path(name)
			made, err := r.makeParents(name)
			if err != nil {
				return nil, err
			}
			part := path + ".new"
			if err := removeIfThere(part); err != nil {
				return nil, err
			}
			if err := os.Symlink(target, part); err != nil {
				return nil, err
			}
			info, err := os.Lstat(path)
			aside := err == nil && info.Mode()&fs.ModeSymlink == 0
			former, _ := os.Readlink(path) // "" for no link
			if aside {
				if err := os.Rename(path, path+".old"); err != nil {
					return nil, errors.Join(err, os.Remove(part))
				}
			}
			if err := os.Rename(part, path); err != nil {
				return nil, err
			}
			return func(context.Context) error {
				if aside {
					return os.Rename(path+".old", path)
				}
				if former == "" {
					err := removeIfThere(path)
					made.remove()
					return err
				}
				return state{path: path, exists: true, link: former}.restore()
			}, nil
		},
	}
}
