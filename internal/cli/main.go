// Package cli is the command line: one file a command. newXCommand declares a command and its
// flags; runX does the work and is what tests call. It talks to the daemon through job.Service
// and has what needs the daemon's own packages injected as Backend.
package cli

import (
	"context"
	"io"
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
}

func newApp(env Env) *app { return &app{Env: env, now: time.Now} }

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
	a.service = client.New(client.Options{Socket: paths.Socket()})
	return a.service, nil
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
