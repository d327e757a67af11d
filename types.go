package queuemgr

import (
	"os"
	"strings"

	"github.com/queuemgr/queuemgr/internal/types"
	"github.com/queuemgr/queuemgr/job"
)

// openTypes finds all job types: the program's and those of the folder types_dir.
func (d *daemon) openTypes() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o := types.Options{Program: self, Dir: d.c.TypesDir, BuiltIn: d.app.builtIn}
	for _, t := range d.app.types {
		o.Registered = append(o.Registered, t.value)
	}
	if d.types, err = types.New(o); err != nil {
		return &job.Error{Code: job.Invalid, Message: "a job type of this program can't be used: " + err.Error(), Hint: "mend it in the program's source, and build it again", Err: err}
	}
	for _, p := range d.types.Problems() {
		d.log.Error("job types can't be used", "problem", p)
	}
	return nil
}

// reloadTypes reads types_dir again, logs what is different and returns it, and what is wrong with it.
func (d *daemon) reloadTypes() (different, problems []string) {
	different, problems = d.types.Reload(), d.types.Problems()
	for _, what := range different {
		d.log.Info("job types read again", "what", what)
	}
	for _, p := range problems {
		d.log.Error("job types can't be used", "problem", p)
	}
	return different, problems
}

// typesProblem is what the status says of types_dir, "" when all is well.
func (d *daemon) typesProblem() string {
	if d.types == nil {
		return ""
	}
	return strings.Join(d.types.Problems(), "; ")
}
