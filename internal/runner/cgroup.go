package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// emptyCgroup kills every process of this unit's control group but itself: systemd runs it when the
// runner has ended, as ExecStopPost=. Jobs are to outlive a runner that crashed, and the next one takes
// them over; so it does nothing unless the stop was meant, which systemd says in SERVICE_RESULT. It
// returns the exit code.
func emptyCgroup(log *slog.Logger) int {
	switch result := os.Getenv("SERVICE_RESULT"); result {
	case "success", "timeout":
	case "":
		log.Info("nothing is killed: SERVICE_RESULT is not set, so this is no ExecStopPost= of a systemd unit")
		return ExitOK
	default:
		log.Info("nothing is killed: the runner's end was not meant, and the next one takes its jobs over", "service_result", result)
		return ExitOK
	}
	unit, err := findUnitCgroup()
	if err != nil {
		log.Info("nothing is killed: " + err.Error())
		return ExitOK
	}
	left, err := unit.empty(time.Now().Add(emptyWithin))
	if err != nil {
		log.Error("the control group cannot be emptied", "cgroup", unit.dir, "error", err)
		return ExitFailed
	}
	if len(left) > 0 {
		log.Error("processes survive KILL, probably inside the kernel", "cgroup", unit.dir, "pids", left)
		return ExitFailed
	}
	log.Info("the control group is empty", "cgroup", unit.dir)
	return ExitOK
}

const (
	// emptyWithin is how long processes may take to end after KILL.
	emptyWithin = 15 * time.Second
	// controlGroup is where systemd puts its own helpers of a unit with Delegate=yes, and so this one.
	controlGroup = ".control"
)

// unitCgroup is the control group of a systemd unit.
type unitCgroup struct {
	dir  string // in the file system
	path string // in the hierarchy, as /proc/PID/cgroup has it
	self string // path of this process
}

// findUnitCgroup finds the control group of the unit that this process belongs to: in the unified
// hierarchy, or in systemd's own where it is of version 1.
func findUnitCgroup() (*unitCgroup, error) {
	memberships, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for _, controller := range []string{"", "name=systemd"} {
		self, ok := membership(string(memberships), controller)
		if !ok {
			continue
		}
		path := strings.TrimSuffix(self, "/"+controlGroup)
		if !strings.HasSuffix(path, ".service") {
			continue // the whole machine's, a login's: never to be emptied
		}
		for _, dir := range cgroupDirs(string(mounts), controller, path) {
			if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
				return &unitCgroup{dir: dir, path: path, self: self}, nil
			}
		}
	}
	return nil, errors.New("this process is in no control group of a systemd service")
}

// membership finds the path in one hierarchy; controller is "" for the unified one. Lines of
// /proc/PID/cgroup are ID:CONTROLLERS:PATH.
func membership(cgroups, controller string) (string, bool) {
	for line := range strings.Lines(cgroups) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) == 3 && fields[1] == controller {
			return fields[2], true
		}
	}
	return "", false
}

// cgroupDirs lists where path of a hierarchy may be seen. Lines of /proc/self/mountinfo are
// ID PARENT DEVICE ROOT PLACE OPTIONS … - TYPE SOURCE OPTIONS.
func cgroupDirs(mounts, controller, path string) (dirs []string) {
	for line := range strings.Lines(mounts) {
		own, fs, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(own), strings.Fields(fs)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		unified := controller == "" && kind[0] == "cgroup2"
		named := controller != "" && kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), controller)
		rel, beneath := strings.CutPrefix(path, strings.TrimSuffix(fields[3], "/"))
		if (unified || named) && beneath && strings.HasPrefix(rel, "/") {
			dirs = append(dirs, filepath.Join(fields[4], rel))
		}
	}
	return dirs
}

// empty kills until nothing is left, but not beyond deadline. It returns who is left.
func (u *unitCgroup) empty(deadline time.Time) (left []int, err error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if err := u.killChildren(); err != nil {
			return nil, err
		}
		if left, err = u.processes(); err != nil || len(left) == 0 {
			return nil, err
		}
		for _, pid := range left {
			if err := u.kill(pid); err != nil {
				return left, err
			}
		}
		if time.Now().After(deadline) {
			return left, nil
		}
		time.Sleep(wait) // who forks meanwhile is seen by the next look
	}
}

// killChildren uses the kernel's own kill of a whole group, which no fork escapes, for the groups below.
// In the group itself it would end this process, too.
func (u *unitCgroup) killChildren() error {
	entries, err := os.ReadDir(u.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || u.path+"/"+e.Name() == u.self || strings.HasPrefix(u.self, u.path+"/"+e.Name()+"/") {
			continue
		}
		err := os.WriteFile(filepath.Join(u.dir, e.Name(), "cgroup.kill"), []byte("1"), 0)
		// Before Linux 5.14 and in version 1 there is none; a group may be gone meanwhile.
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.ENODEV) {
			return err
		}
	}
	return nil
}

// processes lists who lives in the group and in those below, this process excepted.
func (u *unitCgroup) processes() (pids []int, err error) {
	var proc procfs
	err = filepath.WalkDir(u.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil || !d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if info, err := proc.stat(pid); err == nil && !info.Zombie && pid != os.Getpid() {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids, err
}

// kill sends KILL to pid if that still is a process of the group.
func (u *unitCgroup) kill(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill %d: %w", pid, err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing is left to do with it
	// The handle is to whatever has the pid now.
	groups, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill %d: %w", pid, err)
	}
	if !u.has(string(groups)) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill %d: %w", pid, err)
	}
	return nil
}

// has says whether one of a process's groups is the unit's or below.
func (u *unitCgroup) has(cgroups string) bool {
	for line := range strings.Lines(cgroups) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) == 3 && (fields[2] == u.path || strings.HasPrefix(fields[2], u.path+"/")) {
			return true
		}
	}
	return false
}
