package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/queuemgr/queuemgr/internal/install"
	"github.com/queuemgr/queuemgr/internal/regular"
	"github.com/queuemgr/queuemgr/internal/runas"
)

// rights looks who may read and write the service's files.
func (e *exam) rights(context.Context) {
	e.private(e.Paths.Database(), "the registry, with the environments of jobs in it")
	for _, ending := range []string{"-wal", "-shm"} {
		e.private(e.Paths.Database()+ending, "a part of the registry")
	}
	e.private(e.Config.RegistryPath, "the readable journal of all jobs")
	e.private(e.Paths.RunnerJournal(), "the runner's journal, with the environments of jobs in it")
	e.socket()
	if !e.system() {
		return
	}
	for _, name := range []string{e.Paths.Config, e.inst.Bin, filepath.Join(e.inst.Bin, "queuemgr"), filepath.Join(e.inst.Bin, "queuemgr-runner")} {
		if !e.isThere(name) {
			continue // other checks say so
		}
		if bad, remedy := e.onlyRoot(name); bad != "" {
			e.problem(bad, remedy, "others than root could change %s, which the service obeys as root", name)
		} else {
			e.ok(name, "only root may change it")
		}
	}
}

func (e *exam) isThere(name string) bool {
	_, err := os.Lstat(e.path(name))
	return err == nil
}

// private looks whether a file that is there is its owner's alone, and that owner the daemon's account.
func (e *exam) private(name, what string) {
	st, ok := e.stat(name)
	if !ok || st == nil {
		return
	}
	owner, who := e.UID, "you"
	if e.system() {
		daemon := e.inst.Users[install.DaemonUser]
		if daemon == nil {
			return // accounts has said so
		}
		owner, who = daemon.ID, install.DaemonUser
		if name == e.Paths.RunnerJournal() {
			owner, who = 0, "root"
		}
	}
	fine := true
	if int(st.Uid) != owner && (e.system() || e.UID != 0) {
		fine = false
		remedy := e.sudo(fmt.Sprintf("chown %s: %s", who, Quote(name)))
		if !e.system() {
			remedy = fmt.Sprintf("sudo chown %d: %s", owner, Quote(name))
		}
		e.problem(name, remedy, "it belongs to uid %d, and must be %s's: %s", st.Uid, strings.Replace(who, "you", "your", 1), what)
	}
	if st.Mode&0o077 != 0 {
		fine = false
		e.problem(name, e.sudo("chmod 0600 "+Quote(name)), "others may read or write it (mode %04o): %s", st.Mode&0o777, what)
	}
	if fine {
		e.ok(name, "nobody else may read it")
	}
}

// socket looks who may connect to the daemon.
func (e *exam) socket() {
	name := e.Paths.Socket()
	st, ok := e.stat(name)
	if !ok || st == nil {
		return // whether the daemon runs is told by service
	}
	want, group := uint32(0o600), -1
	if e.system() {
		if g := e.inst.Groups[install.MemberGroup]; g != nil {
			want, group = 0o660, g.ID
		}
	}
	switch {
	case st.Mode&syscall.S_IFMT != syscall.S_IFSOCK:
		e.problem(name, e.sudo("rm "+Quote(name))+" && "+e.restart(), "it is no socket: the daemon can't listen there")
	case st.Mode&0o777 != want:
		e.problem(name, e.sudo(fmt.Sprintf("chmod %04o %s", want, Quote(name))), "the wrong users may connect: the socket's mode is %04o and must be %04o", st.Mode&0o777, want)
	case group >= 0 && int(st.Gid) != group:
		e.problem(name, e.sudo(fmt.Sprintf("chgrp %s %s", install.MemberGroup, Quote(name))), "members of the group %s can't connect: the socket belongs to gid %d", install.MemberGroup, st.Gid)
	default:
		e.ok(name, "the right users may connect (mode %04o)", want)
	}
}

// policy looks at the file that says who jobs may run as, as the runner does.
func (e *exam) policy(context.Context) {
	const name = install.RunAsFile
	st, ok := e.stat(name)
	if !ok {
		return
	}
	if st == nil {
		e.ok(name, "there is no policy file: the defaults hold")
		return
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		e.problem(name, e.sudo("mv "+name+" "+name+".old"), "it is no regular file: no job is started")
		return
	}
	if bad, remedy := e.onlyRoot(name); bad != "" {
		e.problem(bad, remedy, "others than root could change who jobs run as: no job is started while the policy file is not root's alone")
		return
	}
	text, err := regular.ReadFile(e.path(name))
	if errors.Is(err, fs.ErrPermission) {
		e.skip(name, err, "the policy may not be read")
		return
	}
	var p runas.Policy
	if err == nil {
		p, err = runas.Parse(name, text)
	}
	if err != nil {
		e.problem(name, "", "no job is started: %v", err).note("mend that line; the runner reads the file again by itself")
		return
	}
	e.ok(name, "the policy is right; jobs of nobody in particular run as %s", p.DefaultAccount)
}
