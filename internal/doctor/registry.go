package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/queuemgr/queuemgr/job"
)

// registry looks at the record of jobs as far as that is cheap: registry check looks at all of it.
func (e *exam) registry(ctx context.Context) {
	name := e.Paths.Database()
	info, err := os.Stat(e.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.noRegistry(name)
		return
	case err != nil:
		e.skip(name, err, "the registry can't be looked at: %v", reason(err))
		return
	}
	schema, knows, err := e.Registry(ctx, e.path(name))
	var known *job.Error
	switch {
	case err != nil && ctx.Err() != nil:
		e.skip(name, err, "the registry could not be looked at in time")
		return
	case errors.Is(err, fs.ErrPermission):
		e.skip(name, err, "the registry may not be read")
		return
	case errors.As(err, &known) && known.Hint != "":
		e.problem(name, e.sudo(e.Command+" registry check"), "%s", known.Message).note(known.Hint)
		return
	case err != nil:
		e.problem(name, e.sudo(e.Command+" registry check"), "%v", err).note("looks at all of it")
		return
	case schema > knows:
		e.problem(name, "", "it was written by a newer queuemgr: its schema is %d, this program knows %d", schema, knows).note("install the newer version again")
	case schema < knows && e.runningPID() == 0:
		e.ok(name, "it has schema %d of an older version, and is brought up to date when the daemon starts", schema)
	default:
		e.ok(name, "the registry is there, %d bytes, schema %d (registry check looks at all of it)", info.Size(), schema)
	}
	if e.status != nil && !e.isThere(name+"-ballast") {
		e.warn(name+"-ballast", "", "the room that is kept for the ends of jobs on a full disk is not there").note("free some space there: the daemon makes it again by itself")
	}
}

// noRegistry tells of a registry that is gone, which the daemon does not begin anew by itself.
func (e *exam) noRegistry(name string) {
	info, err := os.Stat(e.path(e.Config.RegistryPath))
	if err != nil || info.Size() == 0 {
		e.ok(name, "there is no registry yet: the daemon makes it when it starts for the first time")
		return
	}
	e.problem(name, e.sudo(e.Command+" registry import "+Quote(e.Config.RegistryPath)), "the registry is gone, and its journal %s is there: the daemon does not start", e.Config.RegistryPath).
		note("rebuilds it from the journal; or put a backup back: registry restore, with the backup's file")
}
