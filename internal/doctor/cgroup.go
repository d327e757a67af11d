package doctor

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/regular"
)

const unifiedNote = "boot with the kernel parameter systemd.unified_cgroup_hierarchy=1"

// cgroup looks whether limits of all jobs together, which are those of the runner's control group, can hold.
func (e *exam) cgroup(context.Context) {
	mounts, err := regular.ReadFile(e.path("/proc/mounts"))
	if err != nil {
		e.skip("/proc/mounts", err, "the mounts can't be read: %v", reason(err))
		return
	}
	place, unified := cgroupMount(string(mounts))
	u := e.units[install.RunnerUnit]
	switch {
	case place == "":
		if u != nil {
			e.warn("", "", "no control groups of version 2 are mounted: limits of all jobs together may not hold").note(unifiedNote)
		} else {
			e.ok("", "no control groups of version 2: nothing here needs them")
		}
		return
	case !unified && u != nil:
		e.warn(place, "", "control groups are of versions 1 and 2 mixed: MemoryMax=, CPUWeight= and IOWeight= of %s may not hold", install.RunnerUnit).note(unifiedNote)
		return
	case u == nil || u["ControlGroup"] == "":
		e.ok(place, "control groups of version 2 are there")
		return
	}
	file := filepath.Join(place, u["ControlGroup"], "cgroup.controllers")
	data, err := regular.ReadFile(e.path(file))
	if err != nil {
		e.skip(file, err, "the runner's control group can't be looked at: %v", reason(err))
		return
	}
	there := strings.Fields(string(data))
	fine := true
	for _, l := range []struct{ property, none, controller string }{
		{"MemoryMax", "infinity", "memory"}, {"MemoryHigh", "infinity", "memory"}, {"CPUWeight", "[not set]", "cpu"},
		{"CPUQuotaPerSecUSec", "infinity", "cpu"}, {"TasksMax", "infinity", "pids"}, {"IOWeight", "[not set]", "io"},
	} {
		if value := u[l.property]; value != "" && value != l.none && value != "18446744073709551615" && !slices.Contains(there, l.controller) {
			fine = false
			e.warn(file, "", "%s=%s is set on %s, and does not hold: the controller %s is not there", l.property, value, install.RunnerUnit, l.controller).
				note("have the machine, or the container's host, give the controller " + l.controller + " (kernel parameter cgroup_enable=" + l.controller + ", or Delegate= on the host)")
		}
	}
	if fine {
		e.ok(file, "control groups of version 2; controllers of the runner's: %s", strings.Join(append(there, ""), " "))
	}
}

// cgroupMount finds where control groups of version 2 are mounted in /proc/mounts, and whether they are the only ones.
func cgroupMount(mounts string) (place string, unified bool) {
	unified = true
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		switch f[2] {
		case "cgroup2":
			if place == "" {
				place = f[1]
			}
		case "cgroup":
			if f[1] != "/sys/fs/cgroup/systemd" {
				unified = false
			}
		}
	}
	return place, unified
}
