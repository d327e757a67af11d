package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/queuemgr/queuemgr/internal/install"
)

// accounts looks at the service's accounts and at whether the one who asks may use it.
func (e *exam) accounts(context.Context) {
	var missing []string
	for _, name := range []string{install.DaemonUser, install.JobUser} {
		if e.inst.Users[name] == nil {
			missing = append(missing, "user "+name)
		}
	}
	for _, name := range []string{install.DaemonGroup, install.MemberGroup, install.JobUser} {
		if e.inst.Groups[name] == nil {
			missing = append(missing, "group "+name)
		}
	}
	if len(missing) > 0 {
		e.problem("", e.repair(), "accounts of the service are missing: %s", strings.Join(missing, ", "))
		return
	}
	group := e.inst.Groups[install.MemberGroup]
	switch daemon := e.inst.Users[install.DaemonUser]; {
	case daemon.GID != e.inst.Groups[install.DaemonGroup].ID:
		e.problem("", e.repair(), "%s is not the group of user %s: who may read what is the daemon's is not as meant", install.DaemonGroup, install.DaemonUser)
	case !slices.Contains(group.Members, install.DaemonUser):
		e.problem("", e.repair(), "user %s is not in the group %s: the daemon can't give its socket to the group", install.DaemonUser, install.MemberGroup)
	default:
		e.ok("", "the service's accounts are there")
	}
	if e.UID == 0 || e.UID == e.inst.Users[install.DaemonUser].ID {
		return
	}
	name := e.env("USER")
	if name == "" {
		name = e.env("LOGNAME")
	}
	switch {
	case slices.Contains(e.GIDs, group.ID):
		e.ok("", "you are in the group %s, whose members may use the service", install.MemberGroup)
	case slices.Contains(group.Members, name):
		e.warn("", "newgrp "+install.MemberGroup, "you were put into the group %s, and this login does not know yet: groups hold from the next login on", install.MemberGroup).
			note("for this shell alone; for all: log out and in again")
	default:
		e.warn("", e.sudo(fmt.Sprintf(`usermod -aG %s "$(id -un)"`, install.MemberGroup)),
			"you are not in the group %s, whose members may use the service; it holds from the next login on", install.MemberGroup)
	}
}
