package cli

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"

	"github.com/queuemgr/queuemgr/job"
)

// terminal returns the file behind a stream when it is a terminal, else nil.
func terminal(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// interactive reports whether a person can be asked.
func (a *app) interactive() bool { return terminal(a.Stdin) != nil && terminal(a.Stderr) != nil }

// width returns how many cells wide lines may be, 0 for no limit.
func (a *app) width() int {
	f := terminal(a.Stdout)
	if f == nil {
		return 0
	}
	if n, err := strconv.Atoi(a.env("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
}

// colours reports whether output may be coloured: https://no-color.org.
func (a *app) colours(w io.Writer) bool {
	return terminal(w) != nil && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"
}

// stateColours are SGR parameters; a state without one is shown plain.
var stateColours = map[job.State]string{
	job.Starting: "36", job.Running: "36", job.Paused: "33", job.Stopping: "33",
	job.Completed: "32", job.Failed: "31", job.Stopped: "33", job.Skipped: "31", job.Deleted: "2",
}

// paintState colours the name of a state.
func paintState(text string) string {
	if colour := stateColours[job.State(text)]; colour != "" {
		return "\x1b[" + colour + "m" + text + "\x1b[0m"
	}
	return text
}
