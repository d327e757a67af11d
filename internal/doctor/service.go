package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/internal/flock"
	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/regular"
	"github.com/queuemgr/queuemgr/job"
)

// service looks whether the daemon runs and answers.
func (e *exam) service(context.Context) {
	u, asked := e.units[install.DaemonUnit]
	switch {
	case e.status != nil:
		e.ok(e.Paths.Socket(), "the daemon answers, pid %d", e.status.PID)
		for _, p := range e.status.Problems {
			e.problem("", e.log(), "the daemon says: %s", p)
		}
		if asked && e.system() && u.Unit().MainPID != e.status.PID {
			e.warn("", e.sudo(e.Command+" daemon stop --keep-jobs", e.systemctl("start queuemgr")), "the daemon that runs, pid %d, is not systemd's: it is not started again when it fails", e.status.PID)
		}
	case job.CodeOf(e.statusErr) == job.Forbidden || errors.Is(e.statusErr, fs.ErrPermission):
		e.skip(e.Paths.Socket(), fs.ErrPermission, "you may not ask the daemon")
		if asked && !u.Unit().Runs() {
			e.down(u)
		}
	case e.daemon > 0:
		e.problem(e.Paths.RegistryLock(), fmt.Sprintf("ps -fp %d", e.daemon), "process %d holds the registry, and no daemon answers: it starts, hangs, or is a registry command", e.daemon).
			note("says what it is").or("what it said, if it is a daemon", e.log()).or("ends a daemon that hangs", e.restart())
	case asked:
		e.down(u)
	case e.system():
		e.problem("", e.start(), "the daemon does not run")
	default:
		e.warn("", e.start(), "the daemon does not run")
	}
	e.pidFile()
}

// down tells of a service that systemd should run and does not.
func (e *exam) down(u unit) {
	switch {
	case u["LoadState"] == "masked" || u["LoadState"] == "not-found": // units and installation say so
	case u["ActiveState"] == "failed":
		e.problem(install.DaemonUnit, e.log(), "the daemon has failed (%s)", u["Result"]).note("says why").or("when that is mended", e.start())
	case u["ActiveState"] == "activating":
		e.problem(install.DaemonUnit, e.log(), "the daemon is starting, or fails again and again (%s)", u["SubState"])
	case u["ActiveState"] == "inactive":
		e.problem(install.DaemonUnit, e.start(), "the service is stopped: no job is started")
	default:
		e.problem(install.DaemonUnit, e.log(), "no daemon answers, though its unit is %s", u["ActiveState"])
	}
}

// pidFile looks whether daemon.pid, which scripts read, says the truth.
func (e *exam) pidFile() {
	name := e.Config.PIDFile
	data, err := regular.ReadFile(e.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		if e.status != nil && !e.ownPIDFile(e.status.PID) {
			e.warn(name, e.restart(), "the daemon's PID file is gone").note(keepsJobs)
		}
		return
	}
	if err != nil {
		e.skip(name, err, "the PID file can't be read: %v", reason(err))
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	switch running := e.runningPID(); {
	case err != nil:
		e.warn(name, e.restart(), "the PID file holds no number").note(keepsJobs)
	case running < 0:
	case running == 0:
		e.problem(name, e.start(), "the PID file names process %d, and no daemon runs: the last one was killed", pid)
	case pid != running:
		e.warn(name, e.restart(), "the PID file names process %d, and the daemon is %d", pid, running).note(keepsJobs)
	default:
		e.ok(name, "the PID file names the daemon")
	}
}

// ownPIDFile reports whether a daemon was given another PID file, or whether that can't be known.
func (e *exam) ownPIDFile(pid int) bool {
	line, err := regular.ReadFile(e.path(fmt.Sprintf("/proc/%d/cmdline", pid)))
	return err != nil || strings.Contains(string(line), "\x00--pidfile")
}

// runningPID is the daemon's process, 0 for none, -1 for not known.
func (e *exam) runningPID() int {
	if e.status != nil {
		return e.status.PID
	}
	return e.daemon
}

// holder returns the process that holds a lock: 0 for none, -1 where it can't be known.
func (e *exam) holder(lock string) int { return flock.Holder(e.path(lock), e.path(flock.Table)) }

// connectedWithin is how long a daemon may take to find a runner when one of them has just begun.
const connectedWithin = 10 * time.Second

// askDaemon asks the daemon for its state. One that looks for a runner which is there, or has itself just begun, is
// given the time to find it: that is no fault.
func (e *exam) askDaemon(ctx context.Context) {
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for last := time.Now().Add(connectedWithin); ; {
		e.status, e.statusErr = e.Ask(ctx)
		if e.status == nil || e.status.Runner.PID > 0 || time.Now().After(last) ||
			time.Duration(e.status.Uptime) > connectedWithin && e.holder(e.Paths.RunnerLock()) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// runner looks whether the runner lives, and so can do anything for the daemon.
func (e *exam) runner(context.Context) {
	u, asked := e.units[install.RunnerUnit]
	pid := e.holder(e.Paths.RunnerLock())
	start := e.sudo(e.systemctl("start queuemgr-runner"))
	switch {
	case asked && u["ActiveState"] == "failed":
		e.problem(install.RunnerUnit, e.log(), "the runner has failed (%s)", u["Result"]).note("says why").or("when that is mended", start)
	case asked && !u.Unit().Runs() && e.units[install.DaemonUnit].Unit().Runs():
		e.problem(install.RunnerUnit, start, "the runner does not run: no job is started")
	case e.status != nil && e.status.Runner.PID == 0 && len(e.status.Problems) == 0:
		e.problem(e.Paths.RunnerSocket(), e.log(), "the daemon has no connection to its runner")
	case e.status != nil && e.status.Runner.PID > 0:
		e.ok("", "the runner answers the daemon, pid %d", e.status.Runner.PID)
	case pid > 0 && e.runningPID() == 0 && !asked:
		e.ok("", "the runner goes on with its jobs while no daemon lives, pid %d", pid)
	}
}
