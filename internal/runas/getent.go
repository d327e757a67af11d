package runas

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// getent asks the system's name services (LDAP, SSSD, …) for accounts that the local files do not have.
type getent struct {
	program string
	timeout time.Duration
}

// notThere is the exit code of getent(1) for a key that is not found.
const notThere = 2

// account looks key, a name or a uid, up. It returns nil when there is no such account.
func (g getent) account(ctx context.Context, key string) (*Account, error) {
	line, err := g.ask(ctx, "passwd", key)
	if err != nil || line == "" {
		return nil, err
	}
	a, ok := parseAccount(line)
	if !ok {
		return nil, errorf(Unavailable, "%s passwd %s answered what is no account: %q", g.program, key, line)
	}
	return a, nil
}

// groups returns the groups that name is a member of.
func (g getent) groups(ctx context.Context, name string) ([]uint32, error) {
	line, err := g.ask(ctx, "initgroups", name)
	if err != nil {
		return nil, err
	}
	var groups []uint32
	// NAME GID GID …; a name may have blanks.
	for _, field := range strings.Fields(strings.TrimPrefix(line, name)) {
		gid, err := strconv.ParseUint(field, 10, 32)
		if err != nil {
			return nil, errorf(Unavailable, "%s initgroups %s answered what is no list of groups: %q", g.program, name, line)
		}
		groups = append(groups, uint32(gid))
	}
	return groups, nil
}

// ask returns the answer's one line, "" when there is no such key or no getent.
func (g getent) ask(ctx context.Context, database, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.program, "--", database, key)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second // what it may have started holds the pipe no longer
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case err == nil:
		line, _, _ := strings.Cut(string(out), "\n")
		return line, nil
	case ctx.Err() != nil:
		return "", errorf(Unavailable, "the system's accounts gave no answer for %s within %s: try again, or see `getent %s %s`",
			key, g.timeout, database, key)
	case errors.As(err, &exit) && exit.ExitCode() == notThere, errors.Is(err, fs.ErrNotExist):
		return "", nil
	}
	return "", errorf(Unavailable, "`getent %s %s` failed: %v %s", database, key, err, strings.TrimSpace(stderr.String()))
}

// findGetent returns where getent(1) is; in its usual place if nowhere.
func findGetent() string {
	for _, path := range []string{"/usr/bin/getent", "/bin/getent"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return "/usr/bin/getent"
}
