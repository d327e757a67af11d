package install

import (
	"bufio"
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/queuemgr/queuemgr/internal/regular"
	"github.com/queuemgr/queuemgr/packaging"
)

// Installation is what an installation consists of, for who examines one.
type Installation struct {
	Kind      Kind // Packaged where the system's service is a package's
	Installed bool // a unit of ours is there; of User: one for that home
	Prefix    string
	Bin       string            // folder of the programs
	Link      string            // to the program, in everybody's PATH; "" = none
	UnitDir   string            // folder of the units
	Units     map[string][]byte // by name, as this version has them
	Files     []string          // other files that must be there
	Folders   []Folder
	Users     map[string]*Account // accounts by name, nil = there is none
	Groups    map[string]*Account
}

// Folder is a folder with whom it belongs to.
type Folder struct {
	Name        string
	Mode        fs.FileMode
	User, Group string // "root" for root's
	UID, GID    int    // -1 where that account is not there
}

// Account is a user or a group of an installation.
type Account struct {
	ID      int
	GID     int      // of a user: the primary group
	Members []string // of a group
}

// Accounts of the system service, by what they are for.
const (
	DaemonUser  = daemonUser
	DaemonGroup = daemonGroup
	MemberGroup = memberGroup
	JobUser     = jobUser
	RunAsFile   = runAsFile
)

// Examine says what the installation of o.Kind (System or User) has or should have on this machine. It
// changes nothing and needs no rights.
func Examine(ctx context.Context, o Options) (*Installation, error) {
	if o.Kind == System {
		if _, err := os.Stat(filepath.Join("/", o.Root, packageUnits, daemonUnit)); err == nil {
			o.Kind = Packaged
		}
	}
	r, err := newRun(o)
	switch {
	case err != nil && o.Kind == User: // HOME is not set: there can be no units of that user
		return &Installation{Kind: User, Bin: o.Source}, nil
	case err != nil:
		return nil, err
	}
	in := &Installation{Kind: o.Kind, Installed: r.installed, Prefix: r.prefix, Bin: r.bin, Link: r.link, UnitDir: r.units, Units: map[string][]byte{}}
	if o.Kind == User {
		in.Bin, in.Installed = r.userUnit()
		values := map[string]string{"@BIN@": unitPath(in.Bin), "@HOME@": unitPath(r.home)}
		for _, name := range []string{daemonUnit, runnerUnit} {
			in.Units[name] = packaging.File("user/"+name, values)
		}
		return in, nil
	}
	for _, name := range []string{daemonUnit, runnerUnit} {
		in.Units[name] = packaging.File(name, r.values())
	}
	in.Files = []string{configFile, runAsFile, r.tmpfiles, logrotateFile}
	in.Users, in.Groups = map[string]*Account{}, map[string]*Account{}
	for database, names := range map[string][]string{"passwd": {daemonUser, jobUser}, "group": {daemonGroup, memberGroup, jobUser}} {
		into := in.Users
		if database == "group" {
			into = in.Groups
		}
		for _, name := range names {
			a, err := r.lookup(ctx, database, name)
			if err != nil {
				return nil, err
			}
			if a != nil {
				into[name] = &Account{ID: a.id, GID: a.gid, Members: a.members}
			}
		}
	}
	for _, f := range append(systemFolders(), systemRunFolders()...) {
		in.Folders = append(in.Folders, in.rightful(f))
	}
	return in, nil
}

// rightful resolves the owner of a folder.
func (in *Installation) rightful(f rightfulFolder) Folder {
	user, group, _ := strings.Cut(f.owner.String(), ":")
	folder := Folder{Name: f.name, Mode: f.mode, User: user, Group: group}
	for _, who := range []struct {
		name string
		from map[string]*Account
		id   *int
	}{{user, in.Users, &folder.UID}, {group, in.Groups, &folder.GID}} {
		if who.name == "root" {
			continue
		}
		if a := who.from[who.name]; a != nil {
			*who.id = a.ID
		} else {
			*who.id = -1
		}
	}
	return folder
}

// userUnit returns the folder of the programs that the user's unit starts, and whether there is one of ours
// for this home. Without one the folder is Source.
func (r *run) userUnit() (bin string, ofHome bool) {
	data, err := regular.ReadFile(r.path(filepath.Join(r.units, daemonUnit)))
	if err != nil || !regular.IsOurs(data) {
		return r.bin, false
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		command, ok := strings.CutPrefix(lines.Text(), "ExecStart=")
		if bin, rest, found := strings.Cut(command, "/"+program+" --home "); ok && found && rest == unitPath(r.home)+" daemon start" {
			if bin == unitPath(r.bin) {
				return r.bin, true
			}
			return bin, true
		}
	}
	return r.bin, false
}
