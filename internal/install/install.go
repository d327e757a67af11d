// Package install puts queuemgr on a machine as a systemd service, brings it up to date and removes
// it. An installation is a plan of small steps: each looks whether it is needed, does its part and
// knows how to undo it, so that running again changes nothing, a dry run tells exactly what would be
// done, and a failure leaves the machine as it was.
package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/queuemgr/queuemgr/internal/systemd"
	"github.com/queuemgr/queuemgr/job"
)

// DefaultPrefix is where the system service's programs are unless told otherwise.
const DefaultPrefix = "/opt/queuemgr"

// Units of a service that systemd runs, the system's as a user's own.
const (
	DaemonUnit = "queuemgr.service"
	RunnerUnit = "queuemgr-runner.service" // with all jobs
)

// Kind says for whom and by whom the service is installed.
type Kind int

// Kinds of installation.
const (
	System   Kind = iota // by root from a checkout or an unpacked release
	Packaged             // by a package's scripts: the files are the package's, the rest is done here
	User                 // one user's own service, without root
)

// Assets are files that the program makes itself.
type Assets struct {
	Config string            // the commented default settings of the system service
	Bash   []byte            // completions
	Zsh    []byte            //
	Fish   []byte            //
	Man    map[string][]byte // manual pages of section 1 by file name
}

// Options say what to install and how.
type Options struct {
	Kind    Kind
	Source  string // folder of the programs to install, absolute
	Home    string // of User: folder with everything of that service, absolute
	Prefix  string // "" = that of the present installation, else DefaultPrefix
	Upgrade bool   // there must be an installation
	NoStart bool   // install only: neither enabled nor started
	DryRun  bool   // tell, change nothing
	Purge   bool   // of Uninstall: settings, registry, logs and accounts too

	Assets Assets
	Out    io.Writer // what is done, a line each

	Root    string       // folder that stands for /, "" = / itself; below another nothing of the machine is changed
	UID     int          // who runs this
	Environ []string     // NAME=VALUE; HOME and XDG_CONFIG_HOME of User; SUDO_USER
	Exec    systemd.Exec // nil = really
}

// Programs of an installation.
const (
	program       = "queuemgr"
	runnerProgram = "queuemgr-runner"
	daemonUnit    = DaemonUnit
	runnerUnit    = RunnerUnit
)

// Install installs or brings up to date. Errors: job.Forbidden without the rights, job.Invalid for
// options that do not fit this machine, job.NotFound where an upgrade finds nothing installed,
// job.Conflict for what is in the way; after another one everything that was done has been undone,
// or the message says what was not.
func Install(ctx context.Context, o Options) error {
	r, err := newRun(o)
	if err != nil {
		return err
	}
	if err := r.check(ctx); err != nil {
		return err
	}
	var steps []step
	switch o.Kind {
	case User:
		steps = r.userSteps()
	case Packaged:
		steps = r.packagedSteps()
	default:
		steps = r.systemSteps()
	}
	if err := r.apply(ctx, steps); err != nil {
		return err
	}
	if err := r.keepBackup(); err != nil { // where nothing was to be started
		return err
	}
	return r.farewell(ctx)
}

// run is one installation or removal that is under way.
type run struct {
	Options
	layout
	undo    []undo
	changed int
	notes   []string // told at the end

	wasActive   bool   // the service ran when this began
	unitChanged bool   // by this run
	restarted   bool   // the daemon was, or that was tried
	tried       bool   // the new daemon's start was, and it may have brought the registry to another form
	backup      string // copy of the registry that this run made
}

func newRun(o Options) (*run, error) {
	if o.Root == "" {
		o.Root = "/"
	}
	if o.Exec == nil {
		o.Exec = systemd.Execute
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	r := &run{Options: o}
	var err error
	r.layout, err = r.findLayout()
	return r, err
}

// path returns where the file called name of the machine is, below Root.
func (r *run) path(name string) string { return filepath.Join(r.Root, name) }

// real reports whether the machine itself is changed.
func (r *run) real() bool { return r.Root == "/" }

func (r *run) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.Out, format+"\n", args...) // nothing is left to do when a terminal is gone
}

// note keeps a line for the end.
func (r *run) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// run1 runs a program whose failure is an error.
func (r *run) run1(ctx context.Context, name string, args ...string) error {
	out, err := r.Exec(ctx, name, args...)
	if err == nil {
		return nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return &job.Error{Code: job.Internal, Message: fmt.Sprintf("the program %s is not installed", name), Err: err,
			Hint: "install the package that has it (passwd or shadow-utils for useradd, systemd for systemctl)"}
	}
	return fmt.Errorf("%s %s: %w%s", name, strings.Join(args, " "), err, systemd.Tail(out))
}
