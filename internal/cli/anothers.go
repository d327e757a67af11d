package cli

import (
	"fmt"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

// notAnothers refuses root who would start or end the service in a home of another user. A daemon of
// root's would run that user's jobs as root, and who may write there would choose what root runs; one that
// root ends that user's systemd starts again, which root does not ask. The command is what was typed
// behind queuemgr.
func (a *app) notAnothers(command string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	paths, err := config.FindPaths(a.home, a.Environ, config.ForDaemon)
	if err != nil || paths.System {
		return err
	}
	dir, name := ownerOf(paths)
	if name == "" {
		return nil
	}
	return &job.Error{Code: job.Forbidden, Message: fmt.Sprintf("%s belongs to the user %s, whose service is not for root to start or end; nothing was changed", dir, name),
		Hint: fmt.Sprintf("do it as that user: %squeuemgr --home %s %s", asUser(name), shellQuote(paths.Home), command)}
}

// ownerOf returns the folder of a service that belongs to another user than this one, and that user; "" for none.
func ownerOf(paths config.Paths) (dir, name string) {
	for _, dir := range []string{paths.Home, paths.Lib} { // jobs are taken from the second
		var st unix.Stat_t
		if err := unix.Stat(dir, &st); err == nil && int(st.Uid) != os.Geteuid() {
			return dir, userCalled(st.Uid)
		} // one that is not there will be this user's; what else is wrong is told by who works in it
	}
	return "", ""
}

// asUser begins a command that is to be another user's.
func asUser(name string) string { return "sudo -u " + shellQuote(name) + " " }

// userCalled is a user as sudo takes one: by name, by #number where it has none.
func userCalled(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "#" + id
}
