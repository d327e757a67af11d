package queuemgr

import (
	"log/slog"
	"os"
	"path/filepath"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/runner/launch"
	"github.com/queuemgr/queuemgr/internal/systemd"
)

// runnerStarter connects to the runner of a home: the small binary beside this program, or this
// program as `queuemgr _runner`.
func runnerStarter(p config.Paths, log *slog.Logger) *launch.Starter {
	s := &launch.Starter{Socket: p.RunnerSocket(), Journal: p.RunnerJournal(), Lock: p.RunnerLock(), LogFile: p.RunnerLog(), Log: log,
		Program: os.Args[0], Args: []string{"_runner"}}
	if runnerIsUnit(p) {
		s.Program = ""
		return s
	}
	self, err := os.Executable()
	if err != nil {
		return s
	}
	s.Program = self
	small := filepath.Join(filepath.Dir(self), "queuemgr-runner")
	if info, err := os.Stat(small); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		s.Program, s.Args = small, nil
	}
	if p.System {
		s.Args = append(s.Args, "--system")
	}
	return s
}

// runnerIsUnit reports whether it is for systemd to start the runner, in a unit of its own. The system's is root.
func runnerIsUnit(p config.Paths) bool {
	if p.System {
		return systemd.Supervised() || os.Geteuid() != 0 || systemd.InUnit() && systemd.HasUnit(install.RunnerUnit)
	}
	return systemd.MemberOf(os.Getpid()).Unit == install.DaemonUnit && install.HasUserUnit(p.Home, os.Environ())
}
