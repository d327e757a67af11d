package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// TestLogIsNoWayOut lets the owner of the folder of logs lay traps for root in it. Each start must
// fail, and what the trap is about must stay as it was.
func TestLogIsNoWayOut(t *testing.T) {
	h, cfg := newDropHome(t)
	startRunner(t, cfg)
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	victim := write(t, h.path("victim"), "precious", 0o600)
	if err := os.Mkdir(h.path("outside"), 0o755); err != nil {
		t.Fatal(err)
	}
	mine := func(path string) error { return os.Lchown(path, anna, daemonGID) }
	for _, tt := range []struct {
		name, text string
		trap       func(log string) error // at the log's path
	}{
		{"symlink", "symbolic link", func(log string) error { return os.Symlink(victim, log) }},
		{"dangling", "symbolic link", func(log string) error { return os.Symlink(h.path("outside/new"), log) }},
		{"relative", "symbolic link", func(log string) error { return os.Symlink("../outside/new", log) }},
		{"magic", "symbolic link", func(log string) error { return os.Symlink("/proc/self/fd/1", log) }},
		{"hardlink", "has 2 names", func(log string) error {
			return errors.Join(os.WriteFile(h.path("log/one"), nil, 0o640), mine(h.path("log/one")), os.Link(h.path("log/one"), log))
		}},
		{"hardlink-of-victim", "has 2 names", func(log string) error { return os.Link(victim, log) }},
		{"of-root", "belongs to user 0, not to the job's user 31001", func(log string) error { return os.WriteFile(log, nil, 0o640) }},
		{"of-another", "belongs to user 31002", func(log string) error {
			return errors.Join(os.WriteFile(log, nil, 0o640), os.Lchown(log, bert, daemonGID))
		}},
		{"pipe", "not a regular file", func(log string) error { return errors.Join(syscall.Mkfifo(log, 0o640), mine(log)) }},
		{"read-pipe", "not a regular file", func(log string) error {
			if err := errors.Join(syscall.Mkfifo(log, 0o640), mine(log)); err != nil {
				return err
			}
			fd, err := unix.Open(log, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			t.Cleanup(func() { _ = unix.Close(fd) })
			return err
		}},
		{"folder", "is a directory", func(log string) error { return os.Mkdir(log, 0o755) }},
		{"device", "not a regular file", func(log string) error { return errors.Join(unix.Mknod(log, unix.S_IFCHR|0o666, 1<<8|3), mine(log)) }},
	} {
		s := by(h.sh(tt.name, "echo spoilt"), "anna", anna)
		if err := tt.trap(s.Stdout); err != nil {
			t.Fatal(tt.name, err)
		}
		c.start(s)
		e := c.waitExited(tt.name)
		if e.Cause != wire.CauseSpawn || e.Errno == 0 || !strings.Contains(e.Error, tt.text) || !strings.HasPrefix(e.Error, "log file "+s.Stdout) {
			t.Errorf("%s: %s %d %q, want %q", tt.name, e.Cause, e.Errno, e.Error, tt.text)
		}
	}
	if err := errors.Join(os.Symlink(h.path("outside"), h.path("log/link")), os.Symlink(h.path("outside/dir"), h.path("log/newlink"))); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"folder-link":     h.path("log/link/a.log"),
		"folder-link-new": h.path("log/link/deep/a.log"),
		"new-folder-link": h.path("log/newlink/a.log"),
		"up":              h.dir + "/log/../outside/a.log",
		"up-new":          h.dir + "/log/none/../../outside/a.log",
		"elsewhere":       h.path("outside/a.log"),
		"like-it":         h.path("logs/a.log"),
		"itself":          h.path("log"),
		"relative":        "log/a.log",
	} {
		s := by(h.sh("path-"+name, "echo spoilt"), "anna", anna)
		s.Stdout = path
		c.start(s)
		if e := c.waitExited(s.RunID); e.Cause != wire.CauseSpawn || !strings.HasPrefix(e.Error, "log file "+path) {
			t.Errorf("%s: %s %q", name, e.Cause, e.Error)
		}
	}
	if got := string(read(t, victim)) + " " + owner(t, victim); got != "precious 0:0 0600" {
		t.Errorf("the victim is %s", got)
	}
	if entries, err := os.ReadDir(h.path("outside")); err != nil || len(entries) > 0 {
		t.Errorf("outside: %v, %v", entries, err)
	}
	if _, err := os.Lstat(h.path("logs")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder beside the logs: %v", err)
	}
}

// TestLogGoesOn: a log that is there already is appended to, and gets its mode and group back.
func TestLogGoesOn(t *testing.T) {
	h, cfg := newDropHome(t)
	startRunner(t, cfg)
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	for i := range 2 {
		s := by(h.sh(fmt.Sprint("run", i), fmt.Sprintf("echo out%d; echo err%d >&2", i, i)), "anna", anna)
		s.Stdout, s.Stderr = h.path("log/a/out"), h.path("log/a/err")
		c.start(s)
		if e := c.waitExited(s.RunID); outcome(e) != "exit code=0 signal=0" {
			t.Fatalf("%s %s", outcome(e), e.Error)
		}
		if i == 0 {
			chown(t, s.Stdout, anna, 31901)
			chmod(t, s.Stdout, 0o644)
		}
	}
	want := fmt.Sprintf("%d:%d 0640", anna, daemonGID)
	if got := owner(t, h.path("log/a/out")); got != want {
		t.Errorf("out is %s, want %s", got, want)
	}
	if got := owner(t, h.path("log/a/err")); got != want {
		t.Errorf("err is %s, want %s", got, want)
	}
	if out, err := string(read(t, h.path("log/a/out"))), string(read(t, h.path("log/a/err"))); out != "out0\nout1\n" || err != "err0\nerr1\n" {
		t.Errorf("out %q, err %q", out, err)
	}
}

// TestLogFlags: a job sees the same kind of file whether its log was there or not.
func TestLogFlags(t *testing.T) {
	needRoot(t)
	h := newHome(t)
	folder := logFolder(h.path("log"))
	if err := os.Mkdir(string(folder), 0o751); err != nil {
		t.Fatal(err)
	}
	var flags [2]int
	for i := range flags {
		fd, err := folder.open(h.path("log/x"), anna)
		if err != nil {
			t.Fatal(err)
		}
		flags[i], err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err = errors.Join(err, unix.Close(fd)); err != nil {
			t.Fatal(err)
		}
	}
	if flags[0] != flags[1] || flags[0]&unix.O_APPEND == 0 || flags[0]&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %#x and %#x", flags[0], flags[1])
	}
}

// TestUnsafePlaces: a runner that is root does not start where others could lead it astray.
func TestUnsafePlaces(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, h home, cfg *Config)
		text  string
	}{
		"logs by a link": {func(t *testing.T, h home, cfg *Config) {
			if err := os.Symlink(h.path("log"), h.path("link")); err != nil {
				t.Fatal(err)
			}
			cfg.Drop.Logs = h.path("link")
		}, "symbolic link is in its path"},
		"no logs": {func(_ *testing.T, h home, cfg *Config) { cfg.Drop.Logs = h.path("none") }, "no such file"},
		"folder of another": {func(t *testing.T, h home, cfg *Config) {
			cfg.Journal = h.path("home/anna/journal")
		}, "can be changed by others than root"},
		"folder open to all": {func(t *testing.T, h home, cfg *Config) {
			chmod(t, h.path("home"), 0o1777)
			cfg.Socket = h.path("home/r.sock")
		}, "can be changed by others than root"},
		"above it": {func(t *testing.T, h home, cfg *Config) {
			if err := os.Mkdir(h.path("home/anna/sub"), 0o755); err != nil {
				t.Fatal(err)
			}
			cfg.Lock = h.path("home/anna/sub/lock")
		}, filepath.Join("home", "anna") + " can be changed"},
	} {
		t.Run(name, func(t *testing.T) {
			h, cfg := newDropHome(t)
			tt.spoil(t, h, &cfg)
			r, err := New(cfg)
			if err == nil {
				_ = r.close()
				t.Fatal("it starts")
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v, want %q", err, tt.text)
			}
		})
	}
}
