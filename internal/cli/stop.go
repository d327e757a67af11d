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

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

// silence is how long a daemon that does not answer is left before it is asked again.
const silence = 50 * time.Millisecond

// settle is how long a daemon may take to end beyond the time its jobs have.
const settle = 15 * time.Second

// stopDaemon ends the daemon of the home and waits for its end. It reports false when none runs.
func (a *app) stopDaemon(ctx context.Context, keep bool) (bool, error) {
	status, err := a.answering(ctx)
	if status == nil || err != nil {
		return false, err
	}
	svc, err := a.ownDaemon()
	if err != nil {
		return false, err
	}
	// The descriptor comes first: it stays that process's whatever becomes of its number.
	fd, err := openProcess(status.PID)
	if err != nil {
		return false, err
	}
	defer fd.close()
	if n := status.Runner.Running; n > 0 && !keep {
		a.warn("stopping %s, which may take up to %s", plural(int64(n), "job"), elapsed(time.Duration(status.ShutdownTimeout)))
	}
	if err := svc.Shutdown(ctx, keep); err != nil && job.CodeOf(err) != job.Unavailable {
		return false, err
	}
	limit := a.stopLimit()
	if d := time.Duration(status.ShutdownTimeout); d > 0 {
		limit = settle + d // what it was started with; an older daemon does not say
	}
	ended, err := fd.await(ctx, limit)
	if err == nil && !ended {
		err = &job.Error{Code: job.Internal, Message: fmt.Sprintf("the daemon, process %d, has not ended after %s", status.PID, elapsed(limit)),
			Hint: "see daemon.log; it may still be stopping jobs. SIGKILL ends it and leaves jobs running"}
	}
	return true, err
}

// answering returns the status of the daemon, nil when none runs. One that holds its lock and
// does not answer is starting or ending: it is waited for until it does the one or the other.
func (a *app) answering(ctx context.Context) (*job.Status, error) {
	svc, err := a.ownDaemon()
	if err != nil {
		return nil, err
	}
	paths, err := config.FindPaths(a.home, a.Environ, config.ForDaemon)
	if err != nil {
		return nil, err
	}
	deadline := a.now().Add(a.stopLimit())
	for {
		status, unreachable := svc.Status(ctx)
		if job.CodeOf(unreachable) != job.Unavailable {
			return status, unreachable
		}
		pid := lockHolder(paths.RegistryLock(), "/proc/locks")
		if pid == 0 {
			if _, err := os.Stat(paths.Lib); errors.Is(err, os.ErrPermission) {
				return nil, unreachable // it cannot be told that none runs
			}
			return nil, nil
		}
		fd, err := openProcess(pid)
		if err != nil {
			return nil, err
		}
		ended, err := fd.await(ctx, silence)
		fd.close()
		switch {
		case err != nil:
			return nil, err
		case !ended && a.now().After(deadline):
			return nil, &job.Error{Code: job.Unavailable, Message: fmt.Sprintf("the daemon, process %d, does not answer", pid),
				Hint: "see daemon.log. SIGKILL ends it and leaves jobs running"}
		}
	}
}

// stopLimit is how long a daemon may take to end.
func (a *app) stopLimit() time.Duration {
	c, err := config.Load(config.Sources{Home: a.home, Environ: a.Environ, Use: config.ForDaemon})
	if err != nil {
		return settle + 30*time.Second // its settings cannot be read: the default
	}
	return settle + c.ShutdownTimeout
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
