// Package doctor looks over a service and the machine it is on, and says of each thing that is not as it
// should be what it is, where, and the command that mends it. It changes nothing, takes no lock and
// opens nothing for writing, so that it may look at a service that is at work. What it looks
// at comes in as Input: a test gives it folders of its own.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/systemd"
	"github.com/queuemgr/queuemgr/job"
)

// Level says how much a finding matters.
type Level string

// Levels, the gravest first.
const (
	Problem Level = "problem" // something does not work, or is unsafe
	Warning Level = "warning" // it works, and somebody should know
	Skipped Level = "skipped" // it could not be looked at
	OK      Level = "ok"
)

// Levels are all levels, the gravest first.
var Levels = []Level{Problem, Warning, Skipped, OK}

// Finding is what one look has found.
type Finding struct {
	Check  string `json:"check"` // what was looked at, a noun
	Level  Level  `json:"level"`
	What   string `json:"what"`
	Where  string `json:"where,omitempty"`  // file, folder or unit
	Remedy string `json:"remedy,omitempty"` // for a shell, which can run it as it is; of skipped the way to have it looked at
	Note   string `json:"note,omitempty"`   // words about the remedy; where there is none, what is to be done
	Or     []Way  `json:"or,omitempty"`     // further commands
}

// Way is one more command for a shell, and what it is for.
type Way struct {
	Command string `json:"command"`
	For     string `json:"for"`
}

// note adds words about the remedy.
func (f *Finding) note(words string) *Finding {
	if f.Note != "" && words != "" {
		words = "; " + words
	}
	f.Note += words
	return f
}

// or adds another command.
func (f *Finding) or(what, command string) *Finding {
	f.Or = append(f.Or, Way{command, what})
	return f
}

// Input is the service and the machine to look over.
type Input struct {
	Root string       // folder that stands for /, "" = / itself
	Kind install.Kind // System, or User for everything that has a home of its own

	Paths config.Paths
	// Load is called for what lies in the service's folders, when these are known to answer; nil = Loaded is given.
	Load func() Loaded
	Loaded

	Version string   // of this program
	Program string   // this program's file, absolute
	UID     int      // who looks
	GIDs    []int    // the groups of this process
	Environ []string // NAME=VALUE
	Now     time.Time

	Ask          func(context.Context) (*job.Status, error) // the daemon for its state
	Exec         systemd.Exec
	Registry     func(ctx context.Context, path string) (schema, knows int64, err error) // a glance at a registry's file
	Synchronized func() (bool, error)                                                    // whether the kernel's clock is
	Holder       func(listen string) string                                              // which process has an address, "" = none is seen
	Statfs       func(path string, st *unix.Statfs_t) error                              // statfs(2), which a file server that is gone never ends
}

// Loaded is what of the input is found in the service's folders.
type Loaded struct {
	Config    *config.Config // the settings; where they can't be had the defaults
	ConfigErr error          // why they can't
	Command   string         // how who looks calls this program for that service, as `queuemgr --home DIR`
	As        string         // what Command begins with to be that service's user's, as `sudo -u NAME `; "" for who looks
}

// check looks at one thing.
type check struct {
	name string
	of   func(*exam) bool // nil = always
	look func(*exam, context.Context)
}

var checks = []check{
	{"settings", nil, (*exam).settings},
	{"accounts", (*exam).system, (*exam).accounts},
	{"folders", nil, (*exam).folders},
	{"rights", nil, (*exam).rights},
	{"policy", (*exam).system, (*exam).policy},
	{"installation", (*exam).system, (*exam).whole},
	{"programs", nil, (*exam).programs},
	{"units", (*exam).underSystemd, (*exam).unitFiles},
	{"drop-ins", (*exam).underSystemd, (*exam).dropIns},
	{"paths", (*exam).underSystemd, (*exam).writablePaths},
	{"lingering", (*exam).userUnits, (*exam).lingering},
	{"service", nil, (*exam).service},
	{"runner", nil, (*exam).runner},
	{"page", nil, (*exam).page},
	{"registry", nil, (*exam).registry},
	{"limits", nil, (*exam).limits},
	{"cgroup", nil, (*exam).cgroup},
	{"disk", nil, (*exam).disk},
	{"clock", nil, (*exam).clock},
}

// exam is one look over a service.
type exam struct {
	Input
	inst *install.Installation

	status    *job.Status // of the daemon, nil where statusErr says why there is none
	statusErr error

	units    map[string]unit // by name, where systemd could be asked
	disks    map[string]disk // by folder
	noUnits  error           // why it could not
	daemon   int             // process that holds the registry; 0 = none, -1 = not known
	now      string          // name of the check that looks
	findings []Finding
}

// Within is how long everything may take: a machine that is not well must not keep who looks after it waiting.
const Within = time.Minute

// Examine looks over everything and returns what it found, what is in order too. What there was no time for is Skipped;
// the error is of a caller who wants no answer any more.
func Examine(caller context.Context, in Input) ([]Finding, error) {
	ctx, cancel := context.WithTimeout(caller, Within)
	defer cancel()
	if in.Root == "" {
		in.Root = "/"
	}
	if in.Statfs == nil {
		in.Statfs = unix.Statfs
	}
	e := &exam{Input: in}
	e.Exec = e.patient(in.Exec)
	if !e.foldersAnswer(ctx) {
		return e.findings, caller.Err()
	}
	e.now = "programs"
	var err error
	e.inst, err = install.Examine(ctx, install.Options{Kind: in.Kind, Root: in.Root, Home: in.Paths.Home, Source: filepath.Dir(in.Program),
		UID: in.UID, Environ: in.Environ, Exec: e.Exec})
	if err != nil {
		return nil, err
	}
	e.distrustUnit()
	e.askSystemd(ctx)
	e.askDaemon(ctx)
	e.daemon = e.holder(in.Paths.RegistryLock())
	for _, c := range checks {
		if c.of != nil && !c.of(e) {
			continue
		}
		e.now = c.name
		if ctx.Err() != nil {
			e.add(Skipped, "", "", "there was no time left to look: everything before took %v", Within)
			continue
		}
		c.look(e, ctx)
	}
	return e.findings, caller.Err()
}

// distrustUnit forgets the programs that a user's unit names where root looks, and others could have written it:
// they are run for their version, and named in remedies.
func (e *exam) distrustUnit() {
	own := filepath.Dir(e.Program)
	if e.UID != 0 || e.system() || e.inst.Bin == own {
		return
	}
	if _, bad := e.rootsAlone(filepath.Join(e.inst.UnitDir, install.DaemonUnit)); bad != "" {
		e.inst.Bin = own
	}
}

// system reports whether it is the system's service.
func (e *exam) system() bool { return e.Kind != install.User }

// path returns where the file called name of the machine is, below Root.
func (e *exam) path(name string) string { return filepath.Join(e.Root, name) }

// add adds a finding, which can be told more of until the next one is added.
func (e *exam) add(level Level, where, remedy, format string, args ...any) *Finding {
	e.findings = append(e.findings, Finding{Check: e.now, Level: level, What: fmt.Sprintf(format, args...), Where: where, Remedy: remedy})
	return &e.findings[len(e.findings)-1]
}

func (e *exam) ok(where, format string, args ...any) { e.add(OK, where, "", format, args...) }

func (e *exam) warn(where, remedy, format string, args ...any) *Finding {
	return e.add(Warning, where, remedy, format, args...)
}

func (e *exam) problem(where, remedy, format string, args ...any) *Finding {
	return e.add(Problem, where, remedy, format, args...)
}

// skip says that something could not be looked at, and whether root could.
func (e *exam) skip(where string, err error, format string, args ...any) {
	remedy := ""
	if errors.Is(err, fs.ErrPermission) && e.UID != 0 {
		remedy = e.Command + " doctor"
		if e.As == "" {
			remedy = "sudo " + remedy
		}
	}
	e.add(Skipped, where, remedy, format, args...)
}

// stat looks at a file or folder. It returns false, and has said so, where that is not allowed or fails;
// nil where nothing is there.
func (e *exam) stat(name string) (*syscall.Stat_t, bool) {
	info, err := os.Lstat(e.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, true
	case err != nil:
		e.skip(name, err, "it can't be looked at: %v", reason(err))
		return nil, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return st, ok
}

// reason is an error without the path, which stands beside it.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// sudo returns commands, joined by &&, as the present user has to say them for the system's service or another user's.
func (e *exam) sudo(commands ...string) string {
	if e.UID != 0 && (e.system() || e.As != "") {
		for i, c := range commands {
			commands[i] = "sudo " + strings.TrimPrefix(c, "sudo ")
		}
	}
	return strings.Join(commands, " && ")
}

// systemctl returns the command for the manager of the service.
func (e *exam) systemctl(verb string) string { return e.manager().Command(verb) }

// manager is the one of the service.
func (e *exam) manager() systemd.Manager { return systemd.Manager{User: !e.system(), Exec: e.Exec} }

// repair is the command that completes an installation.
func (e *exam) repair() string {
	command := e.Command
	if installed := filepath.Join(e.inst.Bin, "queuemgr"); installed != e.Program && e.isFile(installed) {
		command = e.As + Quote(installed) // this one would install itself
	}
	switch e.inst.Kind {
	case install.Packaged:
		return e.sudo(command + " service install --packaged")
	case install.User:
		return command + " service install --user"
	}
	return e.sudo(command + " service install")
}

// start is the command that starts the service, and restart the one that leaves its jobs running.
func (e *exam) start() string   { return e.verb("start") }
func (e *exam) restart() string { return e.verb("restart") }

func (e *exam) verb(verb string) string {
	switch {
	case e.underSystemd():
		return e.sudo(e.systemctl(verb + " queuemgr"))
	case e.system() && verb == "start":
		return e.sudo(e.Command + " daemon start --daemon")
	case e.system():
		return e.sudo(e.Command + " daemon " + verb)
	}
	return e.Command + " service " + verb
}

// log is the command that shows what the daemon said last.
func (e *exam) log() string {
	switch {
	case e.underSystemd() && e.system():
		return e.sudo("journalctl -n 20 --no-pager -u queuemgr -u queuemgr-runner")
	case e.underSystemd():
		return "journalctl -n 20 --no-pager --user -u queuemgr -u queuemgr-runner"
	}
	return e.sudo("tail -n 20 " + Quote(e.Paths.DaemonLog()))
}

// follow returns where the link called name leads on the machine; name itself where it is none.
func (e *exam) follow(name string) string {
	target, err := os.Readlink(e.path(name))
	if err != nil || !filepath.IsAbs(target) {
		return name
	}
	return target
}

func (e *exam) isFile(name string) bool {
	info, err := os.Stat(e.path(e.follow(name)))
	return err == nil && info.Mode().IsRegular()
}

// env returns the value of a variable, "" for none.
func (e *exam) env(name string) string {
	for _, v := range slices.Backward(e.Environ) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// Quote writes a word so that a shell takes it as it is.
func Quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:,@%=", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
