// Package queuemgr is a job-queue manager: daemon, command line, API and runner in one program.
// A program of one's own is made the way the shipped one is:
//
//	func main() {
//		app := queuemgr.New()
//		app.Register(&Resize{})                  // a job type, see package jobtype
//		app.HandleFunc("GET /api/custom", hello) // behind the same login as the API
//		os.Exit(app.Main())                      // daemon, command line, page
//	}
package queuemgr

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/queuemgr/queuemgr/internal/cli"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/internal/types"
	"github.com/queuemgr/queuemgr/jobs"
	"github.com/queuemgr/queuemgr/jobtype"
)

// version is set by the build: -ldflags "-X github.com/queuemgr/queuemgr.version=v1.2.3".
var version = ""

// App is a queuemgr program. It is made, added to and run by one goroutine.
type App struct {
	builtIn  []jobtype.Type
	types    []registered
	routes   []httpapi.Custom
	mistakes []string // what is wrong with what was added, with the place
}

// New returns a program with everything that queuemgr ships.
func New() *App { return &App{builtIn: []jobtype.Type{&jobs.HTTP{}, &jobs.Files{}}} }

// Main runs the command line in os.Args and returns the process's exit code; see `queuemgr --help`. Where
// something was added that can't work, it says what and where, and returns 2.
func (a *App) Main() int {
	if len(os.Args) > 2 && os.Args[1] == types.Child { // first: each job of a type pays for what stands before
		return a.runJob(os.Args[2])
	}
	if err := a.checkRoutes(); err != nil {
		a.mistakes = append(a.mistakes, err.Error())
	}
	for _, m := range a.mistakes {
		fmt.Fprintf(os.Stderr, "%s: %s\n", os.Args[0], m)
	}
	if len(a.mistakes) > 0 {
		return 2
	}
	// SIGINT and SIGTERM end a command in an orderly way; a daemon's jobs go on running.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return cli.Main(ctx, os.Args[1:], cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Getwd: os.Getwd,
		Version: Version(), Backend: backend{app: a},
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
