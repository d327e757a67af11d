package runas

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// machine is a folder with the files of a machine and a checker that reads them.
type machine struct {
	*Checker
	t   testing.TB
	dir string
	now time.Time
}

const (
	passwdText = `# comment
root:x:0:0:root:/root:/bin/bash
toor:x:0:0::/root:/bin/sh
broken line
+nis::::::
backup:x:34:34:backup:/var/backups:/usr/sbin/nologin
queuemgr:x:900:900::/var/lib/queuemgr:/usr/sbin/nologin
queuemgr-alias:x:900:900::/:/bin/sh
queuemgr-job:x:901:901::/var/lib/queuemgr-job:/usr/sbin/nologin
anna:x:1000:1000:Anna:/home/anna:/bin/bash
anna2:x:1000:1001:the same uid:/home/anna2:/bin/sh
bert:x:1001:1001::/home/bert:/bin/zsh
dynamic:x:61200:61200::/:/bin/sh
nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin
short:x:65535:65535::/:/bin/sh
minus:x:4294967295:1::/:/bin/sh
minusgroup:x:1005:4294967295::/:/bin/sh
`
	groupText = "root:x:0:\nanna:x:1000:\nqueuemgr:x:800:anna,bert,queuemgr\nvideo:x:44:anna\nwheel:x:10:anna,bert\nagain:x:1000:anna\n"
)

func newMachine(t testing.TB) *machine {
	m := &machine{t: t, dir: t.TempDir(), now: time.Now().Add(time.Hour)}
	m.write("passwd", passwdText)
	m.write("group", groupText)
	m.Checker = New(Options{Policy: m.path("run-as.toml"), Owner: uint32(os.Getuid()), Etc: m.dir, Getent: m.path("getent"),
		Now: func() time.Time { return m.now }})
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(m.path(name), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// getent puts a getent in place that counts its calls.
func (m *machine) script(text string) {
	m.t.Helper()
	m.write("getent", "#!/bin/sh\necho \"$*\" >> "+m.path("calls")+"\n"+text+"\n")
	if err := os.Chmod(m.path("getent"), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) calls() int {
	b, err := os.ReadFile(m.path("calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

func uid(n uint32) *uint32 { return &n }

// kindOf returns the kind of an error of the package, 0 for none.
func kindOf(t testing.TB, err error) Kind {
	t.Helper()
	if err == nil {
		return 0
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("not an Error: %v", err)
	}
	return e.Kind
}

func TestRules(t *testing.T) {
	const all = `accounts = ["root", "backup", "queuemgr", "queuemgr-alias", "nobody", "dynamic", "short", "minus", "minusgroup"]` + "\n"
	token := (*uint32)(nil)
	for _, tt := range []struct {
		name, policy, user string
		by                 *uint32
		want               string // account, "own" after it if so
		kind               Kind
		text               string // part of the error
	}{
		{name: "own by default", by: uid(1000), want: "anna own"},
		{name: "own by name", user: "anna", by: uid(1000), want: "anna own"},
		{name: "another name of the own uid", user: "anna2", by: uid(1000), kind: Denied, text: "may not choose"},
		{name: "another", user: "bert", by: uid(1000), kind: Denied, text: "anna may not choose the account"},
		{name: "default by a member", user: "queuemgr-job", by: uid(1000), kind: Denied, text: "may not choose"},
		{name: "chooser", policy: `may_choose = ["anna"]`, user: "bert", by: uid(1000), want: "bert"},
		{name: "chooser takes the default", policy: `may_choose = ["anna"]`, user: "queuemgr-job", by: uid(1000), want: "queuemgr-job"},
		{name: "chooser by uid", policy: `may_choose = ["anna2"]`, user: "bert", by: uid(1000), want: "bert"},
		{name: "another is chooser", policy: `may_choose = ["bert", "who"]`, user: "bert", by: uid(1000), kind: Denied, text: "may not choose"},
		{name: "chooser, but a system account", policy: `may_choose = ["anna"]`, user: "backup", by: uid(1000), kind: Denied, text: "system account (uid 34)"},
		{name: "chooser, but root", policy: `may_choose = ["anna"]`, user: "root", by: uid(1000), kind: Denied, text: "unless accounts"},
		{name: "chooser, listed", policy: all + `may_choose = ["anna"]`, user: "root", by: uid(1000), want: "root"},
		{name: "listing does not let choose", policy: all, user: "root", by: uid(1000), kind: Denied, text: "may not choose"},

		{name: "root by default", by: uid(0), want: "queuemgr-job"},
		{name: "root chooses", user: "anna", by: uid(0), want: "anna"},
		{name: "root as root", user: "root", by: uid(0), kind: Denied, text: `accounts = ["root"]`},
		{name: "root as root by another name", policy: `accounts = ["root"]`, user: "toor", by: uid(0), kind: Denied, text: `accounts = ["toor"]`},
		{name: "root as root, listed", policy: all, user: "root", by: uid(0), want: "root"},
		{name: "root as system", user: "backup", by: uid(0), kind: Denied, text: "listed in accounts"},
		{name: "root as system, listed", policy: all, user: "backup", by: uid(0), want: "backup"},
		{name: "root as nobody", user: "nobody", by: uid(0), kind: Denied, text: "uid 65534"},
		{name: "root as nobody, listed", policy: all, user: "nobody", by: uid(0), want: "nobody"},
		{name: "root as a running service", user: "dynamic", by: uid(0), kind: Denied, text: "uid 61200"},
		{name: "root as a running service, listed", policy: all, user: "dynamic", by: uid(0), want: "dynamic"},

		{name: "token by default", by: token, want: "queuemgr-job"},
		{name: "token names the default", user: "queuemgr-job", by: token, want: "queuemgr-job"},
		{name: "token chooses", user: "anna", by: token, kind: Denied, text: "run as queuemgr-job; anna cannot be asked for"},
		{name: "token as root, listed", policy: all, user: "root", by: token, kind: Denied, text: "cannot be asked for"},
		{name: "another default", policy: `default_account = "backup"`, by: token, want: "backup"},
		{name: "root is the default", policy: `default_account = "root"`, by: token, kind: Denied, text: "unless accounts"},
		{name: "root is the default, listed", policy: all + `default_account = "root"`, by: token, want: "root"},
		{name: "the default is not there", policy: `default_account = "nosuch"`, by: token, kind: Unknown, text: "set default_account in"},

		{name: "daemon", policy: all, user: "queuemgr", by: uid(0), kind: Denied, text: "account of the daemon"},
		{name: "daemon by another name", policy: all, user: "queuemgr-alias", by: uid(0), kind: Denied, text: "account of the daemon"},
		{name: "daemon itself", policy: all, by: uid(900), kind: Denied, text: "account of the daemon"},
		{name: "daemon as default", policy: all + `default_account = "queuemgr"`, by: token, kind: Denied, text: "account of the daemon"},
		{name: "own system account", by: uid(34), kind: Denied, text: "listed in accounts"},
		{name: "own system account, listed", policy: all, by: uid(34), want: "backup own"},

		{name: "uid -1", policy: all, user: "minus", by: uid(0), kind: Denied, text: "no user's"},
		{name: "uid -1 of 16 bits", policy: all, user: "short", by: uid(0), kind: Denied, text: "no user's"},
		{name: "gid -1", policy: all, user: "minusgroup", by: uid(0), kind: Denied, text: "no user's"},
		{name: "no such account", user: "nosuch", by: uid(0), kind: Unknown, text: "no account nosuch"},
		{name: "submitter without account", by: uid(4242), kind: Unknown, text: "user 4242"},
		{name: "submitter without account as default", user: "queuemgr-job", by: uid(4242), kind: Denied, text: "user 4242"},
		{name: "a number", user: "0", by: uid(0), kind: Unknown, text: "is a number"},
		{name: "an option", user: "-i", by: uid(0), kind: Unknown, text: "cannot be an account name"},
		{name: "a field", user: "root:x", by: uid(0), kind: Unknown, text: "cannot be an account name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t)
			m.write("run-as.toml", tt.policy)
			got, err := m.Choose(t.Context(), tt.user, tt.by)
			if kindOf(t, err) != tt.kind || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("got %v, want kind %d with %q", err, tt.kind, tt.text)
			}
			name := got.Name
			if got.Own {
				name += " own"
			}
			if name != tt.want {
				t.Errorf("got %q, want %q", name, tt.want)
			}
		})
	}
}

func TestAccountAndGroups(t *testing.T) {
	m := newMachine(t)
	got, err := m.Choose(t.Context(), "", uid(1000))
	if err != nil {
		t.Fatal(err)
	}
	want := Choice{Own: true, Account: Account{Name: "anna", UID: 1000, GID: 1000, Groups: []uint32{1000, 800, 44, 10},
		Home: "/home/anna", Shell: "/bin/bash"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestUIDMin(t *testing.T) {
	m := newMachine(t)
	m.write("login.defs", "# UID_MIN 1\nUID_MIN\t 2000\n")
	if _, err := m.Choose(t.Context(), "", uid(1000)); kindOf(t, err) != Denied {
		t.Errorf("below UID_MIN: %v", err)
	}
	m.write("login.defs", "UID_MIN 500 # people begin here\n")
	if _, err := m.Choose(t.Context(), "", uid(1000)); err != nil {
		t.Error(err)
	}
}

// TestFilesAreReadAgain changes each file under a checker that has read it.
func TestFilesAreReadAgain(t *testing.T) {
	m := newMachine(t)
	groups := func() []uint32 {
		got, err := m.Choose(t.Context(), "bert", uid(0))
		if err != nil {
			t.Fatal(err)
		}
		return got.Groups
	}
	denied := func(user string, by uint32) bool {
		_, err := m.Choose(t.Context(), user, &by)
		return kindOf(t, err) == Denied
	}
	if g := groups(); !slices.Equal(g, []uint32{1001, 800, 10}) || !denied("backup", 0) || !denied("bert", 1000) {
		t.Fatalf("at first: %v", g)
	}
	m.write("run-as.toml", `accounts = ["backup"]`)
	m.write("group", groupText+"more:x:77:bert\n")
	if g := groups(); !slices.Equal(g, []uint32{1001, 800, 10, 77}) || denied("backup", 0) {
		t.Errorf("after a change: %v", g)
	}
	// In place, of the same length and time as before: only ctime tells.
	info, err := os.Stat(m.path("run-as.toml"))
	if err != nil {
		t.Fatal(err)
	}
	m.write("run-as.toml", `accounts = ["nobody"]`)
	if err := os.Chtimes(m.path("run-as.toml"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if !denied("backup", 0) {
		t.Error("a policy of the same length and time was not read")
	}
	m.write("new", `may_choose = ["anna"]`)
	if err := os.Rename(m.path("new"), m.path("run-as.toml")); err != nil {
		t.Fatal(err)
	}
	if denied("bert", 1000) {
		t.Error("a policy put in place by rename was not read")
	}
	if err := os.Remove(m.path("run-as.toml")); err != nil {
		t.Fatal(err)
	}
	if !denied("bert", 1000) {
		t.Error("a policy that is gone still holds")
	}
}

// TestFreshFileIsNotCached: a file that changes twice within a tick of the clock has the same times.
func TestFreshFileIsNotCached(t *testing.T) {
	m := newMachine(t)
	m.write("run-as.toml", `accounts = ["backup"]`)
	m.now = time.Now()
	for range 2 {
		if _, err := m.Policy(); err != nil {
			t.Fatal(err)
		}
		if m.policy.known != (identity{}) {
			t.Error("cached although it may still be changing")
		}
	}
	m.now = m.now.Add(settled + time.Minute)
	if _, err := m.Policy(); err != nil || m.policy.known == (identity{}) {
		t.Errorf("not cached although it is old: %v", err)
	}
}

func TestUnsafePolicyAllowsNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(m *machine, path string) error
		text string
	}{
		"group may write":  {func(_ *machine, p string) error { return os.Chmod(p, 0o664) }, "chmod go-w"},
		"others may write": {func(_ *machine, p string) error { return os.Chmod(p, 0o646) }, "chmod go-w"},
		"symbolic link": {func(m *machine, p string) error {
			return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p))
		}, "is a symbolic link"},
		"directory": {func(_ *machine, p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) }, "not a regular file"},
		"pipe":      {func(_ *machine, p string) error { return errors.Join(os.Remove(p), mkfifo(p)) }, "not a regular file"},
		"of another": {func(m *machine, _ string) error {
			m.o.Owner++
			m.Checker = New(m.o)
			return nil
		}, "does not belong to root"},
		"too long": {func(m *machine, p string) error {
			m.write("run-as.toml", strings.Repeat("#\n", maxPolicy))
			return nil
		}, "longer than"},
		"bad": {func(m *machine, p string) error {
			m.write("run-as.toml", "\naccount = []\n")
			return nil
		}, "run-as.toml:2: unknown key account: did you mean accounts?"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.write("run-as.toml", `accounts = ["backup"]`)
			if err := tt.make(m, m.path("run-as.toml")); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second from memory
				_, err := m.Choose(t.Context(), "", uid(1000))
				if kindOf(t, err) != Broken || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("got %v, want %q", err, tt.text)
				}
			}
		})
	}
}

func TestNameServices(t *testing.T) {
	m := newMachine(t)
	m.script(`case "$2 $3" in
"passwd carl"|"passwd 5000") echo 'carl:*:5000:5000::/home/carl:/bin/bash' ;;
"passwd 5001") echo 'carl:*:5000:5000::/home/carl:/bin/bash' ;;
"passwd odd") echo 'no account' ;;
"passwd fail") echo 'out of order' >&2; exit 3 ;;
"passwd hang") exec sleep 1000 ;;
"initgroups carl") echo 'carl                  5000 44 700' ;;
"initgroups anna") echo 'anna 900' ;;
*) exit 2 ;;
esac`)
	got, err := m.Choose(t.Context(), "", uid(5000))
	if err != nil || got.Name != "carl" || !got.Own || !slices.Equal(got.Groups, []uint32{5000, 44, 700}) {
		t.Errorf("got %+v, %v", got, err)
	}
	before := m.calls()
	if _, err := m.Choose(t.Context(), "", uid(5000)); err != nil || m.calls() != before {
		t.Errorf("asked again for what is known: %v", err)
	}
	m.now = m.now.Add(getentKeeps)
	if _, err := m.Choose(t.Context(), "", uid(5000)); err != nil || m.calls() == before {
		t.Errorf("an old answer was taken: %v", err)
	}
	for user, want := range map[string]Kind{"odd": Unavailable, "fail": Unavailable, "nosuch": Unknown} {
		if _, err := m.Choose(t.Context(), user, uid(0)); kindOf(t, err) != want {
			t.Errorf("%s: %v", user, err)
		}
	}
	if _, err := m.Choose(t.Context(), "", uid(5001)); kindOf(t, err) != Unavailable {
		t.Errorf("an answer for another uid: %v", err)
	}
	// A local account's groups are elsewhere only where nsswitch.conf says so.
	if got, err := m.Choose(t.Context(), "", uid(1000)); err != nil || slices.Contains(got.Groups, 900) {
		t.Errorf("got %+v, %v", got, err)
	}
	m.write("nsswitch.conf", "passwd: files sss\ngroup: files [SUCCESS=merge] systemd # sss\n")
	if got, err := m.Choose(t.Context(), "", uid(1000)); err != nil || slices.Contains(got.Groups, 900) {
		t.Errorf("got %+v, %v", got, err)
	}
	m.write("nsswitch.conf", "group: files sss\n")
	if got, err := m.Choose(t.Context(), "", uid(1000)); err != nil || !slices.Contains(got.Groups, 900) || !slices.Contains(got.Groups, 44) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNameServicesThatHang(t *testing.T) {
	m := newMachine(t)
	m.script("exec sleep 1000")
	m.o.Timeout = 1 // ns
	m.Checker = New(m.o)
	_, err := m.Choose(t.Context(), "hang", uid(0))
	if kindOf(t, err) != Unavailable || !strings.Contains(err.Error(), "no answer for hang within 1ns") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.o.Timeout = time.Hour
	m.Checker = New(m.o)
	if _, err := m.Choose(ctx, "hang", uid(0)); kindOf(t, err) != Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestDefaults(t *testing.T) {
	c := New(Options{Policy: filepath.Join(t.TempDir(), "none")})
	p, err := c.Policy()
	if err != nil || p.DefaultAccount != "queuemgr-job" || p.Accounts != nil || p.MayChoose != nil {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := c.Choose(t.Context(), "root", uid(0)); kindOf(t, err) != Denied {
		t.Errorf("this machine's root: %v", err)
	}
}

func BenchmarkChoose(b *testing.B) {
	m := newMachine(b)
	m.write("run-as.toml", "")
	for b.Loop() {
		if _, err := m.Choose(b.Context(), "anna", uid(1000)); err != nil {
			b.Fatal(err)
		}
	}
}
