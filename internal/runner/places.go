package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Places of the system service's runner. What root writes lies in folders that nobody else may change;
// the folder of logs belongs to the daemon's account (see logFolder).
const (
	systemSocket  = "/run/queuemgr-runner/runner.sock"
	systemLock    = "/run/queuemgr-runner/runner.lock"
	systemJournal = "/var/lib/queuemgr-runner/runner.journal"
	systemLogs    = "/var/log/queuemgr/jobs"
)

// daemonUID is who may connect beside root.
func (c *Config) daemonUID() uint32 {
	if c.Drop != nil {
		return c.Drop.Daemon
	}
	return uint32(os.Getuid())
}

// makePlaces makes the folders of the runner's own files where they are missing: the daemon's account
// must reach the socket, nobody needs the journal.
func (c *Config) makePlaces() error {
	return errors.Join(
		os.MkdirAll(filepath.Dir(c.Socket), 0o755),
		os.MkdirAll(filepath.Dir(c.Lock), 0o755),
		os.MkdirAll(filepath.Dir(c.Journal), 0o700))
}

// checkPlaces makes sure that a runner that is root cannot be led to write somewhere else.
func (c *Config) checkPlaces() error {
	for _, path := range []string{c.Socket, c.Journal, c.Lock} {
		if err := onlyRootWrites(filepath.Dir(path)); err != nil {
			return fmt.Errorf("the runner does not put %s there: %w", path, err)
		}
	}
	return logFolder(c.Drop.Logs).check()
}

// onlyRootWrites says whether dir, and so every name in it, is root's alone: dir and all folders above
// it belong to root, and nobody else may write there. Above it /tmp's sort of folder will do, in which
// nobody may rename what is another's.
func onlyRootWrites(dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		shared := info.Mode().Perm()&0o022 != 0 && (at == dir || info.Mode()&fs.ModeSticky == 0)
		if !ok || st.Uid != 0 || shared {
			return fmt.Errorf("the folder %s can be changed by others than root: chown root %s; chmod go-w %s", at, at, at)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}
