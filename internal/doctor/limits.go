package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/regular"
)

// spare is how many descriptors and processes a runner needs beside one for each job.
const spare = 128

// limits looks whether the runner and the machine have room for as many jobs as the settings allow at once.
func (e *exam) limits(context.Context) {
	need := e.Config.MaxConcurrentJobs + spare
	if n, err := e.number("/proc/sys/kernel/pid_max"); err == nil {
		if n < 2*need {
			e.warn("/proc/sys/kernel/pid_max", fmt.Sprintf("sudo sysctl -w kernel.pid_max=%d", max(4*need, 32768)),
				"the machine has numbers for %d processes, and max_concurrent_jobs is %d", n, e.Config.MaxConcurrentJobs).note(fewerJobs)
		} else {
			e.ok("/proc/sys/kernel/pid_max", "the machine has numbers for %d processes", n)
		}
	}
	if n, err := strconv.ParseInt(e.units[install.RunnerUnit]["TasksMax"], 10, 64); err == nil && n < need {
		e.warn(install.RunnerUnit, e.dropInFor("TasksMax=infinity"), "TasksMax=%d is less than max_concurrent_jobs, %d, needs", n, e.Config.MaxConcurrentJobs).note(fewerJobs)
	}
	pid := e.runnerPID()
	if pid <= 0 {
		return
	}
	name := fmt.Sprintf("/proc/%d/limits", pid)
	data, err := regular.ReadFile(e.path(name))
	if err != nil {
		e.skip(name, err, "the runner's limits can't be read: %v", reason(err))
		return
	}
	for _, l := range []struct{ title, directive, what string }{
		{"Max open files", "LimitNOFILE", "open files of the runner, which has one for each job"},
		{"Max processes", "LimitNPROC", "processes of one user"},
	} {
		n, unlimited := softLimit(string(data), l.title)
		switch {
		case unlimited:
			e.ok("", "no bound to %s", l.what)
		case n < need:
			remedy, note := e.verb("stop")+" && "+e.start(), "in a shell with a higher limit (ulimit); "+endsJobs
			if e.underSystemd() {
				remedy, note = e.dropInFor(fmt.Sprintf("%s=%d", l.directive, max(2*need, 4096)))+" && "+remedy, endsJobs
			}
			e.warn("", remedy, "the bound of %d %s is less than max_concurrent_jobs, %d, needs", n, l.what, e.Config.MaxConcurrentJobs).note(note).note(fewerJobs)
		default:
			e.ok("", "room for %d %s", n, l.what)
		}
	}
}

const fewerJobs = "or lower the setting max_concurrent_jobs"

// dropInFor is how to give the runner's unit a directive.
func (e *exam) dropInFor(line string) string {
	dir := filepath.Join(e.inst.UnitDir, install.RunnerUnit+".d")
	name, _, _ := strings.Cut(line, "=")
	return e.sudo("mkdir -p "+Quote(dir)) + fmt.Sprintf(" && printf '[Service]\\n%s\\n' | ", line) +
		e.sudo("tee "+Quote(filepath.Join(dir, strings.ToLower(name)+".conf")), e.systemctl("daemon-reload"))
}

// runnerPID is the runner's process, 0 or less where it is not known.
func (e *exam) runnerPID() int {
	if e.status != nil && e.status.Runner.PID > 0 {
		return e.status.Runner.PID
	}
	if u := e.units[install.RunnerUnit].Unit(); u.MainPID > 0 {
		return u.MainPID
	}
	return e.holder(e.Paths.RunnerLock())
}

// softLimit finds the soft limit in /proc/PID/limits; what is not there is no bound.
func softLimit(text, title string) (n int64, unlimited bool) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, title); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, err := strconv.ParseInt(f[0], 10, 64)
				return n, err != nil
			}
		}
	}
	return 0, true
}

func (e *exam) number(name string) (int64, error) {
	data, err := regular.ReadFile(e.path(name))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
}
