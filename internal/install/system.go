package install

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/queuemgr/queuemgr/packaging"
)

// asset is a step that writes a file of the package packaging, for everybody to read.
func (r *run) asset(name, asset string, values map[string]string) step {
	return r.file(name, packaging.File(asset, values), 0o644, owner{})
}

// systemSteps is the plan of the system's service.
func (r *run) systemSteps() []step {
	steps := []step{r.keptInPlace()}
	steps = append(steps, r.accounts()...)
	steps = append(steps, r.folders()...)
	steps = append(steps,
		r.folder(r.bin, 0o755, owner{}),
		r.backupRegistry(),
		r.program(program), r.program(runnerProgram))
	if link := filepath.Join(r.bin, program); link != r.link { // --prefix /usr/local
		steps = append(steps, r.symlink(r.link, link))
	}
	steps = append(steps,
		r.newDefaults(),
		r.once(configFile, []byte(r.Assets.Config), 0o640, owner{group: daemonGroup}),
		r.once(runAsFile, packaging.File("run-as.toml", nil), 0o644, owner{}),
		r.unit(daemonUnit, daemonUnit, r.values()),
		r.unit(runnerUnit, runnerUnit, r.values()),
		r.verifyUnits(),
		r.asset(r.tmpfiles, "tmpfiles.conf", nil),
		r.runFolders(),
		r.asset(logrotateFile, "logrotate.conf", r.values()))
	for _, name := range slices.Sorted(maps.Keys(r.documents())) {
		steps = append(steps, r.file(name, r.documents()[name], 0o644, owner{}))
	}
	steps = append(steps, r.stalePages(), r.reload())
	if !r.NoStart {
		steps = append(steps, r.enable(), r.start(), r.startRunner())
	}
	return append(steps, r.keepGood(program), r.keepGood(runnerProgram))
}

// packagedSteps is the plan of what a package does not do by having files.
func (r *run) packagedSteps() []step {
	steps := slices.Concat(r.accounts(), r.folders())
	steps = append(steps,
		r.keep(configFile, 0o640, owner{group: daemonGroup}),
		r.keep(runAsFile, 0o644, owner{}),
		r.runFolders())
	if r.booted() {
		steps = append(steps, r.reload())
	}
	if r.NoStart || !r.booted() {
		return steps
	}
	if !r.Upgrade { // what an administrator has switched off stays off
		steps = append(steps, r.enable())
	}
	if !r.Upgrade || r.wasActive {
		steps = append(steps, r.start(), r.startRunner())
	}
	return steps
}

func (r *run) accounts() []step {
	return []step{
		r.group(daemonGroup), r.group(memberGroup), r.group(jobUser),
		r.user(daemonUser, daemonGroup, libDir, "queuemgr daemon"),
		r.member(daemonUser, memberGroup), // so that it may give its socket to the group
		r.user(jobUser, jobUser, jobHome, "queuemgr jobs of nobody in particular"),
	}
}

// folders are the steps for the folders of the system's service that hold what it keeps.
func (r *run) folders() []step {
	var steps []step
	for _, f := range systemFolders() {
		steps = append(steps, r.folder(f.name, f.mode, f.owner))
	}
	return steps
}

// rightfulFolder is a folder with its owner and mode.
type rightfulFolder struct {
	name  string
	mode  fs.FileMode
	owner owner
}

// systemFolders are the folders of the system's service, but for those in /run.
func systemFolders() []rightfulFolder {
	daemon := owner{daemonUser, daemonGroup}
	return []rightfulFolder{
		{etcDir, 0o755, owner{}},
		{libDir, 0o750, daemon},
		{runnerLib, 0o700, owner{}},
		{jobHome, 0o750, owner{jobUser, jobUser}},
		{logDir, 0o751, daemon},
		{logDir + "/jobs", 0o751, daemon},
	}
}

// systemRunFolders are those in /run, which tmpfiles.conf has, too.
func systemRunFolders() []rightfulFolder {
	return []rightfulFolder{{"/run/queuemgr", 0o755, owner{daemonUser, daemonGroup}}, {"/run/queuemgr-runner", 0o755, owner{}}}
}

// keep is a step that sees to the owner and mode of a file that may be there.
func (r *run) keep(name string, mode fs.FileMode, own owner) step {
	s := r.once(name, nil, mode, own)
	todo := s.todo
	s.todo = func(ctx context.Context) (string, error) {
		if _, err := os.Lstat(r.path(name)); err != nil {
			return "", nil //nolint:nilerr // who has removed it wants the defaults
		}
		return todo(ctx)
	}
	return s
}

// runFolders is a step that makes the folders in /run, as each boot will.
func (r *run) runFolders() step {
	var names []string
	for _, f := range systemRunFolders() {
		names = append(names, f.name)
	}
	return step{
		todo: func(context.Context) (string, error) {
			if !slices.ContainsFunc(systemRunFolders(), func(f rightfulFolder) bool { return !r.rightful(r.path(f.name), f.mode, f.owner) }) {
				return "", nil
			}
			return "make the folders " + strings.Join(names, " and "), nil
		},
		do: func(ctx context.Context) (func(context.Context) error, error) {
			var made []string
			for _, name := range names {
				if _, err := os.Lstat(r.path(name)); err != nil {
					made = append(made, r.path(name))
				}
			}
			args := []string{"--create", filepath.Base(r.tmpfiles)}
			if !r.real() {
				args = append([]string{"--root=" + r.Root}, args...)
			}
			if err := r.run1(ctx, "systemd-tmpfiles", args...); err != nil {
				return nil, err
			}
			return func(context.Context) error {
				for _, dir := range made {
					if err := os.RemoveAll(dir); err != nil {
						return err
					}
				}
				return nil
			}, nil
		},
	}
}

// documents are completions and manual pages, by where they go.
func (r *run) documents() map[string][]byte {
	a := r.Assets
	all := map[string][]byte{
		r.share + "/bash-completion/completions/queuemgr":    a.Bash,
		r.share + "/zsh/site-functions/_queuemgr":            a.Zsh,
		r.share + "/fish/vendor_completions.d/queuemgr.fish": a.Fish,
	}
	for name, page := range a.Man {
		all[filepath.Join(r.share, "man/man1", name)] = page
	}
	return all
}

// pages returns the manual pages of ours that are installed.
func (r *run) pages() []string {
	var names []string
	for _, pattern := range []string{"queuemgr.1", "queuemgr-*.1"} {
		found, _ := filepath.Glob(filepath.Join(r.path(r.share), "man/man1", pattern)) // the pattern is a good one
		names = append(names, found...)
	}
	return names
}

// stalePages is a step that removes manual pages of commands that there are no more.
func (r *run) stalePages() step {
	stale := func() []string {
		return slices.DeleteFunc(r.pages(), func(path string) bool { return r.Assets.Man[filepath.Base(path)] != nil })
	}
	return step{
		todo: func(context.Context) (string, error) {
			if names := stale(); len(names) > 0 {
				return "remove manual pages of commands that are gone: " + strings.Join(names, ", "), nil
			}
			return "", nil
		},
		do: func(context.Context) (func(context.Context) error, error) {
			for _, path := range stale() {
				if err := os.Remove(path); err != nil {
					return nil, err
				}
			}
			return nil, nil // pages of commands that the old program does not have either, or that it writes again
		},
	}
}

// programsDiffer reports whether this run brings other programs than were installed.
func (r *run) programsDiffer() bool {
	if r.Kind != System {
		return false
	}
	for _, name := range []string{program, runnerProgram} {
		installed := r.path(filepath.Join(r.bin, name))
		if r.builtInPlace() {
			installed += previous
		}
		same, err := sameContent(filepath.Join(r.Source, name), installed)
		if err == nil && !same {
			return true
		}
	}
	return false
}

// farewell tells how things are now.
func (r *run) farewell(ctx context.Context) error {
	for _, n := range r.notes {
		r.say("%s", n)
	}
	if r.DryRun {
		if r.changed == 0 {
			r.say("nothing would be changed: everything is as it should be")
		} else {
			r.say("a dry run: nothing was changed")
		}
		return nil
	}
	if r.changed == 0 {
		r.say("nothing to change: queuemgr is installed")
		return nil
	}
	if r.Kind == User {
		return r.userFarewell(ctx)
	}
	r.say("%s", r.outcome())
	who := r.env("SUDO_USER")
	if who == "" || who == "root" {
		who = "NAME"
	}
	r.say("\nwho may use it is in the group %s: usermod -aG %s %s (holds from that user's next login on)", memberGroup, memberGroup, who)
	r.say("look at it: queuemgr service status; a first job: queuemgr job add --wait -- echo hello")
	r.say("its settings: %s; its log: journalctl -u queuemgr", configFile)
	return nil
}

// outcome says in a line what has been reached.
func (r *run) outcome() string {
	switch {
	case r.NoStart:
		return "queuemgr is installed and not started; start it: systemctl enable --now queuemgr"
	case r.restarted:
		return "queuemgr is up to date and runs; jobs went on. The runner that they belong to goes on too, as the version that it was started as, until the service is stopped"
	default:
		return fmt.Sprintf("queuemgr is installed below %s, runs, and starts with the machine", r.prefix)
	}
}

// env returns the value of a variable, "" for none.
func (r *run) env(name string) string {
	for _, e := range slices.Backward(r.Environ) {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// PackageFiles returns what a package contains beside the programs, by where it goes on the machine.
func PackageFiles(a Assets) map[string][]byte {
	r := &run{Options: Options{Kind: Packaged, Assets: a}}
	r.layout = packageLayout()
	files := r.documents()
	files[configFile] = []byte(a.Config)
	files[runAsFile] = packaging.File("run-as.toml", nil)
	files[filepath.Join(r.units, daemonUnit)] = packaging.File(daemonUnit, r.values())
	files[filepath.Join(r.units, runnerUnit)] = packaging.File(runnerUnit, r.values())
	files[r.tmpfiles] = packaging.File("tmpfiles.conf", nil)
	files[logrotateFile] = packaging.File("logrotate.conf", r.values())
	return files
}
