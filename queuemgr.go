// Package queuemgr is a job-queue manager: daemon, command line, API and runner in one program.
// A program of one's own is made the way the shipped one is:
//
//	func main() { os.Exit(queuemgr.New().Main()) }
package queuemgr

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/queuemgr/queuemgr/internal/cli"
)

// version is set by the build: -ldflags "-X github.com/queuemgr/queuemgr.version=v1.2.3".
var version = ""

// App is a queuemgr program.
type App struct{}

// New returns a program with everything that queuemgr ships.
func New() *App { return &App{} }

// Main runs the command line in os.Args and returns the process's exit code; see `queuemgr --help`.
func (a *App) Main() int {
	// SIGINT and SIGTERM end a command in an orderly way; a daemon's jobs go on running.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return cli.Main(ctx, os.Args[1:], cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Getwd: os.Getwd,
		Version: Version(), Backend: backend{},
	})
}

// Version returns the version that this program was built as.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
