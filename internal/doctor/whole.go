package doctor

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/queuemgr/queuemgr/internal/install"
)

// whole looks whether all of an installation is there, or what is left of one.
func (e *exam) whole(context.Context) {
	names := []string{filepath.Join(e.inst.UnitDir, install.DaemonUnit), filepath.Join(e.inst.UnitDir, install.RunnerUnit),
		filepath.Join(e.inst.Bin, "queuemgr"), filepath.Join(e.inst.Bin, "queuemgr-runner")}
	installed := slices.ContainsFunc(names, e.isThere)
	missing := slices.DeleteFunc(slices.Concat(names, e.inst.Files), e.isThere)
	switch {
	case len(missing) == 0:
		e.ok(e.inst.Prefix, "everything that belongs to the installation is there")
	case !installed:
		e.problem("", e.repair(), "the service is not installed; its settings, accounts or records are left").
			or("removes the rest, with all records", strings.Replace(e.repair(), "service install", "service uninstall --purge", 1))
	case !e.isThere(names[2]) || !e.isThere(names[3]): // which are not to be had here
		e.release(e.problem("", "", "the installation is not whole: missing are %s", strings.Join(missing, ", ")), "./install.sh")
	default:
		e.problem("", e.repair(), "the installation is not whole: missing are %s", strings.Join(missing, ", ")).note("completes it").
			or("removes the rest", strings.Replace(e.repair(), "service install", "service uninstall", 1))
	}
}
