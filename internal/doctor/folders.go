package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/install"
)

// folders looks whether the service's folders are there, whose they are and who may do what with them.
func (e *exam) folders(context.Context) {
	want := e.inst.Folders
	if !e.system() {
		for _, name := range []string{e.Paths.Home, e.Paths.Lib, e.Paths.Log, e.Paths.Run} {
			want = append(want, install.Folder{Name: name, Mode: 0o700, UID: e.UID, GID: -1})
		}
	}
	for _, f := range want {
		e.folder(f)
	}
}

func (e *exam) folder(f install.Folder) {
	st, ok := e.stat(f.Name)
	if !ok {
		return
	}
	inRun := e.system() && strings.HasPrefix(f.Name, "/run/")
	remedy := e.repair()
	if inRun {
		remedy = e.sudo("systemd-tmpfiles --create queuemgr.conf")
	}
	switch {
	case st == nil && !e.system():
		if f.Name == e.Paths.Home {
			if !e.mayMake(f.Name) {
				return
			}
			e.ok(f.Name, "the folder is not there yet: the daemon's first start makes it")
		} else if e.daemon > 0 {
			e.problem(f.Name, e.restart(), "the folder is gone while the daemon runs")
		}
		return
	case st == nil:
		e.problem(f.Name, remedy, "the folder is missing")
		return
	case st.Mode&syscall.S_IFMT != syscall.S_IFDIR:
		e.problem(f.Name, e.sudo("mv "+Quote(f.Name)+" "+Quote(f.Name+".old")), "it is no folder").note("then the service makes one")
		return
	case f.UID < 0 && e.system():
		return // accounts has said that its owner is missing
	}
	mode := fs.FileMode(st.Mode & 0o777)
	if !e.system() {
		switch {
		case int(st.Uid) != f.UID && e.UID != 0:
			e.problem(f.Name, fmt.Sprintf("sudo chown %d %s", f.UID, Quote(f.Name)), "it belongs to uid %d, not to you: the daemon can't work there", st.Uid)
		case mode&0o022 != 0:
			e.problem(f.Name, e.sudo("chmod go-w "+Quote(f.Name)), "others than you may change what is in it (mode %04o)", mode)
		case mode&0o700 != 0o700:
			e.problem(f.Name, e.sudo("chmod u+rwx "+Quote(f.Name)), "you may not work in it yourself (mode %04o)", mode)
		case f.Name == e.Paths.Home && e.mayWrite(f.Name) != nil:
			e.problem(f.Name, "", "nothing can be written in it: %v", e.mayWrite(f.Name)).note(elsewhere)
		default:
			e.ok(f.Name, "the folder is there (mode %04o)", mode)
		}
		return
	}
	if int(st.Uid) != f.UID || int(st.Gid) != f.GID {
		e.problem(f.Name, e.sudo(fmt.Sprintf("chown %s:%s %s", f.User, f.Group, f.Name)),
			"it belongs to uid %d and gid %d, and must be %s:%s", st.Uid, st.Gid, f.User, f.Group)
	}
	if mode != f.Mode {
		e.problem(f.Name, e.sudo(fmt.Sprintf("chmod %04o %s", f.Mode, f.Name)), "%s", modeText(mode, f.Mode))
	}
	if int(st.Uid) == f.UID && int(st.Gid) == f.GID && mode == f.Mode {
		e.ok(f.Name, "the folder is there (%s:%s, %04o)", f.User, f.Group, mode)
	}
}

// elsewhere is the way out where a home can't be written.
const elsewhere = "have it writable, or give another home: --home DIR or QUEUEMGR_HOME"

// mayWrite says why who looks may not make a file in a folder, nil where they may.
func (e *exam) mayWrite(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, e.path(dir), unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

// mayMake reports whether a folder that is not there can be made, and has said so where not.
func (e *exam) mayMake(name string) bool {
	above := filepath.Dir(name)
	for above != "/" && !e.isThere(above) {
		above = filepath.Dir(above)
	}
	err := e.mayWrite(above)
	if err != nil {
		e.problem(name, "", "the folder is not there, and can't be made in %s: %v", above, err).note(elsewhere)
	}
	return err == nil
}

// modeText says what is wrong with a mode.
func modeText(is, want fs.FileMode) string {
	switch more := is &^ want; {
	case more&0o022 != 0:
		return fmt.Sprintf("others may change what is in it: its mode is %04o and must be %04o", is, want)
	case more != 0:
		return fmt.Sprintf("others may look into it: its mode is %04o and must be %04o", is, want)
	}
	return fmt.Sprintf("who needs it has no way into it: its mode is %04o and must be %04o", is, want)
}

// rootsAlone returns the file that name leads to, free of links, or what of it others than root could change.
func (e *exam) rootsAlone(name string) (path, bad string) {
	path, err := filepath.EvalSymlinks(e.path(name))
	if err != nil || !within(path, e.Root) {
		return "", name
	}
	bad, _ = e.onlyRoot(name)
	return path, bad
}

// mostLinks is how many links may be on the way to a file, as the kernel has it.
const mostLinks = 40

// onlyRoot looks whether others than root could change name, or put another in its place: the service
// runs it, or obeys it, as root. Links on the way, and what they lead to, are looked at, too. It returns the file or
// folder to be mended, "" for none; of several the last on the way.
func (e *exam) onlyRoot(name string) (bad string, remedy string) {
	rest := strings.Split(strings.Trim(name, "/"), "/")
	links := 0
	for at := "/"; ; {
		var st syscall.Stat_t
		if err := syscall.Lstat(e.path(at), &st); err != nil {
			return bad, remedy // it is not there, or nobody may look: others say so
		}
		link := st.Mode&syscall.S_IFMT == syscall.S_IFLNK
		switch {
		case at == "/" && e.Root != "/": // stands for the machine's
		case st.Uid != 0 && link:
			bad, remedy = at, e.sudo("chown -h root: "+Quote(at))
		case st.Uid != 0:
			bad, remedy = at, e.sudo("chown root: "+Quote(at), "chmod go-w "+Quote(at))
		case !link && st.Mode&0o022 != 0 && (len(rest) == 0 || st.Mode&syscall.S_ISVTX == 0):
			bad, remedy = at, e.sudo("chmod go-w "+Quote(at))
		}
		if link {
			target, err := os.Readlink(e.path(at))
			if links++; err != nil || links > mostLinks {
				return bad, remedy
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(at), target)
			} else if e.Root != "/" && within(target, e.Root) { // made below Root as it is
				target = strings.TrimPrefix(target, filepath.Clean(e.Root))
			}
			rest = append(strings.Split(strings.Trim(filepath.Clean(target), "/"), "/"), rest...)
			at = "/"
			continue
		}
		if len(rest) == 0 {
			return bad, remedy
		}
		at, rest = filepath.Join(at, rest[0]), rest[1:]
	}
}
