// Package config finds where a service's files are and reads its settings. Each setting is
// described once, in the table of setting.go, which drives reading, checking, `config show` and
// the commented example file.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/regular"
	"github.com/queuemgr/queuemgr/job"
)

// Places of the system service.
const (
	SystemConfig = "/etc/queuemgr/config.toml"
	systemLib    = "/var/lib/queuemgr"
	systemLog    = "/var/log/queuemgr"
	systemRun    = "/run/queuemgr"

	// The runner is root and the folders above are the daemon's: it has its own.
	systemRunnerLib = "/var/lib/queuemgr-runner"
	systemRunnerRun = "/run/queuemgr-runner"
)

// SystemGroup is the group whose members may use the system service.
const SystemGroup = "queuemgr"

// Paths is where the files of one service are. All are absolute.
type Paths struct {
	Home   string // one folder for all of a user's own service; /var/lib/queuemgr for the system's
	System bool   // the system service's places
	Config string // settings file, which need not exist
	Lib    string // registry.db, registry.jsonl, registry.lock
	Log    string // daemon.log, runner.log, jobs/
	Run    string // daemon.pid, queuemgr.sock, proc/

	RunnerLib string // runner.journal; Lib but for the system's
	RunnerRun string // runner.sock, notify.sock, runner.lock; Run but for the system's
}

// Database is the registry itself.
func (p Paths) Database() string { return filepath.Join(p.Lib, "registry.db") }

// RegistryLock is held with flock for as long as a daemon lives: whether one does is asked of it.
func (p Paths) RegistryLock() string { return filepath.Join(p.Lib, "registry.lock") }

// RunnerJournal is the runner's journal.
func (p Paths) RunnerJournal() string { return filepath.Join(p.RunnerLib, "runner.journal") }

// WebCertificate is the certificate that the service has made for its page, with its key.
func (p Paths) WebCertificate() string { return filepath.Join(p.Lib, "web.pem") }

// DaemonLog is the daemon's log.
func (p Paths) DaemonLog() string { return filepath.Join(p.Log, "daemon.log") }

// RunnerLog is the runner's log.
func (p Paths) RunnerLog() string { return filepath.Join(p.Log, "runner.log") }

// JobLogs is the folder of what jobs write.
func (p Paths) JobLogs() string { return filepath.Join(p.Log, "jobs") }

// PIDFile holds the daemon's process number, for people and scripts; see RegistryLock.
func (p Paths) PIDFile() string { return filepath.Join(p.Run, "daemon.pid") }

// Socket is where the daemon listens.
func (p Paths) Socket() string { return filepath.Join(p.Run, "queuemgr.sock") }

// RunnerSocket is where the runner listens.
func (p Paths) RunnerSocket() string { return filepath.Join(p.RunnerRun, "runner.sock") }

// NotifySocket is where jobs say how far they are; the runner makes it beside its own socket.
func (p Paths) NotifySocket() string { return filepath.Join(p.RunnerRun, "notify.sock") }

// RunnerLock is held with flock for as long as a runner lives.
func (p Paths) RunnerLock() string { return filepath.Join(p.RunnerRun, "runner.lock") }

// Use says what paths are wanted for.
type Use int

// Uses of paths.
const (
	ForClient Use = iota // to reach a daemon: any user may
	ForDaemon            // to be the daemon: the system's places are for root and its own account
)

// FindPaths returns the places of the service that is meant: home (the flag --home) where it is
// not empty, else QUEUEMGR_HOME, else the system service where it is installed and use allows it,
// else the user's own below XDG_DATA_HOME or ~/.local/share. It reads no settings.
func FindPaths(home string, environ []string, use Use) (Paths, error) {
	return findPaths(home, environ, use, system{SystemConfig, systemUnits}, os.Geteuid())
}

// system is what tells that the system service is set up on a machine.
type system struct {
	config string   // its settings
	units  []string // where systemd has its unit
}

// systemUnits are the units of an installation by install.sh and by a package.
var systemUnits = []string{"/etc/systemd/system/queuemgr.service", "/usr/lib/systemd/system/queuemgr.service"}

// isSetUp reports whether the service is there: its settings are, or, where somebody has removed them, its unit is.
func (s system) isSetUp() bool {
	if _, err := os.Stat(s.config); err == nil {
		return true
	}
	return slices.ContainsFunc(s.units, func(name string) bool {
		text, err := regular.ReadFile(name)
		return err == nil && regular.IsOurs(text)
	})
}

func findPaths(home string, environ []string, use Use, sys system, uid int) (Paths, error) {
	if home == "" {
		home = lookup(environ, "QUEUEMGR_HOME")
	}
	if home != "" {
		abs, err := filepath.Abs(home)
		if err != nil {
			return Paths{}, fmt.Errorf("making the home folder %q absolute: %w", home, err)
		}
		return InHome(abs), nil
	}
	if use == ForClient || uid == 0 || owns(uid, systemLib) {
		if sys.isSetUp() {
			p := SystemPaths()
			p.Config = sys.config
			return p, nil
		}
	}
	// A relative XDG_DATA_HOME is to be ignored: XDG Base Directory Specification.
	if data := lookup(environ, "XDG_DATA_HOME"); filepath.IsAbs(data) {
		return InHome(filepath.Join(data, "queuemgr")), nil
	}
	if user := lookup(environ, "HOME"); filepath.IsAbs(user) {
		return InHome(filepath.Join(user, ".local/share/queuemgr")), nil
	}
	return Paths{}, &job.Error{Code: job.Invalid, Field: "home", Message: "no home folder: HOME is not set",
		Hint: "give one with --home DIR or QUEUEMGR_HOME"}
}

// SystemPaths returns the places of the system service, installed or not.
func SystemPaths() Paths {
	return Paths{Home: systemLib, System: true, Config: SystemConfig,
		Lib: systemLib, Log: systemLog, Run: systemRun, RunnerLib: systemRunnerLib, RunnerRun: systemRunnerRun}
}

// owns reports whether path is there and belongs to the user.
func owns(uid int, path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && int(st.Uid) == uid
}

// InHome returns the places of a service that has everything in the absolute folder dir.
func InHome(dir string) Paths {
	lib, run := filepath.Join(dir, "lib"), filepath.Join(dir, "run")
	return Paths{
		Home:   dir,
		Config: filepath.Join(dir, "config.toml"),
		Lib:    lib, RunnerLib: lib,
		Log: filepath.Join(dir, "log"),
		Run: run, RunnerRun: run,
	}
}

// lookup returns the value of the last entry NAME=VALUE, "" when there is none.
func lookup(environ []string, name string) string {
	value, _ := lookupGiven(environ, name)
	return value
}

// lookupGiven is lookup that also tells an empty value from none.
func lookupGiven(environ []string, name string) (value string, given bool) {
	for i := len(environ) - 1; i >= 0; i-- {
		if e := environ[i]; len(e) > len(name) && e[len(name)] == '=' && e[:len(name)] == name {
			return e[len(name)+1:], true
		}
	}
	return "", false
}
