package runner

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

func write(t testing.TB, path, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSpawnErrors(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	plain := write(t, h.path("plain"), "text", 0o600)
	badInterp := write(t, h.path("badinterp"), "#!/no/such/interp -x\n", 0o700)
	noMagic := write(t, h.path("nomagic"), "\x00\x01\x02", 0o700)
	for _, tt := range []struct {
		name  string
		errno syscall.Errno
		text  string
		edit  func(*wire.Start)
	}{
		{"empty", syscall.EINVAL, "the command is empty", func(s *wire.Start) { s.Argv = nil }},
		{"empty-name", syscall.EINVAL, "the command is empty", func(s *wire.Start) { s.Argv = []string{""} }},
		{"nul", syscall.EINVAL, "argument 1 contains a NUL byte", func(s *wire.Start) { s.Argv = []string{"/bin/true", "a\x00b"} }},
		{"nul-env", syscall.EINVAL, `environment variable "A" contains a NUL byte`, func(s *wire.Start) { s.Env = append(s.Env, "A=\x00") }},
		{"no-cwd", syscall.ENOENT, "working directory /no/such: no such file or directory", func(s *wire.Start) { s.Cwd = "/no/such" }},
		{"file-cwd", syscall.ENOTDIR, "working directory " + plain + ": not a directory", func(s *wire.Start) { s.Cwd = plain }},
		{"not-in-path", syscall.ENOENT, "nosuchprog: not found in PATH", func(s *wire.Start) { s.Argv = []string{"nosuchprog"} }},
		{"not-in-path-cwd", syscall.ENOENT, "working directory /no/such: no such file or directory", func(s *wire.Start) { s.Argv, s.Cwd = []string{"nosuchprog"}, "/no/such" }},
		{"no-file", syscall.ENOENT, "/no/such/prog: no such file or directory", func(s *wire.Start) { s.Argv = []string{"/no/such/prog"} }},
		{"not-exec", syscall.EACCES, plain + ": not executable: permission denied", func(s *wire.Start) { s.Argv = []string{plain} }},
		{"not-exec-path", syscall.EACCES, "plain: found as " + plain + ", which is not executable", func(s *wire.Start) { s.Argv, s.Env = []string{"plain"}, []string{"PATH=" + h.dir} }},
		{"directory", syscall.EACCES, "/usr: is a directory", func(s *wire.Start) { s.Argv = []string{"/usr"} }},
		{"bad-interpreter", syscall.ENOENT, badInterp + ": bad interpreter /no/such/interp: no such file or directory", func(s *wire.Start) { s.Argv = []string{badInterp} }},
		{"format", syscall.ENOEXEC, noMagic + ": exec format error", func(s *wire.Start) { s.Argv = []string{noMagic} }},
		{"too-long", syscall.E2BIG, "/bin/true: arguments and environment are too long: argument list too long", func(s *wire.Start) { s.Argv = []string{"/bin/true", strings.Repeat("x", 2<<20)} }},
		{"log", syscall.ENOTDIR, "log file " + plain + "/log: not a directory", func(s *wire.Start) { s.Stdout = plain + "/log" }},
		{"log-dir", syscall.EISDIR, "log file " + h.dir + ": is a directory", func(s *wire.Start) { s.Stderr = h.dir }},
	} {
		s := h.job(tt.name, "/bin/true")
		tt.edit(&s)
		c.start(s)
		e := c.waitExited(tt.name)
		if e.Cause != wire.CauseSpawn || syscall.Errno(e.Errno) != tt.errno || e.Error != tt.text || c.started[tt.name] != nil {
			t.Errorf("%s: got %s, errno %d, %q; want errno %d, %q", tt.name, e.Cause, e.Errno, e.Error, tt.errno, tt.text)
		}
	}
}

func TestWhatAJobSees(t *testing.T) {
	h := newHome(t)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	// In a process of its own with a low soft limit and ignored signals, as a careless starter gives it.
	startBinary(t, h, wrapper(t, h, "ulimit -S -n 700; trap '' HUP INT QUIT TSTP USR1 PIPE; exec 9</dev/null"))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	umask := uint32(0o077)
	dir := filepath.Join(h.dir, "work")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "local"), "#!/bin/sh\necho local $1", 0o700)
	for _, tt := range []struct {
		name, want string
		start      wire.Start
	}{
		{"umask", "0077", with(h.sh("", "umask"), func(s *wire.Start) { s.Umask = &umask })},
		{"cwd", dir, with(h.sh("", "pwd"), func(s *wire.Start) { s.Cwd = dir })},
		{"env", "A=1\nNOTIFY_SOCKET=" + notifyPath(h.socket()), with(h.job("", "/usr/bin/env", "-u", "MANAGERPID"), func(s *wire.Start) { s.Env = []string{"A=1"} })},
		{"stdin", "", h.sh("", "cat; readlink /proc/self/fd/0 | grep -vx /dev/null")},
		{"nofile", "700", h.sh("", "ulimit -S -n")},
		{"session", "same", h.sh("", `set -- $(cut -d' ' -f1,6 /proc/$$/stat); [ $1 = $2 ] && echo same`)},
		{"fds", "0 1 2 3", h.sh("", "echo $(ls /proc/self/fd)")}, // 3 is the listing's own
		// 32 and 33 are the C library's own: make leaves them ignored and nobody can be asked to.
		{"signals", "0", h.sh("", "echo $((0x$(sed -n 's/SigIgn:.//p' /proc/self/status) & ~0x180000000))")},
		{"blocked", "SigBlk:\t0000000000000000", h.job("", "/bin/grep", "SigBlk", "/proc/self/status")},
		{"order", "out\nerr\nout", h.sh("", "echo out; echo err >&2; echo out")},
		{"relative", "local x", with(h.job("", "./local", "x"), func(s *wire.Start) { s.Cwd = dir })},
		{"relative-path", "local y", with(h.job("", "local", "y"), func(s *wire.Start) { s.Cwd, s.Env = dir, []string{"PATH=:/bin"} })},
		{"argv0", "sh", with(h.job("", "sh", "-c", "echo $0"), func(*wire.Start) {})},
	} {
		s := tt.start
		s.RunID, s.Stdout = tt.name, h.path("log/deep/"+tt.name+".log")
		c.start(s)
		e := c.waitExited(tt.name)
		b, err := os.ReadFile(s.Stdout)
		if err != nil {
			t.Errorf("%s: %v (%+v)", tt.name, err, e)
			continue
		}
		if got := strings.TrimSpace(string(b)); got != tt.want {
			t.Errorf("%s: got %q, want %q (%s)", tt.name, got, tt.want, outcome(e))
		}
		if info, err := os.Stat(s.Stdout); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: log file: %v, %v", tt.name, info.Mode(), err)
		}
	}
	s := h.sh("split", "echo out; echo err >&2")
	s.Stderr = h.path("log/split.err")
	c.start(s)
	c.waitExited("split")
	b, err := os.ReadFile(s.Stderr)
	if err != nil || string(b) != "err\n" || h.output(t, "split") != "out\n" {
		t.Errorf("split: %q, %v", b, err)
	}
}

func with(s wire.Start, edit func(*wire.Start)) wire.Start {
	edit(&s)
	return s
}

// wrapper is a script that does something and becomes the runner.
func wrapper(t testing.TB, h home, before string) string {
	t.Helper()
	return write(t, h.path("wrapper"), "#!/bin/bash\n"+before+"\nexec "+binary(t, "")+` "$@"`+"\n", 0o700)
}
