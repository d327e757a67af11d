package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/internal/systemd"
	"github.com/queuemgr/queuemgr/job"
)

// readyWithin bounds how long a start may take; the unit's own limit comes first, but for a registry
// that is being brought up to date.
const readyWithin = 10 * time.Minute

// manager is the one that the service belongs to.
func (r *run) manager() systemd.Manager {
	return systemd.Manager{User: r.Kind == User, Exec: r.Exec}
}

// systemctl runs systemctl for the manager that the service belongs to.
func (r *run) systemctl(ctx context.Context, args ...string) error {
	return r.run1(ctx, "systemctl", r.manager().Args(args...)...)
}

// unit is a step that writes a unit and remembers whether that changed it.
func (r *run) unit(name, asset string, values map[string]string) step {
	s := r.asset(filepath.Join(r.units, name), asset, values)
	todo := s.todo
	s.todo = func(ctx context.Context) (string, error) {
		what, err := todo(ctx)
		if what != "" {
			r.unitChanged = true
		}
		return what, err
	}
	return s
}

// verifyUnits is a step that has systemd look through units that have changed.
func (r *run) verifyUnits() step {
	return step{
		todo: func(context.Context) (string, error) {
			if !r.unitChanged {
				return "", nil
			}
			return "have systemd check the units", nil
		},
		do: func(ctx context.Context) (func(context.Context) error, error) {
			args := []string{"verify", "--man=no", r.path(filepath.Join(r.units, daemonUnit)), r.path(filepath.Join(r.units, runnerUnit))}
			if r.Kind == User {
				args = append([]string{"--user"}, args...)
			}
			out, err := r.Exec(ctx, "systemd-analyze", args...)
			if errors.Is(err, exec.ErrNotFound) {
				return nil, nil
			}
			// It also speaks of units that ours need: those are not our concern.
			if strings.Contains(out, "queuemgr") {
				return nil, fmt.Errorf("systemd finds fault with the units%s", systemd.Tail(out))
			}
			return nil, nil
		},
	}
}

// reload is a step that makes systemd read units again.
func (r *run) reload() step {
	return step{
		todo: func(ctx context.Context) (string, error) {
			u, err := r.manager().Unit(ctx, daemonUnit)
			if err != nil || !r.unitChanged && !u.Stale {
				return "", err
			}
			return "have systemd read its units again", nil
		},
		do: func(ctx context.Context) (func(context.Context) error, error) {
			return nil, r.systemctl(ctx, "daemon-reload")
		},
	}
}

// enable is a step that has the service started when the machine is.
func (r *run) enable() step {
	return step{
		todo: func(ctx context.Context) (string, error) {
			u, err := r.manager().Unit(ctx, daemonUnit)
			if err != nil || u.Enabled() {
				return "", err
			}
			return "enable " + daemonUnit + ": it starts with the machine", nil
		},
		do: func(ctx context.Context) (func(context.Context) error, error) {
			if err := r.systemctl(ctx, "enable", daemonUnit); err != nil {
				return nil, err
			}
			return func(ctx context.Context) error { return r.systemctl(ctx, "disable", daemonUnit) }, nil
		},
	}
}

// start is a step that starts the daemon, or restarts one that runs another program or unit than is
// installed, and returns when it is ready. Jobs are not touched.
func (r *run) start() step {
	restart := false
	return step{
		todo: func(ctx context.Context) (string, error) {
			u, err := r.manager().Unit(ctx, daemonUnit)
			switch {
			case err != nil:
				return "", err
			case !u.Runs():
				return "start " + daemonUnit + " and wait until it is ready", nil
			case r.unitChanged || r.programsDiffer() || !r.runsInstalled(u):
				restart = true
				return "restart " + daemonUnit + " and wait until it is ready; jobs go on running", nil
			}
			return "", nil
		},
		do: func(ctx context.Context) (func(context.Context) error, error) {
			if err := r.keepBackup(); err != nil {
				return nil, err
			}
			verb := "start"
			r.tried = true
			if restart {
				verb = "restart"
				r.restarted = true
			}
			bounded, cancel := context.WithTimeout(ctx, readyWithin)
			defer cancel()
			err := r.systemctl(bounded, verb, daemonUnit)
			if err == nil {
				var u systemd.Unit
				if u, err = r.manager().Unit(ctx, daemonUnit); err == nil && u.Active != "active" {
					err = fmt.Errorf("it is %s", u.Active)
				}
			}
			if err != nil {
				err = &job.Error{Code: job.Internal, Err: err, Message: fmt.Sprintf("the daemon did not become ready: %v%s", err, r.manager().LastWords(ctx, daemonUnit)),
					Hint: "the whole log: journalctl " + strings.Join(r.manager().Args("-u", daemonUnit), " ")}
				if !r.wasActive {
					err = errors.Join(err, r.systemctl(context.WithoutCancel(ctx), "stop", daemonUnit, runnerUnit))
				}
				return nil, err
			}
			if r.wasActive {
				return nil, nil
			}
			return func(ctx context.Context) error { return r.systemctl(ctx, "stop", daemonUnit, runnerUnit) }, nil
		},
	}
}

// startRunner is a step that sees to it that the runner runs, and waits for it: the daemon has only wished for it.
func (r *run) startRunner() step {
	return step{
		todo: func(ctx context.Context) (string, error) {
			u, err := r.manager().Unit(ctx, runnerUnit)
			if err != nil || u.Active == "active" {
				return "", err
			}
			return "see to it that " + runnerUnit + " runs", nil
		},
		do: func(ctx context.Context) (func(context.Context) error, error) {
			bounded, cancel := context.WithTimeout(ctx, readyWithin)
			defer cancel()
			return nil, r.systemctl(bounded, "start", runnerUnit)
		},
	}
}

// runsInstalled reports whether the process of u runs the program that is installed. A build that
// replaced the program while it ran is noticed, too.
func (r *run) runsInstalled(u systemd.Unit) bool {
	running, err := os.Stat(r.path(fmt.Sprintf("/proc/%d/exe", u.MainPID)))
	if err != nil {
		return true // it is about to end or to start
	}
	installed, err := os.Stat(r.path(filepath.Join(r.bin, program)))
	return err == nil && os.SameFile(running, installed)
}

// serveAgain brings the service back to how it ran, after everything else has been undone.
func (r *run) serveAgain(ctx context.Context) error {
	var err error
	if r.unitChanged {
		err = r.systemctl(ctx, "daemon-reload")
	}
	if !r.wasActive {
		// A unit that failed and is gone would still be listed; one that never failed is an error here.
		_, _ = r.Exec(ctx, "systemctl", r.manager().Args("reset-failed", daemonUnit, runnerUnit)...)
	}
	if !r.restarted {
		return err
	}
	r.say("start the old daemon again")
	bounded, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	failed := r.systemctl(bounded, "restart", daemonUnit)
	if failed != nil && r.backup != "" {
		// The new daemon may have brought the registry to a form that the old one refuses.
		failed = r.restoreRegistry(bounded, failed)
	}
	if failed != nil {
		return errors.Join(err, fmt.Errorf("the old daemon does not start either: %w; jobs go on running, look into it: journalctl -u %s", failed, daemonUnit))
	}
	return err
}
