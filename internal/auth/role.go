package auth

import (
	"fmt"
	"slices"

	"github.com/queuemgr/queuemgr/job"
)

// right is one thing that a role lets its callers do.
type right uint16

const (
	addJobs      right = 1 << iota
	touchOwn           // start, stop, hold, delete their own jobs and read what those wrote
	touchAny           // the same with anybody's
	readOutput         // of anybody's jobs
	manageQueues       //
	makeLogins         // links that log a browser in, with no higher role than their own
	runDaemon          // end it, reload its settings
	manageAccess       // tokens, audit, settings
)

// rights is the one place that says what a role may do. Everybody whose role is here sees jobs, queues
// and events; nobody sees an environment.
var rights = map[job.Role]right{
	job.Viewer:   readOutput,
	job.Member:   addJobs | touchOwn,
	job.Operator: addJobs | touchOwn | touchAny | readOutput | manageQueues | makeLogins,
	job.Admin:    addJobs | touchOwn | touchAny | readOutput | manageQueues | makeLogins | runDaemon | manageAccess,
}

func may(role job.Role, r right) bool { return rights[role]&r != 0 }

// refuse returns an error unless role has a right, which is needed to do what.
func refuse(c job.Caller, role job.Role, needed right, what string) error {
	if may(role, needed) {
		return nil
	}
	least := job.Admin
	if may(job.Operator, needed) {
		least = job.Operator
	}
	hint := "ask root, or somebody listed in the setting [access] operators"
	switch {
	case c.OverTCP():
		hint = fmt.Sprintf("log in as %s", least)
	case least == job.Admin:
		hint = "ask root"
	}
	return &job.Error{Code: job.Forbidden, Message: fmt.Sprintf("%s may not %s", c.Name, what), Hint: hint}
}

// Roles says what callers may do: over TCP what their login says, over the unix socket what their
// user is. admin is the daemon's own user, operators returns the present ones by name.
func Roles(admin uint32, operators func() []string) func(job.Caller) job.Role {
	return func(c job.Caller) job.Role {
		switch {
		case c.OverTCP() && slices.Contains(job.LoginRoles, c.Role):
			return c.Role
		case c.OverTCP() || c.UID == job.NoUID:
			return "" // no role at all
		case c.UID == 0 || c.UID == admin:
			return job.Admin
		case slices.Contains(operators(), c.Name):
			return job.Operator
		}
		return job.Member
	}
}
