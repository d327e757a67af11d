package install

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// Accounts of the system service.
const (
	daemonUser  = "queuemgr"        // whom the daemon runs as
	daemonGroup = "queuemgr-daemon" // what only the daemon reads
	memberGroup = "queuemgr"        // who may use the service
	jobUser     = "queuemgr-job"    // whom jobs of nobody in particular run as; its group has the same name
)

// account is a line of passwd(5) or group(5).
type account struct {
	id      int
	gid     int      // of a user: the primary group
	members []string // of a group
}

// lookup finds name in a database ("passwd" or "group"); nil when it is not there. Accounts that only
// the name service knows (LDAP) are found by getent.
func (r *run) lookup(ctx context.Context, database, name string) (*account, error) {
	file, err := os.Open(r.path("/etc/" + database))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), name+":") {
				return parseAccount(database, lines.Text())
			}
		}
	}
	if !r.real() {
		return nil, nil
	}
	out, err := r.Exec(ctx, "getent", database, name)
	if err != nil || !strings.HasPrefix(out, name+":") {
		return nil, nil //nolint:nilerr // getent fails for what there is not; a system without it has files alone
	}
	line, _, _ := strings.Cut(out, "\n")
	return parseAccount(database, line)
}

func parseAccount(database, line string) (*account, error) {
	f := strings.Split(line, ":")
	bad := fmt.Errorf("/etc/%s: this line is damaged: %s", database, line)
	if len(f) < 4 {
		return nil, bad
	}
	id, err := strconv.Atoi(f[2])
	if err != nil {
		return nil, bad
	}
	a := &account{id: id}
	if database == "group" {
		if f[3] != "" {
			a.members = strings.Split(f[3], ",")
		}
		return a, nil
	}
	if a.gid, err = strconv.Atoi(f[3]); err != nil {
		return nil, bad
	}
	return a, nil
}

// firstPerson returns the least uid of people, as login.defs(5) says.
func (r *run) firstPerson() int {
	data, err := os.ReadFile(r.path("/etc/login.defs"))
	if err != nil {
		return 1000
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "UID_MIN" {
			if n, err := strconv.Atoi(f[1]); err == nil {
				return n
			}
		}
	}
	return 1000
}

// checkAccounts refuses accounts of ours that are somebody's.
func (r *run) checkAccounts(ctx context.Context) error {
	first := r.firstPerson()
	for _, name := range []string{daemonUser, jobUser} {
		a, err := r.lookup(ctx, "passwd", name)
		if err != nil {
			return err
		}
		if a != nil && (a.id == 0 || a.id >= first && a.id != 65534) {
			return &job.Error{Code: job.Conflict, Message: fmt.Sprintf("the account %s is there already and has uid %d, which is a person's or root's; the service needs one of its own of that name", name, a.id),
				Hint: fmt.Sprintf("rename that account (usermod --login NEW %s), then run this again", name)}
		}
	}
	return nil
}

// shadow returns the arguments of a program of shadow(5)'s family, for Root.
func (r *run) shadow(args ...string) []string {
	if r.real() {
		return args
	}
	return append([]string{"--prefix", r.Root}, args...)
}

// group is a step that makes a system group.
func (r *run) group(name string) step {
	return step{
		todo: func(ctx context.Context) (string, error) {
			if g, err := r.lookup(ctx, "group", name); g != nil || err != nil {
				return "", err
			}
			return "create group " + name, nil
		},
		do: func(ctx context.Context) (func(context.Context) error, error) {
			if err := r.run1(ctx, "groupadd", r.shadow("--system", name)...); err != nil {
				return nil, err
			}
			return func(ctx context.Context) error { return r.removeGroup(ctx, name) }, nil
		},
	}
}

// user is a step that makes a system user with a home and a primary group that are there.
func (r *run) user(name, group, home, about string) step {
	return step{
		todo: func(ctx context.Context) (string, error) {
			u, err := r.lookup(ctx, "passwd", name)
			if err != nil {
				return "", err
			}
			if u == nil {
				return fmt.Sprintf("create user %s, group %s", name, group), nil
			}
			if g, err := r.lookup(ctx, "group", group); err != nil || g != nil && g.id == u.gid {
				return "", err
			}
			return fmt.Sprintf("make %s the group of user %s", group, name), nil
		},
		do: func(ctx context.Context) (func(context.Context) error, error) {
			u, err := r.lookup(ctx, "passwd", name)
			if err != nil {
				return nil, err
			}
			if u != nil {
				former := strconv.Itoa(u.gid)
				if err := r.run1(ctx, "usermod", r.shadow("--gid", group, name)...); err != nil {
					return nil, err
				}
				return func(ctx context.Context) error {
					return r.run1(ctx, "usermod", r.shadow("--gid", former, name)...)
				}, nil
			}
			if err := r.run1(ctx, "useradd", r.shadow("--system", "--gid", group, "--home-dir", home, "--no-create-home",
				"--shell", "/usr/sbin/nologin", "--comment", about, name)...); err != nil {
				return nil, err
			}
			return func(ctx context.Context) error { return r.removeUser(ctx, name) }, nil
		},
	}
}

// member is a step that puts a user into a group.
func (r *run) member(user, group string) step {
	return step{
		todo: func(ctx context.Context) (string, error) {
			if g, err := r.lookup(ctx, "group", group); err != nil || g != nil && slices.Contains(g.members, user) {
				return "", err
			}
			return fmt.Sprintf("put user %s into group %s", user, group), nil
		},
		do: func(ctx context.Context) (func(context.Context) error, error) {
			before, err := r.groupsOf(user)
			if err != nil {
				return nil, err
			}
			if err := r.run1(ctx, "usermod", r.shadow("--append", "--groups", group, user)...); err != nil {
				return nil, err
			}
			return func(ctx context.Context) error {
				return r.run1(ctx, "usermod", r.shadow("--groups", strings.Join(before, ","), user)...)
			}, nil
		},
	}
}

// groupsOf returns the groups that /etc/group puts a user into.
func (r *run) groupsOf(user string) ([]string, error) {
	data, err := os.ReadFile(r.path("/etc/group"))
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) >= 4 && slices.Contains(strings.Split(f[3], ","), user) {
			names = append(names, f[0])
		}
	}
	return names, nil
}

func (r *run) removeUser(ctx context.Context, name string) error {
	if u, err := r.lookup(ctx, "passwd", name); u == nil || err != nil {
		return err
	}
	return r.run1(ctx, "userdel", r.shadow(name)...)
}

func (r *run) removeGroup(ctx context.Context, name string) error {
	if g, err := r.lookup(ctx, "group", name); g == nil || err != nil {
		return err
	}
	return r.run1(ctx, "groupdel", r.shadow(name)...)
}
