package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/queuemgr/queuemgr/internal/install"
)

// programs looks whether command line, daemon and runner are of one version, and which of them a shell finds.
func (e *exam) programs(ctx context.Context) {
	installed := e.Version
	if cli := filepath.Join(e.inst.Bin, "queuemgr"); cli != e.Program || !e.same(cli, e.Program) {
		installed = e.versionOf(ctx, cli, "version")
		switch {
		case installed == "":
		case differ(installed, e.Version):
			e.warn(e.Program, "", "this program is %s, installed is %s", e.Version, installed).note("use " + cli)
		}
	}
	runner := filepath.Join(e.inst.Bin, "queuemgr-runner")
	switch version := e.versionOf(ctx, runner, "--version"); {
	case version == "" && !e.isThere(runner) && !e.system():
		e.ok(runner, "there is no runner beside the program, which then is the runner itself")
	case version == "" || installed == "":
	case differ(version, installed):
		e.unpack(e.problem(runner, "", "the runner's program is %s, the daemon's %s: they belong together", version, installed))
	default:
		e.ok(e.inst.Bin, "daemon and runner are installed as %s", version)
	}
	e.running(installed)
	if e.system() {
		e.link()
	}
	e.inPath()
}

// differ reports whether two programs are of different versions. Builds of a developer have none.
func differ(a, b string) bool {
	none := func(v string) bool { return v == "dev" || v == "(devel)" || v == "unknown" }
	return a != b && !none(a) && !none(b)
}

// unpack says of a finding how programs are put in place.
func (e *exam) unpack(f *Finding) {
	if !e.system() {
		f.note("put both programs of one release beside each other").or("in a checkout", "make build")
		return
	}
	e.release(f, "./install.sh --upgrade")
}

// release mends a finding by a command of a release, or what stands for it with a package.
func (e *exam) release(f *Finding, command string) {
	if e.inst.Kind == install.Packaged {
		f.note("install the package again with apt or dnf")
		return
	}
	f.Remedy = e.sudo(command)
	f.note("in the checkout or the unpacked release")
}

// versionOf runs a program for its version; "" and said where that can't be.
func (e *exam) versionOf(ctx context.Context, file, arg string) string {
	if !e.isThere(file) {
		return "" // another check says what is missing
	}
	run := e.path(file)
	if e.UID == 0 { // root does not run what another could change to learn its version
		var bad string
		if run, bad = e.rootsAlone(file); bad != "" {
			if !e.system() { // whose it is is told by rights
				e.add(Skipped, file, "", "its version is not asked for: others than root could change %s, and root does not run that", bad)
			}
			return ""
		}
	}
	out, err := e.Exec(ctx, run, arg)
	f := strings.Fields(out)
	if err != nil || len(f) < 2 || f[0] != filepath.Base(file) {
		e.unpack(e.problem(file, "", "the program does not run: %v %s", err, firstLine(out)))
		return ""
	}
	return f[1]
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// running compares what runs with what is installed.
func (e *exam) running(installed string) {
	if e.status == nil || installed == "" {
		return
	}
	switch {
	case differ(e.status.Version, installed):
		e.warn("", e.restart(), "the daemon that runs is %s, installed is %s", e.status.Version, installed).note(keepsJobs)
	case e.replaced(e.status.PID):
		e.warn("", e.restart(), "the daemon's program has been replaced since it was started").note(keepsJobs)
	default:
		e.ok("", "the daemon that runs is %s", installed)
	}
	switch v := e.status.Runner.Version; {
	case e.status.Runner.PID == 0: // runner says so
	case differ(v, installed):
		e.warn("", e.verb("stop")+" && "+e.start(), "the runner that runs is %s, installed is %s: it goes on with its jobs until the service is stopped", v, installed).note(endsJobs)
	default:
		e.ok("", "the runner that runs is %s", v)
	}
}

// replaced reports whether a process's program is no more the one of that name. Not everybody may know.
func (e *exam) replaced(pid int) bool {
	target, err := os.Readlink(e.path(fmt.Sprintf("/proc/%d/exe", pid)))
	return err == nil && strings.HasSuffix(target, " (deleted)")
}

func (e *exam) same(a, b string) bool {
	ia, err := os.Stat(e.path(e.follow(a)))
	ib, err2 := os.Stat(e.path(e.follow(b)))
	return err == nil && err2 == nil && os.SameFile(ia, ib)
}

// link looks at the name in everybody's PATH.
func (e *exam) link() {
	want := filepath.Join(e.inst.Bin, "queuemgr")
	if e.inst.Link == want || !e.isThere(want) {
		return
	}
	remedy := e.sudo(fmt.Sprintf("ln -sfn %s %s", Quote(want), e.inst.Link))
	target, err := os.Readlink(e.path(e.inst.Link))
	switch {
	case err != nil && !e.isThere(e.inst.Link):
		e.problem(e.inst.Link, remedy, "the link that puts queuemgr into everybody's PATH is missing")
	case err != nil:
		e.warn(e.inst.Link, remedy, "it is no link to the installed program %s, and may be of another version", want)
	case target != want:
		e.problem(e.inst.Link, remedy, "it leads to %s, and the service's program is %s", target, want)
	default:
		e.ok(e.inst.Link, "it leads to the installed program")
	}
}

// inPath looks which queuemgr a shell finds.
func (e *exam) inPath() {
	found := ""
	for _, dir := range filepath.SplitList(e.env("PATH")) {
		if name := filepath.Join(dir, "queuemgr"); filepath.IsAbs(dir) && e.isFile(name) {
			found = name
			break
		}
	}
	want := filepath.Join(e.inst.Bin, "queuemgr")
	switch {
	case found == "" && e.system() && e.isThere(e.inst.Link):
		e.warn("", fmt.Sprintf("export PATH=%s:\"$PATH\"", filepath.Dir(e.inst.Link)), "queuemgr is not in your PATH")
	case found != "" && !e.same(found, want) && !e.system(): // that may be the system's, beside this one
	case found != "" && !e.same(found, want) && e.isFile(want):
		e.warn(found, e.sudo("rm "+Quote(found)), "your PATH finds another queuemgr than the service's, %s", want).note("or use that one by its whole name")
	case found != "":
		e.ok(found, "your PATH finds the right program")
	}
}
