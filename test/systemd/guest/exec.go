package guest

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/queuemgr/queuemgr/test/systemd/wire"
)

// Command is one to run in a guest.
type Command struct {
	Argv  []string
	User  string    // default: root
	Login bool      // as after a login: through PAM, with a session and the user's own service manager
	Env   []string  // KEY=VALUE, beside PATH, HOME, USER, LOGNAME, SHELL and LANG
	Dir   string    // default: the user's home
	Stdin io.Reader // read to its end before the command starts; nil: /dev/null
}

// Result is what a command wrote and how it ended.
type Result struct {
	Stdout, Stderr string
	Code           int // 128 + n after signal n
}

// Exec runs a command until it has ended and all who hold its output have closed it. When ctx ends first it
// is killed. An exit code other than 0 is no error; a command that could not be started, or that the guest
// did not outlive, is. It may be called by several goroutines at once.
func (v *Guest) Exec(ctx context.Context, c Command) (Result, error) {
	if c.User == "" {
		c.User = "root"
	}
	call, err := v.link.run(ctx, wire.Run{Argv: c.Argv, User: c.User, Login: c.Login, Env: c.Env, Dir: c.Dir}, c.Stdin)
	if err == nil && call.exit.Error != "" {
		err = fmt.Errorf("not started: %s", call.exit.Error)
	}
	if err != nil {
		err = fmt.Errorf("%s in the guest: %w", strings.Join(c.Argv, " "), err)
	}
	return Result{call.stdout.String(), call.stderr.String(), call.exit.Code}, err
}

// Run runs a command as root and returns its output; an exit code other than 0 fails the test.
func (v *Guest) Run(argv ...string) string {
	v.t.Helper()
	return v.must(Command{Argv: argv})
}

// RunAs is Run as another user, with that user's groups but without a login.
func (v *Guest) RunAs(user string, argv ...string) string {
	v.t.Helper()
	return v.must(Command{Argv: argv, User: user})
}

// Shell runs a script as root with sh -eu and returns its output; a failure fails the test.
func (v *Guest) Shell(script string) string {
	v.t.Helper()
	return v.must(Command{Argv: []string{"sh", "-euc", script}})
}

func (v *Guest) must(c Command) string {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), stuck)
	defer cancel()
	r, err := v.Exec(ctx, c)
	if err != nil {
		v.t.Fatal(err)
	}
	if r.Code != 0 {
		v.t.Fatalf("%s: exit %d\n%s%s", strings.Join(c.Argv, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// ReadFile returns a file of the guest.
func (v *Guest) ReadFile(path string) string {
	v.t.Helper()
	return v.Run("cat", "--", path)
}

// WriteFile writes a file of the guest, owned by root, with a mode like "0644". Folders above it are made.
func (v *Guest) WriteFile(path, mode, content string) {
	v.t.Helper()
	v.must(Command{
		Argv:  []string{"install", "-D", "-m", mode, "/dev/stdin", path},
		Stdin: strings.NewReader(content),
	})
}

// CopyIn copies a file or folder of the host into the guest as path, owned by root. Modes stay.
func (v *Guest) CopyIn(host, path string) {
	v.t.Helper()
	name := "in-" + filepath.Base(host)
	passing := filepath.Join(v.shared(), name)
	if err := runQuiet(exec.CommandContext(v.t.Context(), "cp", "-a", "--", host, passing)); err != nil {
		v.t.Fatal(err)
	}
	v.Run("sh", "-euc", `mkdir -p "$(dirname "$2")"; cp -r --preserve=mode,links,timestamps -T "$1" "$2"; rm -rf "$1"`,
		"sh", "/ground/"+name, path)
}
