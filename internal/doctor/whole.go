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
		e.problem("", e.repair()+"; or remove the rest, with all records: "+strings.Replace(e.repair(), "service install", "service uninstall --purge", 1),
			"the service is not installed; its settings, accounts or records are left")
	case !e.isThere(names[2]) || !e.isThere(names[3]): // which are not to be had here
		e.problem("", e.release("./install.sh"), "the installation is not whole: missing are %s", strings.Join(missing, ", "))
	default:
		e.problem("", e.repair()+" completes it; or remove the rest: "+strings.Replace(e.repair(), "service install", "service uninstall", 1),
			"the installation is not whole: missing are %s", strings.Join(missing, ", "))
	}
}
