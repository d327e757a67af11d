package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/queuemgr/queuemgr/internal/runas"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// Drop makes a runner that is root start each run as the account that its start names.
type Drop struct {
	Accounts *runas.Checker
	Daemon   uint32 // uid of the daemon's account: beside root it alone may connect
	Logs     string // folder that all log files lie beneath; no part of its path is a symbolic link
}

// identity is the account that one run gets.
type identity struct {
	name string
	cred *syscall.Credential
	env  []string // the whole environment
}

// identify finds out as whom s runs. The numbers are looked up here, whatever the daemon believes.
func (d *Drop) identify(ctx context.Context, s *wire.Start) (*identity, *SpawnError) {
	if s.User == "" {
		return nil, notNow("the daemon does not say which account the job runs as: it is older than its runner; " +
			"restart it: systemctl restart queuemgr")
	}
	who, err := d.Accounts.Choose(ctx, s.User, s.By)
	var e *runas.Error
	switch {
	case errors.As(err, &e) && (e.Kind == runas.Broken || e.Kind == runas.Unavailable):
		return nil, notNow(e.Text)
	case err != nil:
		return nil, spawnError(unix.EPERM, "%v", err)
	}
	return &identity{
		name: who.Name,
		cred: &syscall.Credential{Uid: who.UID, Gid: who.GID, Groups: who.Groups},
		env:  environment(s.Env, &who),
	}, nil
}

// notNow is why a start has to wait for something that is no fault of the job.
func notNow(text string) *SpawnError {
	e := spawnError(0, "%s", text)
	e.Short = true
	return e
}

// servicePath is PATH for those who run a job for another account and say none.
const servicePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// ofSession are variables of who submitted a job that mean something else, or are secret doors,
// for another account.
var ofSession = []string{
	"HOME", "USER", "LOGNAME", "SHELL", "MAIL", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "XAUTHORITY", "SSH_AUTH_SOCK",
}

// environment returns the environment of a run: as it was submitted for the submitter's own account,
// else with what belongs to the account.
func environment(env []string, who *runas.Choice) []string {
	path := false
	env = slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		path = path || name == "PATH"
		return !who.Own && (slices.Contains(ofSession, name) || strings.HasPrefix(name, "SUDO_"))
	})
	if who.Own {
		return env
	}
	if !path {
		env = append(env, "PATH="+servicePath)
	}
	return append(env, "HOME="+who.Home, "USER="+who.Name, "LOGNAME="+who.Name, "SHELL="+who.Shell)
}

// as calls do with the rights of the account on files, and of nothing more: this thread's file system
// uid, gid and groups. So the kernel itself decides what is seen while a program is looked for, and
// what root could see is told to nobody. The thread stays root for everything else, so the account
// cannot signal it. The caller's goroutine must be locked to its thread, which has root's rights.
func (id *identity) as(do func()) error {
	before, err := unix.Getgroups()
	if err != nil {
		return fmt.Errorf("read the runner's groups: %w", err)
	}
	groups := make([]int, len(id.cred.Groups))
	for i, g := range id.cred.Groups {
		groups[i] = int(g)
	}
	defer func() {
		if err := setFileRights(0, 0, before); err != nil {
			panic("the runner cannot get its rights back: " + err.Error())
		}
	}()
	if err := setFileRights(id.cred.Uid, id.cred.Gid, groups); err != nil {
		return fmt.Errorf("look with the rights of %s: %w", id.name, err)
	}
	do()
	return nil
}

// setFileRights sets the thread's rights on files. The system calls tell nothing of a failure, so the
// result is asked for.
func setFileRights(uid, gid uint32, groups []int) error {
	const ask = -1
	// Of this thread only, unlike those of the syscall package.
	if err := unix.Setgroups(groups); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	for _, set := range []struct {
		name string
		call func(int) (int, error)
		id   uint32
	}{{"setfsgid", unix.SetfsgidRetGid, gid}, {"setfsuid", unix.SetfsuidRetUid, uid}} {
		if _, err := set.call(int(set.id)); err != nil {
			return fmt.Errorf("%s: %w", set.name, err)
		}
		if now, err := set.call(ask); err != nil {
			return fmt.Errorf("%s: %w", set.name, err)
		} else if uint32(now) != set.id {
			return fmt.Errorf("%s to %d has no effect: it is %d", set.name, set.id, now)
		}
	}
	return nil
}
