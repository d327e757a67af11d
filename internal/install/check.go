package install

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/systemd"
	"github.com/queuemgr/queuemgr/job"
)

// webAddress is where the service's page and API are by default.
const webAddress = "127.0.0.1:5000"

// check looks, before anything is changed, whether the installation can be gone through with.
func (r *run) check(ctx context.Context) error {
	if err := r.checkUser(); err != nil {
		return err
	}
	if err := r.checkSystemd(ctx); err != nil {
		return err
	}
	if r.Kind == System {
		if err := r.checkPackage(); err != nil {
			return err
		}
	}
	if r.Upgrade && !r.installed {
		return &job.Error{Code: job.NotFound, Message: "there is nothing to upgrade: queuemgr is not installed here; nothing was changed", Hint: "install it: the same without --upgrade"}
	}
	if r.Kind != Packaged { // a package's files are there already
		if err := r.checkPrograms(ctx); err != nil {
			return err
		}
		if err := r.checkTargets(); err != nil {
			return err
		}
	}
	if r.Kind == User {
		return r.checkRunning(ctx)
	}
	if err := r.checkTools(); err != nil {
		return err
	}
	if err := r.checkAccounts(ctx); err != nil {
		return err
	}
	if err := r.checkRunning(ctx); err != nil {
		return err
	}
	r.checkWhole()
	r.checkPrefixOwner()
	r.checkPort()
	return nil
}

func (r *run) checkUser() error {
	if r.Kind == User {
		if r.UID == 0 {
			return &job.Error{Code: job.Invalid, Field: "user", Message: "--user is for a service of a user's own, and you are root; nothing was changed",
				Hint: "for everybody on this machine: queuemgr service install; else run this as that user"}
		}
		return nil
	}
	if r.UID != 0 {
		return &job.Error{Code: job.Forbidden, Message: "only root may install, upgrade or remove the system's service; nothing was changed",
			Hint: "sudo, in front of the same command; or a service of your own, without root: queuemgr service install --user"}
	}
	return nil
}

// booted reports whether systemd rules this machine.
func (r *run) booted() bool {
	_, err := os.Stat(r.path("/run/systemd/system"))
	return err == nil
}

func (r *run) checkSystemd(ctx context.Context) error {
	if !r.booted() {
		if r.Kind == Packaged {
			return nil // an image is being built, where nothing is started
		}
		return &job.Error{Code: job.Invalid, Message: "systemd does not run here (/run/systemd/system is not there), and a service is one of systemd's; nothing was changed",
			Hint: "without systemd: queuemgr daemon start --daemon, from whatever starts services here"}
	}
	if r.Kind != User {
		return nil
	}
	if out, err := r.Exec(ctx, "systemctl", "--user", "show", "--property=Version"); err != nil {
		return &job.Error{Code: job.Unavailable, Message: "systemd's manager for you cannot be reached; nothing was changed" + systemd.Tail(out), Err: err,
			Hint: "log in as yourself (not by su or sudo), or say: export XDG_RUNTIME_DIR=/run/user/$(id -u)"}
	}
	return nil
}

// checkPackage refuses to work on what belongs to a package.
func (r *run) checkPackage() error {
	if _, err := os.Stat(r.path(filepath.Join(packageUnits, daemonUnit))); err == nil {
		return &job.Error{Code: job.Conflict, Message: "queuemgr is installed here as a package (" + packageUnits + "/" + daemonUnit + "); nothing was changed",
			Hint: "let the package manager upgrade or remove it: apt or dnf"}
	}
	return nil
}

func (r *run) checkTools() error {
	for _, tool := range []string{"groupadd", "useradd", "usermod", "systemctl", "systemd-tmpfiles"} {
		if _, err := exec.LookPath(tool); err != nil {
			return &job.Error{Code: job.Invalid, Message: fmt.Sprintf("the program %s is not installed; nothing was changed", tool), Err: err,
				Hint: "install it (package passwd or shadow-utils, or systemd), and see that /usr/sbin is in PATH"}
		}
	}
	return nil
}

// roomNeeded is what an installation writes beside the programs, in bytes.
const roomNeeded = 4 << 20

// checkTargets sees that every folder can be written to and that the programs have room.
func (r *run) checkTargets() error {
	dirs := []string{r.units}
	if r.Kind == System {
		dirs = append(dirs, r.bin, etcDir, libDir, logDir, filepath.Dir(r.link), filepath.Dir(logrotateFile), filepath.Dir(r.tmpfiles), r.share, "/etc")
	}
	needed := map[uint64]uint64{} // bytes, by device: folders may share a disk
	for _, dir := range dirs {
		there := r.nearest(dir)
		if err := unix.Access(there, unix.W_OK); err != nil {
			e := &job.Error{Code: job.Forbidden, Message: fmt.Sprintf("%s cannot be written to (%v); nothing was changed", there, err), Err: err,
				Hint: "make it writable, then run this again"}
			if errors.Is(err, syscall.EROFS) {
				e.Hint = fmt.Sprintf("its file system is mounted read-only; as root: mount -o remount,rw %s; then run this again", mountPoint(there))
			}
			return e
		}
		var st unix.Stat_t
		if err := unix.Stat(there, &st); err != nil {
			return &os.PathError{Op: "stat", Path: there, Err: err}
		}
		needed[st.Dev] = max(needed[st.Dev], roomNeeded) + r.roomIn(dir)
		if err := room(there, needed[st.Dev]); err != nil {
			return err
		}
	}
	return nil
}

// roomIn is how many bytes go into one of the folders beside roomNeeded.
func (r *run) roomIn(dir string) uint64 {
	switch {
	case dir == r.bin && !r.inPlace():
		return r.programsSize()
	case dir == libDir && r.Kind == System && r.installed && r.programsDiffer():
		// For the copy from before an upgrade, and the one that the new daemon may make before it brings the
		// registry to another form. The copy of the upgrade before stays until then.
		sum := int64(0)
		for _, name := range []string{"/registry.db", "/registry.db-wal"} {
			if info, err := os.Stat(r.path(libDir + name)); err == nil {
				sum += info.Size()
			}
		}
		return 2 * uint64(sum)
	}
	return 0
}

// room refuses a disk with less free than need bytes.
func room(dir string, need uint64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < need {
		return &job.Error{Code: job.Exhausted, Message: fmt.Sprintf("the disk of %s has %d KiB free, and %d KiB are needed; nothing was changed", dir, free>>10, need>>10),
			Hint: "free some room, then run this again"}
	}
	return nil
}

// nearest returns the folder called name or, where it is not there, the nearest one above it that is.
func (r *run) nearest(name string) string {
	path := r.path(name)
	for path != "/" {
		if _, err := os.Stat(path); err == nil {
			break
		}
		path = parent(path)
	}
	return path
}

// programsSize is how many bytes the new programs have.
func (r *run) programsSize() uint64 {
	var sum int64
	for _, name := range []string{program, runnerProgram} {
		if info, err := os.Stat(filepath.Join(r.Source, name)); err == nil {
			sum += info.Size()
		}
	}
	return uint64(sum)
}

// mountPoint returns the mount that path is on.
func mountPoint(path string) string {
	var here, above unix.Stat_t
	for path != "/" && unix.Stat(path, &here) == nil && unix.Stat(parent(path), &above) == nil && here.Dev == above.Dev {
		path = parent(path)
	}
	return path
}

// checkRunning learns whether the service runs, and refuses units that are masked.
func (r *run) checkRunning(ctx context.Context) error {
	if !r.booted() {
		return nil
	}
	for _, unit := range []string{daemonUnit, runnerUnit} {
		u, err := r.manager().Unit(ctx, unit)
		if err != nil {
			return err
		}
		if u.Masked() {
			return &job.Error{Code: job.Conflict, Message: unit + " is masked: it must not be started; nothing was changed", Hint: "if that is no longer meant: " + r.manager().Command("unmask", unit)}
		}
		if unit == daemonUnit {
			r.wasActive = u.Runs()
		}
	}
	return nil
}

// checkWhole notices what is left of an installation that was begun or removed in part.
func (r *run) checkWhole() {
	var there, missing []string
	for _, name := range []string{filepath.Join(r.units, daemonUnit), filepath.Join(r.units, runnerUnit), r.link, configFile, runAsFile, r.tmpfiles, logrotateFile,
		filepath.Join(r.bin, program), filepath.Join(r.bin, runnerProgram)} {
		if r.inPlace() && parent(name) == r.bin || r.Kind == Packaged {
			continue
		}
		if _, err := os.Lstat(r.path(name)); err == nil {
			there = append(there, name)
		} else {
			missing = append(missing, name)
		}
	}
	if len(there) > 0 && len(missing) > 0 {
		r.say("an installation that is not whole is completed; what was missing: %s", strings.Join(missing, ", "))
	}
}

// checkPrefixOwner warns when somebody beside root could replace what runs as root.
func (r *run) checkPrefixOwner() {
	for dir := r.path(r.prefix); ; dir = parent(dir) {
		var st unix.Stat_t
		if err := unix.Lstat(dir, &st); err == nil && (st.Uid != 0 || st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0) {
			r.note("warning: %s can be written to by others than root, and the runner in it runs as root; mend: chown root: %s && chmod go-w %s", dir, dir, dir)
		}
		if dir == r.Root || dir == "/" {
			return
		}
	}
}

// checkPort warns when another program has the service's port.
func (r *run) checkPort() {
	if !r.real() || r.wasActive {
		return
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", webAddress)
	if errors.Is(err, syscall.EADDRINUSE) {
		r.note("warning: another program has the port of %s; find it: ss -ltnp 'sport = :5000'; the page of queuemgr needs another one then", webAddress)
	}
	if err == nil {
		_ = l.Close() // it was only looked whether it is free
	}
}
