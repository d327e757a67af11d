package runas

import (
	"bufio"
	"bytes"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Account is a user of the machine.
type Account struct {
	Name        string
	UID, GID    uint32
	Groups      []uint32 // all of the user's groups, GID first
	Home, Shell string
}

// noID is (uid_t)-1, which system calls take for "leave as it is"; its 16-bit form is no user's either.
const (
	noID   = 1<<32 - 1
	noID16 = 1<<16 - 1
)

// accounts is a passwd file: by name, and by uid the first that has it.
type accounts struct {
	byName map[string]*Account
	byUID  map[uint32]*Account
}

// readAccounts reads a passwd(5) file. Lines that are none are passed over, as the C library does.
func readAccounts(f *os.File, _ fs.FileInfo) (accounts, error) {
	all := accounts{byName: map[string]*Account{}, byUID: map[uint32]*Account{}}
	err := eachLine(f, func(line string) {
		a, ok := parseAccount(line)
		if !ok {
			return
		}
		if all.byName[a.Name] == nil {
			all.byName[a.Name] = a
		}
		if all.byUID[a.UID] == nil {
			all.byUID[a.UID] = a
		}
	})
	return all, err
}

// parseAccount reads NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL.
func parseAccount(line string) (*Account, bool) {
	fields := strings.Split(line, ":")
	if len(fields) != 7 || checkName(fields[0]) != nil {
		return nil, false
	}
	uid, uerr := strconv.ParseUint(fields[2], 10, 32)
	gid, gerr := strconv.ParseUint(fields[3], 10, 32)
	if uerr != nil || gerr != nil {
		return nil, false
	}
	return &Account{Name: fields[0], UID: uint32(uid), GID: uint32(gid), Home: fields[5], Shell: fields[6]}, true
}

// readGroups reads a group(5) file: the groups of each member.
func readGroups(f *os.File, _ fs.FileInfo) (map[string][]uint32, error) {
	all := map[string][]uint32{}
	err := eachLine(f, func(line string) {
		fields := strings.Split(line, ":") // NAME:PASSWORD:GID:MEMBERS
		if len(fields) != 4 || fields[0] == "" || fields[0][0] == '+' || fields[0][0] == '-' {
			return
		}
		gid, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			return
		}
		for name := range strings.SplitSeq(fields[3], ",") {
			if name = strings.TrimSpace(name); name != "" {
				all[name] = append(all[name], uint32(gid))
			}
		}
	})
	return all, err
}

// readUIDMin reads login.defs(5): the first uid that is a person's.
func readUIDMin(f *os.File, _ fs.FileInfo) (uint32, error) {
	first := uint32(defaultUIDMin)
	err := eachLine(f, func(line string) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "UID_MIN" {
			if n, err := strconv.ParseUint(fields[1], 0, 32); err == nil {
				first = uint32(n)
			}
		}
	})
	return first, err
}

const defaultUIDMin = 1000

// readElsewhere reads nsswitch.conf(5): whether groups may come from elsewhere than local files.
func readElsewhere(f *os.File, _ fs.FileInfo) (bool, error) {
	elsewhere := false
	err := eachLine(f, func(line string) {
		line, _, _ = strings.Cut(line, "#")
		base, sources, ok := strings.Cut(line, ":")
		if base = strings.TrimSpace(base); !ok || base != "group" && base != "initgroups" {
			return
		}
		for _, s := range strings.Fields(sources) {
			// systemd's own source knows no members beside those of its own users.
			if s[0] != '[' && !slices.Contains([]string{"files", "compat", "systemd"}, s) {
				elsewhere = true
			}
		}
	})
	return elsewhere, err
}

// eachLine calls do for each line that is neither empty nor a comment.
func eachLine(r io.Reader, do func(line string)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // a group may have many members
	for lines.Scan() {
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 && line[0] != '#' {
			do(string(line))
		}
	}
	return lines.Err()
}

// withGroups returns a with the groups added to its own one, each once.
func (a *Account) withGroups(groups []uint32) Account {
	full := *a
	full.Groups = []uint32{a.GID}
	for _, g := range groups {
		if !slices.Contains(full.Groups, g) {
			full.Groups = append(full.Groups, g)
		}
	}
	return full
}
