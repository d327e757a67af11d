package queuemgr

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/jobtype"
)

// registered is a type, and where it was registered.
type registered struct {
	value jobtype.Type
	name  string
	where string // FILE:LINE (TYPE)
}

// Register adds a job type: a pointer to a struct, whose fields are the parameters. What its fields
// hold are their defaults. A type that can't be, or a name that is taken, is told by Main.
func (a *App) Register(t jobtype.Type) {
	where := fmt.Sprintf("%s (%T)", caller(2), t)
	if err := jobtype.Check(t); err != nil {
		a.mistakes = append(a.mistakes, fmt.Sprintf("%s: %v", where, err))
		return
	}
	name := jobtype.Describe(t).Name
	if err := job.CheckTypeName(name); err != nil {
		a.mistakes = append(a.mistakes, fmt.Sprintf("%s: %v", where, err))
		return
	}
	for _, other := range a.all() {
		if other.name == name {
			a.mistakes = append(a.mistakes, fmt.Sprintf("the job type %s is registered twice: %s and %s; give one of them another name, with Describe", name, other.where, where))
			return
		}
	}
	a.types = append(a.types, registered{value: t, name: name, where: where})
}

// all returns the types of the program, those that are built in first.
func (a *App) all() []registered {
	var list []registered
	for _, t := range a.builtIn {
		list = append(list, registered{t, jobtype.Describe(t).Name, fmt.Sprintf("built in (%T)", t)})
	}
	for _, name := range []string{job.TypeCommand, job.TypeShell} {
		list = append(list, registered{nil, name, "built in"})
	}
	return append(list, a.types...)
}

// caller returns the place in the source that called what is skip above, as FILE:LINE.
func caller(skip int) string {
	_, file, line, ok := runtime.Caller(skip)
	if !ok {
		return "?"
	}
	return fmt.Sprintf("%s:%d", filepath.Base(file), line)
}

// runJob is the hidden command `_job NAME`: this process is one job of that type.
func (a *App) runJob(name string) int {
	for _, t := range a.all() {
		if t.name == name && t.value != nil {
			return jobtype.Main(t.value)
		}
	}
	fmt.Fprintf(os.Stderr, "error: this program has no job type %q: it was there when the job was added\n", name)
	return jobtype.ExitError
}
