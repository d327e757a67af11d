package doctor

import (
	"context"
	"errors"

	"github.com/queuemgr/queuemgr/job"
)

// settings looks whether a daemon that is started now could read its settings.
func (e *exam) settings(context.Context) {
	var err *job.Error
	file := e.Paths.Config
	switch {
	case e.ConfigErr == nil && e.Config.File == "":
		e.ok(file, "there is no settings file: the defaults hold")
	case e.ConfigErr == nil:
		e.ok(file, "the settings are right")
	case job.CodeOf(e.ConfigErr) == job.Forbidden:
		e.skip(file, e.ConfigErr, "the settings may not be read: the defaults are taken below")
	case errors.As(e.ConfigErr, &err):
		e.problem(file, "", "%s; the daemon would not start with that", err.Message).note(err.Hint).note("mend it in the file").or("says whether it is right then", e.sudo(e.Command+" config show"))
	default:
		e.problem(file, "", "the settings can't be read: %v", e.ConfigErr).note("mend that").or("says whether it is right then", e.sudo(e.Command+" config show"))
	}
}
