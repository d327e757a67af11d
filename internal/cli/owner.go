package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

// refuseOthersHome refuses root a home that is another user's. A daemon that root starts there would run that
// user's jobs as root, whatever their registry says; and one that their own systemd runs comes back after
// root has ended it.
func refuseOthersHome(p config.Paths) error {
	if p.System || os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(p.Home)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return openError("home", p.Home, err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil
	}
	name := "#" + strconv.FormatUint(uint64(st.Uid), 10) // as sudo takes a number
	if u, err := user.LookupId(name[1:]); err == nil {
		name = u.Username
	}
	return &job.Error{Code: job.Forbidden, Field: "home", Message: fmt.Sprintf("the home %s is %s's: root would run their jobs as root; nothing was changed", p.Home, name),
		Hint: fmt.Sprintf("sudo -u %s queuemgr --home %s …", shellQuote(name), shellQuote(p.Home))}
}
