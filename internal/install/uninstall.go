package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// Uninstall stops the service with its jobs and removes it; settings, registry, logs and accounts
// only with Purge. What is left of an earlier removal is removed, too. Errors: as Install; after a failure the
// rest has been removed as far as it could be, and running it again goes on.
func Uninstall(ctx context.Context, o Options) error {
	r, err := newRun(o)
	if err != nil {
		return err
	}
	if err := r.checkUser(); err != nil {
		return err
	}
	if r.Kind == System {
		if err := r.checkPackage(); err != nil {
			return err
		}
	}
	if err := r.stopAll(ctx); err != nil {
		return err
	}
	if r.Kind == Packaged { // the files are the package's to remove
		return nil
	}
	var errs []error
	for _, name := range r.installedFiles() {
		errs = append(errs, r.remove(name))
	}
	if r.booted() && r.changed > 0 && !r.DryRun {
		errs = append(errs, r.systemctl(ctx, "daemon-reload"))
		// It fails for units that never failed and are forgotten already.
		_, _ = r.Exec(ctx, "systemctl", r.manager().Args("reset-failed", daemonUnit, runnerUnit)...)
	}
	if r.Purge {
		errs = append(errs, r.purge(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return &job.Error{Code: job.Internal, Message: fmt.Sprintf("not all of queuemgr could be removed: %v", err), Err: err, Hint: "mend that and run this again: it removes what is left"}
	}
	switch {
	case r.changed == 0:
		r.say("nothing to remove: queuemgr is not installed here")
	case r.DryRun:
		r.say("a dry run: nothing was changed")
	case r.Purge:
		r.say("queuemgr is removed with everything that it kept")
	case r.Kind == User:
		r.say("your own queuemgr is removed; its settings, registry and logs stay: %s", r.home)
	default:
		r.say("queuemgr is removed; settings, registry, logs and accounts stay (%s, %s, %s); to remove them, too: --uninstall --purge", etcDir, libDir, logDir)
	}
	return nil
}

// stopAll stops the daemon and the runner with all jobs, and disables the service.
func (r *run) stopAll(ctx context.Context) error {
	if !r.booted() {
		return nil
	}
	for _, unit := range []string{daemonUnit, runnerUnit} {
		u, err := r.manager().Unit(ctx, unit)
		if err != nil {
			return err
		}
		if u.Runs() || u.Active == "deactivating" {
			if err := r.act("stop "+unit+"; its jobs are stopped gracefully", func() error { return r.systemctl(ctx, "stop", unit) }); err != nil {
				return fmt.Errorf("%w; nothing was removed", err)
			}
		}
		if u.Enabled() {
			if err := r.act("disable "+unit, func() error { return r.systemctl(ctx, "disable", unit) }); err != nil {
				return fmt.Errorf("%w; nothing was removed", err)
			}
		}
	}
	return nil
}

// act does something and says so, or only says so.
func (r *run) act(what string, do func() error) error {
	r.changed++
	if r.DryRun {
		r.say("would %s", what)
		return nil
	}
	r.say("%s", what)
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// installedFiles are files and folders of an installation that hold nothing of the user's.
func (r *run) installedFiles() []string {
	names := []string{filepath.Join(r.units, daemonUnit), filepath.Join(r.units, runnerUnit)}
	for _, unit := range []string{daemonUnit, runnerUnit} {
		// A removal by hand may have left the link of enable.
		names = append(names, filepath.Join(r.units, "multi-user.target.wants", unit), filepath.Join(r.units, "default.target.wants", unit))
	}
	if r.Kind == User {
		return names
	}
	if target, err := os.Readlink(r.path(r.link)); err == nil && filepath.Base(target) == program && strings.HasPrefix(target, r.prefix+"/") {
		names = append(names, r.link)
	}
	names = append(names, r.tmpfiles, logrotateFile, "/run/queuemgr", "/run/queuemgr-runner")
	for name := range r.documents() {
		if filepath.Ext(name) != ".1" {
			names = append(names, name)
		}
	}
	for _, page := range r.pages() {
		names = append(names, strings.TrimPrefix(page, strings.TrimSuffix(r.Root, "/")))
	}
	for _, name := range []string{program, runnerProgram} {
		names = append(names, filepath.Join(r.bin, name), filepath.Join(r.bin, name+previous))
	}
	return append(names, r.defaults(), configFile+".new")
}

// remove removes a file or folder where it is there, and the folders of the prefix that are empty then.
func (r *run) remove(name string) error {
	path := r.path(name)
	if _, err := os.Lstat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return r.act("remove "+name, func() error {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if r.prefix != "" && strings.HasPrefix(name, r.prefix+"/") && r.prefix != "/usr/local" && r.prefix != "/usr" {
			folders{r.path(r.prefix), parent(path)}.remove()
		}
		return nil
	})
}

// purge removes what an installation keeps for its user.
func (r *run) purge(ctx context.Context) error {
	if r.Kind == User {
		return r.remove(r.home)
	}
	var errs []error
	for _, name := range []string{etcDir, libDir, runnerLib, jobHome, logDir,
		filepath.Join(r.units, daemonUnit+".d"), filepath.Join(r.units, runnerUnit+".d")} {
		errs = append(errs, r.remove(name))
	}
	for _, name := range []string{daemonUser, jobUser} {
		if u, err := r.lookup(ctx, "passwd", name); err != nil || u == nil {
			errs = append(errs, err)
		} else {
			errs = append(errs, r.act("remove user "+name, func() error { return r.removeUser(ctx, name) }))
		}
	}
	for _, name := range []string{daemonGroup, memberGroup, jobUser} {
		if g, err := r.lookup(ctx, "group", name); err != nil || g == nil {
			errs = append(errs, err)
		} else {
			errs = append(errs, r.act("remove group "+name, func() error { return r.removeGroup(ctx, name) }))
		}
	}
	return errors.Join(errs...)
}
