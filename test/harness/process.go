package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a living process as /proc shows it.
type Process struct {
	PID     int
	Session int    // its session's number; 0 when it ended meanwhile
	Command string // its command line
}

func (p Process) String() string { return fmt.Sprintf("%d %s", p.PID, p.Command) }

// Processes returns every living process that was started from the home: daemon, runner, jobs.
// Zombies carry no environment and are not among them.
func (s *Service) Processes() ([]Process, error) {
	return ProcessesWith(markName + "=" + s.Home)
}

// ProcessesWith returns every living process with the entry KEY=VALUE in its environment.
func ProcessesWith(entry string) ([]Process, error) {
	var found []Process
	err := eachPID(func(pid int) {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			return // it ended, or is another user's
		}
		for _, e := range bytes.Split(env, []byte{0}) {
			if string(e) == entry {
				session, err := unix.Getsid(pid)
				if err != nil {
					session = 0
				}
				found = append(found, Process{PID: pid, Session: session, Command: commandLine(pid)})
				return
			}
		}
	})
	return found, err
}

// Children returns the children of a process with their state letters (proc_pid_stat(5)).
func Children(parent int) (map[int]byte, error) {
	children := map[int]byte{}
	err := eachPID(func(pid int) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return
		}
		// The name in parentheses may hold anything, so what follows is read from the last ")".
		rest := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(rest) > 1 && rest[1] == strconv.Itoa(parent) {
			children[pid] = rest[0][0]
		}
	})
	return children, err
}

func eachPID(f func(pid int)) error {
	dir, err := os.Open("/proc")
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			f(pid)
		}
	}
	return nil
}

func commandLine(pid int) string {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return "(ended)"
	}
	return strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
}

// WaitGone returns when no process started from the home lives any more.
func (s *Service) WaitGone(ctx context.Context) error {
	for {
		left, err := s.Processes()
		if err != nil || len(left) == 0 {
			return err
		}
		for _, p := range left {
			if err := WaitPID(ctx, p.PID); err != nil {
				return err
			}
		}
	}
}

// KillPID sends SIGKILL and returns when the process is gone.
func KillPID(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pidfd of %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill %d: %w", pid, err)
	}
	return waitPidfd(ctx, fd, pid)
}

// WaitPID returns when the process, which need not be a child, has ended.
func WaitPID(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) { // EINVAL: no longer a group leader
		return nil
	}
	if err != nil {
		return fmt.Errorf("pidfd of %d: %w", pid, err)
	}
	defer unix.Close(fd)
	return waitPidfd(ctx, fd, pid)
}

func waitPidfd(ctx context.Context, fd, pid int) error {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("process %s did not end: %w", Process{PID: pid, Command: commandLine(pid)}, err)
		}
		// poll(2) knows no context: it wakes now and then to look at it.
		n, err := unix.Poll(fds, int((100 * time.Millisecond).Milliseconds()))
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
	}
}

// Usage is what a process holds.
type Usage struct {
	RSS            int64 // bytes
	Threads        int
	Descriptors    int
	MaxDescriptors uint64        // its limit of them, which it may not raise
	CPU            time.Duration // of all its threads
}

// ProcessUsage reads what a process holds from /proc.
func ProcessUsage(pid int) (Usage, error) {
	var u Usage
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		n, _ := strconv.ParseInt(fields[0], 10, 64) // 0 for lines that hold no number: none is used
		switch name {
		case "VmRSS":
			u.RSS = n << 10
		case "Threads":
			u.Threads = int(n)
		}
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return u, err
	}
	u.Descriptors = len(fds)
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		return u, fmt.Errorf("limit of descriptors of %d: %w", pid, err)
	}
	u.MaxDescriptors = limit.Max
	u.CPU, err = cpuTime(pid)
	return u, err
}

// cpuTime sums the nanoseconds on a CPU of all threads that live.
func cpuTime(pid int) (time.Duration, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, t := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, t.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread ended just now
		}
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("schedstat of %d: %w", pid, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}
