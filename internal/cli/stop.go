package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/flock"
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
		pid := flock.Holder(paths.RegistryLock(), flock.Table)
		if pid <= 0 {
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
