package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// backupFile is a copy of the registry from before the last upgrade. That of an upgrade stays beside it as
// newBackup until the new daemon is tried: one that fails before leaves what was there.
const (
	backupFile = libDir + "/registry.db.before-upgrade"
	newBackup  = backupFile + ".new"
)

// backupRegistry is a step that has the old program copy the registry before a new one may bring it to
// another form. It runs as the daemon's user: the folder is that user's.
func (r *run) backupRegistry() step {
	old := ""
	return step{
		todo: func(ctx context.Context) (string, error) {
			if !r.installed || !r.programsDiffer() {
				return "", nil
			}
			if _, err := os.Stat(r.path(libDir + "/registry.db")); err != nil {
				return "", nil //nolint:nilerr // no registry yet
			}
			old = r.path(filepath.Join(r.bin, program))
			if r.builtInPlace() {
				old += previous
			}
			if !r.knows(ctx, old, "backup") {
				return "", nil
			}
			return "back up the registry to " + backupFile, nil
		},
		do: func(ctx context.Context) (func(context.Context) error, error) {
			if err := removeIfThere(r.path(newBackup)); err != nil {
				return nil, err
			}
			if err := r.run1(ctx, "runuser", "-u", daemonUser, "--", old, "registry", "backup", r.path(newBackup)); err != nil {
				return nil, errors.Join(err, removeIfThere(r.path(newBackup)))
			}
			r.backup = newBackup
			return nil, nil // going back may need it
		},
	}
}

// keepBackup has the copy that this run made take the place of the one before.
func (r *run) keepBackup() error {
	if r.backup != newBackup {
		return nil
	}
	if err := os.Rename(r.path(newBackup), r.path(backupFile)); err != nil {
		return err
	}
	r.backup = backupFile
	return nil
}

// knows reports whether a program has the command `registry VERB`.
func (r *run) knows(ctx context.Context, file, verb string) bool {
	out, err := r.Exec(ctx, file, "registry", verb, "--help")
	return err == nil && strings.Contains(out, "queuemgr registry "+verb+" ")
}

// restoreRegistry puts the copy back, for the old daemon that did not start because of failed, and
// starts it.
func (r *run) restoreRegistry(ctx context.Context, failed error) error {
	old := r.path(filepath.Join(r.bin, program))
	if !r.knows(ctx, old, "restore") {
		return failed
	}
	r.say("the old daemon refuses the registry: put back the copy from before the upgrade")
	err := r.systemctl(ctx, "stop", "--job-mode=ignore-dependencies", daemonUnit) // the runner and its jobs go on
	if err == nil {
		err = r.run1(ctx, "runuser", "-u", daemonUser, "--", old, "registry", "restore", r.path(r.backup))
	}
	if err == nil {
		err = r.systemctl(ctx, "start", daemonUnit)
	}
	if err != nil {
		return fmt.Errorf("%w; putting back the registry from %s: %w", failed, r.backup, err)
	}
	return nil
}
