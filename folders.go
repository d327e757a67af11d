package queuemgr

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/systemd"
	"github.com/queuemgr/queuemgr/job"
)

// makeFolders makes the folders of a user's own service. Those of the system's service have owners
// and modes that only an installation knows: they must be there.
func makeFolders(c *config.Config) error {
	if c.Paths.System {
		return systemFolders(c.Paths)
	}
	for _, dir := range []string{c.Paths.Home, c.Paths.Lib, c.Paths.Log, c.Paths.JobLogs(), c.Paths.Run} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return &job.Error{Code: job.Invalid, Message: fmt.Sprintf("can't make the folder %s: %v", dir, err),
				Hint: "give a --home that you may write to", Err: err}
		}
	}
	return nil
}

// systemFolders sees to it that the folders of the system's service are there. What lies in /run goes
// with each boot and is made again, by systemd where it rules and else here.
func systemFolders(p config.Paths) error {
	for _, dir := range []string{p.Lib, p.Log, p.JobLogs()} {
		if err := mustBeFolder(dir); err != nil {
			return err
		}
	}
	err := mustBeFolder(p.Run)
	if !errors.Is(err, fs.ErrNotExist) || os.Geteuid() != 0 || systemd.Rules() {
		return err
	}
	if err := os.Mkdir(p.Run, 0o755); err != nil {
		return err
	}
	f, err := os.Open(p.Run)
	if err != nil {
		return err
	}
	defer f.Close()
	return giveToOwner(f, p.Lib)
}

func mustBeFolder(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && info.IsDir() {
		return nil
	}
	what := "is missing"
	switch {
	case err == nil:
		what = "is no folder"
	case !errors.Is(err, fs.ErrNotExist):
		what = fmt.Sprintf("can't be looked at: %v", err)
	}
	return &job.Error{Code: job.WrongState, Err: err, Message: fmt.Sprintf("%s of the system's service %s", dir, what),
		Hint: "this repairs it: sudo queuemgr service install"}
}

// giveToOwner lets a file that root has made belong to whom the folder dir does, whose daemon shall
// be able to open it.
func giveToOwner(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("read whom the folder %s belongs to: %w", dir, err)
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

// giveRegistryToOwner is giveToOwner for what a command of root has made of a registry. The folder may
// be another user's: links that are in it are not followed, and what is root's under another name
// too is not given away.
func giveRegistryToOwner(p config.Paths) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var all error
	for _, name := range []string{p.Database(), p.Database() + "-wal", p.Database() + "-shm", p.Database() + "-ballast"} {
		f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			all = errors.Join(all, err)
			continue
		}
		var st unix.Stat_t
		err = unix.Fstat(int(f.Fd()), &st)
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Uid == 0 && st.Nlink == 1 {
			err = giveToOwner(f, p.Lib)
		}
		all = errors.Join(all, err, f.Close())
	}
	return all
}
