package systemd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Member is the unit that a process belongs to.
type Member struct {
	Unit string
	UID  int // of the user whose manager has the unit, -1 for the system's
}

// MemberOf returns the service that the process pid was started in, "" for none: it belongs to a
// session, or systemd does not rule here.
func MemberOf(pid int) Member {
	if !Rules() {
		return Member{}
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return Member{} // it has ended
	}
	return member(string(text))
}

// member reads what /proc/PID/cgroup says, in which systemd names its units: systemd's own tree is
// the only one of cgroup v2, and called name=systemd beside those of v1.
func member(cgroups string) Member {
	for line := range strings.Lines(cgroups) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 || f[0] != "0" && f[1] != "name=systemd" {
			continue
		}
		of := Member{UID: -1}
		for part := range strings.SplitSeq(f[2], "/") {
			name, isService := strings.CutSuffix(part, ".service")
			if !isService {
				continue
			}
			if uid, ok := strings.CutPrefix(name, "user@"); ok && of.UID < 0 {
				n, err := strconv.Atoi(uid)
				if err != nil {
					return Member{}
				}
				of.UID = n
				continue
			}
			of.Unit = part
			return of
		}
	}
	return Member{}
}

// InUnit reports whether a service manager started this process as a unit's, of whatever type: one of
// Type=forking has nobody who waits for its word.
func InUnit() bool {
	return os.Getenv("INVOCATION_ID") != "" && MemberOf(os.Getpid()).Unit != ""
}

// unitFolders are where units of the system are; systemd.unit(5).
var unitFolders = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// HasUnit reports whether the system has a file of a unit. It asks nobody.
func HasUnit(name string) bool {
	for _, dir := range unitFolders {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// Runs returns the manager and the unit whose main process pid is, ok false for none or one of
// another user's manager, which cannot be asked.
func Runs(ctx context.Context, pid int) (m Manager, name string, u Unit, ok bool) {
	of := MemberOf(pid)
	if of.Unit == "" || of.UID >= 0 && of.UID != os.Geteuid() {
		return m, "", u, false
	}
	m.User = of.UID >= 0
	u, err := m.Unit(ctx, of.Unit)
	return m, of.Unit, u, err == nil && u.MainPID == pid
}
