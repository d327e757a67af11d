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
		e.problem(file, e.edit(err.Hint), "%s; the daemon would not start with that", err.Message)
	default:
		e.problem(file, e.edit(""), "the settings can't be read: %v", e.ConfigErr)
	}
}

// edit is how to mend the settings.
func (e *exam) edit(hint string) string {
	show := e.sudo(e.Command + " config show")
	if hint == "" {
		return "mend it, then look: " + show
	}
	return hint + "; mend it, then look: " + show
}
