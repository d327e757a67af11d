package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

// settle is how long a daemon may take to end beyond the time its jobs have.
const settle = 15 * time.Second

// stopDaemon ends the daemon of the home and waits for its end. It reports false when none runs.
func (a *app) stopDaemon(ctx context.Context, keep bool) (bool, error) {
	svc, err := a.svc()
	if err != nil {
		return false, err
	}
	status, err := svc.Status(ctx)
	if job.CodeOf(err) == job.Unavailable {
		return a.awaitSilent(ctx, err)
	}
	if err != nil {
		return false, err
	}
	// The descriptor comes first: it stays that process's whatever becomes of its number.
	fd, err := unix.PidfdOpen(status.PID, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return false, fmt.Errorf("watching the daemon, process %d: %w", status.PID, err)
	}
	if err == nil {
		defer unix.Close(fd) //nolint:errcheck // nothing was written to it
	} else {
		fd = -1
	}
	if err := svc.Shutdown(ctx, keep); err != nil && job.CodeOf(err) != job.Unavailable {
		return false, err
	}
	return true, a.awaitEnd(ctx, fd, status.PID)
}

// awaitSilent waits for a daemon that holds its lock and does not answer: it is ending already.
func (a *app) awaitSilent(ctx context.Context, unreachable error) (bool, error) {
	paths, err := config.FindPaths(a.home, a.Environ, config.ForClient)
	if err != nil {
		return false, err
	}
	pid := lockHolder(paths.RegistryLock(), "/proc/locks")
	if pid == 0 {
		if _, err := os.Stat(paths.Run); errors.Is(err, os.ErrPermission) {
			return false, unreachable // it cannot be told that none runs
		}
		return false, nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("watching the daemon, process %d: %w", pid, err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written to it
	return true, a.awaitEnd(ctx, fd, pid)
}

// awaitEnd waits until the process behind a pidfd has ended; -1 is one that has.
func (a *app) awaitEnd(ctx context.Context, fd, pid int) error {
	if fd < 0 {
		return nil
	}
	limit := settle
	if c, err := config.Load(config.Sources{Home: a.home, Environ: a.Environ, Use: config.ForClient}); err == nil {
		limit += c.ShutdownTimeout
	} else {
		limit += 30 * time.Second // its settings cannot be read: the default
	}
	wake, err := newWaker(ctx)
	if err != nil {
		return err
	}
	defer wake.close()
	deadline := a.now().Add(limit)
	for {
		left := deadline.Sub(a.now())
		if left <= 0 {
			return &job.Error{Code: job.Internal, Message: fmt.Sprintf("the daemon, process %d, has not ended after %s", pid, elapsed(limit)),
				Hint: "see daemon.log; it may still be stopping jobs. SIGKILL ends it and leaves jobs running"}
		}
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(wake.fd), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, int(left/time.Millisecond)+1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("waiting for the daemon, process %d: %w", pid, err)
		case fds[0].Revents != 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// lockHolder returns the process that holds the flock of a file and wrote its number into it, 0
// for none. It reads the kernel's list of locks: to try the lock could keep a daemon from it.
func lockHolder(name, locks string) int {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil || pid < 1 {
		return 0
	}
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	held, err := os.ReadFile(locks)
	if err != nil {
		return 0
	}
	// 1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF
	for line := range strings.Lines(string(held)) {
		f := strings.Fields(line)
		if len(f) >= 6 && f[1] == "FLOCK" && f[4] == strconv.Itoa(pid) && strings.HasSuffix(f[5], ":"+strconv.FormatUint(stat.Ino, 10)) {
			return pid
		}
	}
	return 0
}
