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
	if p.System && (systemd.Supervised() || os.Geteuid() != 0 || systemd.InUnit() && systemd.HasUnit(install.RunnerUnit)) {
		s.Program = "" // the runner is root, and a unit of its own
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
