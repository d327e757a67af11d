package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/queuemgr/queuemgr/internal/systemd"
	"github.com/queuemgr/queuemgr/job"
)

// previous is the ending of programs that are kept for going back.
const previous = ".previous"

// inPlace reports whether the programs are installed from where they will be: a checkout or an
// unpacked release that is itself the prefix.
func (r *run) inPlace() bool {
	from, err := os.Stat(r.Source)
	to, err2 := os.Stat(r.path(r.bin))
	return err == nil && err2 == nil && os.SameFile(from, to)
}

// builtInPlace reports whether, moreover, new programs replace the installed ones there without this package:
// by make, or by unpacking a release.
func (r *run) builtInPlace() bool {
	_, err := os.Stat(r.path(filepath.Join(r.prefix, "install.sh")))
	return err == nil && r.inPlace()
}

// checkPrograms runs the new programs' version commands, which open nothing.
func (r *run) checkPrograms(ctx context.Context) error {
	for name, arg := range map[string]string{program: "version", runnerProgram: "--version"} {
		file := filepath.Join(r.Source, name)
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			return &job.Error{Code: job.NotFound, Message: fmt.Sprintf("the program %s is not there to be installed", file), Err: err,
				Hint: "in a checkout: make build; else unpack a whole release"}
		}
		out, err := r.Exec(ctx, file, arg)
		if err != nil || !strings.HasPrefix(out, name+" ") {
			return &job.Error{Code: job.Invalid, Message: fmt.Sprintf("the new program %s does not run here (%v)%s", file, err, systemd.Tail(out)), Err: err,
				Hint: "take the release for this machine's architecture (uname -m), or build it here: make build"}
		}
	}
	return nil
}

// program is a step that puts one program in place by an atomic rename. The one that was there stays beside
// with the ending .previous.
func (r *run) program(name string) step {
	target := filepath.Join(r.bin, name)
	return step{
		todo: func(context.Context) (string, error) {
			if r.inPlace() {
				if r.rightful(r.path(target), 0o755, owner{}) {
					return "", nil
				}
				return fmt.Sprintf("give %s to root, mode 0755: the service runs it as root", target), nil
			}
			same, err := sameContent(filepath.Join(r.Source, name), r.path(target))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return "install " + target, nil
			case err != nil:
				return "", err
			case !same:
				return fmt.Sprintf("install %s; the old one is kept as %s%s", target, name, previous), nil
			case !r.rightful(r.path(target), 0o755, owner{}):
				return fmt.Sprintf("give %s to root, mode 0755: the service runs it as root", target), nil
			}
			return "", nil
		},
		do: func(context.Context) (func(context.Context) error, error) {
			path := r.path(target)
			source := filepath.Join(r.Source, name)
			if r.inPlace() {
				source = path
			}
			part := path + ".new"
			if err := r.copyProgram(source, part); err != nil {
				return nil, err
			}
			if r.inPlace() {
				if err := os.Rename(part, path); err != nil {
					return nil, errors.Join(err, os.Remove(part))
				}
				return nil, nil // the same program: nothing to go back to
			}
			return r.swap(path, part)
		},
	}
}

// swap puts part in the place of path, which stays as path.previous, and returns the way back.
func (r *run) swap(path, part string) (func(context.Context) error, error) {
	old := path + previous
	_, err := os.Lstat(path)
	had := err == nil
	if had {
		if err := errors.Join(removeIfThere(old+".new"), os.Link(path, old+".new")); err != nil {
			return nil, errors.Join(err, os.Remove(part))
		}
		if err := os.Rename(old+".new", old); err != nil {
			return nil, errors.Join(err, os.Remove(part))
		}
	}
	if err := os.Rename(part, path); err != nil {
		return nil, errors.Join(err, os.Remove(part))
	}
	return func(context.Context) error {
		if had {
			return os.Rename(old, path)
		}
		return removeIfThere(path)
	}, nil
}

// keptInPlace is a step for programs that were built where they stay: the build has taken the old ones away, and
// what stands there as .previous is the version that was installed last. Going back to it is this step's undo.
func (r *run) keptInPlace() step {
	var changed []string
	return step{
		todo: func(context.Context) (string, error) {
			if !r.builtInPlace() || !r.installed {
				return "", nil
			}
			for _, name := range []string{program, runnerProgram} {
				path := r.path(filepath.Join(r.bin, name))
				if same, err := sameContent(path, path+previous); err == nil && !same {
					changed = append(changed, path)
				}
			}
			if len(changed) == 0 {
				return "", nil
			}
			return "take over the programs that are new in " + r.bin, nil
		},
		do: func(context.Context) (func(context.Context) error, error) {
			return func(context.Context) error {
				var errs []error
				for _, path := range changed {
					err := r.copyProgram(path+previous, path+".undo")
					if err == nil {
						err = os.Rename(path+".undo", path)
					}
					errs = append(errs, err)
				}
				return errors.Join(errs...)
			}, nil
		},
	}
}

// keepGood is a step, after the service is ready, that keeps programs which were built where they stay: the next
// build will replace them, and an upgrade that fails goes back to these.
func (r *run) keepGood(name string) step {
	path := filepath.Join(r.bin, name)
	return step{
		todo: func(context.Context) (string, error) {
			if !r.builtInPlace() {
				return "", nil
			}
			if same, err := sameContent(r.path(path), r.path(path+previous)); err == nil && same {
				return "", nil
			}
			return fmt.Sprintf("keep a copy of %s, to go back to when the next one does not start", path), nil
		},
		do: func(context.Context) (func(context.Context) error, error) {
			part := r.path(path + previous + ".new")
			if err := r.copyProgram(r.path(path), part); err != nil {
				return nil, err
			}
			return nil, os.Rename(part, r.path(path+previous))
		},
	}
}

// copyProgram copies a program, owned by root, to a file that is not in use.
func (r *run) copyProgram(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := removeIfThere(to); err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err == nil {
		err = dst.Sync()
	}
	if err = errors.Join(err, dst.Close()); err == nil {
		err = r.give(to, 0o755, owner{})
	}
	if err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// sameContent reports whether two files are equal.
func sameContent(a, b string) (bool, error) {
	fa, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer fb.Close()
	bufA, bufB := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, errA := io.ReadFull(fa, bufA)
		m, errB := io.ReadFull(fb, bufB)
		if !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
		if errA != nil || errB != nil {
			return ended(errA) && ended(errB), errors.Join(realError(errA), realError(errB))
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

func realError(err error) error {
	if err == nil || ended(err) {
		return nil
	}
	return err
}

func parent(path string) string { return filepath.Dir(path) }
