// Package cli is the command line: one file a command. newXCommand declares a command and its
// flags; runX does the work and is what tests call. It talks to the daemon through job.Service
// and has what needs the daemon's own packages injected as Backend.
package cli

import (
	"context"
	"io"
	"regexp"
	"time"

	"github.com/queuemgr/queuemgr/client"
	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

// Env is what a command line has of the world.
type Env struct {
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Environ []string               // NAME=VALUE
	Getwd   func() (string, error) // the directory that jobs run in unless told otherwise
	Version string
	Backend Backend
}

// Main runs the command line args (without the program's name) and returns the exit code. The end
// of ctx ends the command in an orderly way; a daemon's jobs go on running.
func Main(ctx context.Context, args []string, env Env) int {
	if len(args) > 0 && args[0] == "_runner" {
		return env.Backend.RunRunner(args[1:])
	}
	a := newApp(env)
	return a.run(ctx, args)
}

// app is one invocation.
type app struct {
	Env
	home    string // flag --home
	service job.Service
	now     func() time.Time
	// patience is how long a daemon is waited for that goes away while it is asked something: a
	// restart's time, unless the command waits anyway. With 0 it is not, and nothing is said of it.
	patience time.Duration

	suggested *regexp.Regexp // made when suggest needs it first
}

func newApp(env Env) *app { return &app{Env: env, now: time.Now, patience: 5 * time.Second} }

func (a *app) run(ctx context.Context, args []string) int {
	root := newRootCommand(a)
	if args == nil {
		args = []string{} // cobra would take os.Args
	}
	root.SetArgs(args)
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return a.exit(ctx, err, wantsJSON(cmd, args, err))
}

// svc returns the service that this user's commands reach. Nothing is sent before it is asked
// something.
func (a *app) svc() (job.Service, error) { return a.connect(config.ForClient) }

// ownDaemon returns the daemon that this user may start and end: where the system service is
// installed and the user is not root, another than commands reach.
func (a *app) ownDaemon() (job.Service, error) { return a.connect(config.ForDaemon) }

func (a *app) connect(use config.Use) (job.Service, error) {
	if a.service != nil {
		return a.service, nil
	}
	paths, err := config.FindPaths(a.home, a.Environ, use)
	if err != nil {
		return nil, err
	}
	if err := checkSocket(paths.Socket()); err != nil {
		return nil, err
	}
	o := client.Options{Socket: paths.Socket()}
	if use == config.ForClient && a.patience > 0 { // who starts and ends daemons wants to know at once
		o.Patience, o.Away = a.patience, a.tellAway
	}
	a.service = client.New(o)
	return a.service, nil
}

// tellAway says on standard error that the daemon is away, and that it is back: reason nil.
func (a *app) tellAway(reason error) {
	if reason == nil {
		a.warn("the daemon is back")
		return
	}
	a.warn("the daemon is away, waiting for it; jobs go on running. Start it: queuemgr service start")
}

// env returns the value of an environment variable, "" for none.
func (a *app) env(name string) string {
	for i := len(a.Environ) - 1; i >= 0; i-- {
		if e := a.Environ[i]; len(e) > len(name) && e[len(name)] == '=' && e[:len(name)] == name {
			return e[len(name)+1:]
		}
	}
	return ""
}
