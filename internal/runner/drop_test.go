package runner

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/queuemgr/queuemgr/internal/runas"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// Accounts of the machine in these tests. They are in no file of the real one and need not be.
const (
	daemonUID, daemonGID = 31000, 31900
	anna, bert           = 31001, 31002
	defaultUID           = 31009
)

// needRoot skips a test that really changes accounts.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can start jobs as other users")
	}
}

// newDropHome makes a home for a runner that drops, with accounts of its own.
func newDropHome(t testing.TB) (home, Config) {
	t.Helper()
	needRoot(t)
	h := newHome(t)
	for _, dir := range []string{h.path("etc"), h.path("log"), h.path("home"), h.path("home/anna")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, h.path("etc/passwd"), fmt.Sprintf(`root:x:0:0::/root:/bin/sh
svc:x:33:33::/:/bin/sh
queuemgr:x:%d:%d::/:/bin/sh
queuemgr-job:x:%d:31909::%s:/usr/sbin/nologin
anna:x:%d:31901::%s:/bin/bash
bert:x:%d:31902::/home/bert:/bin/zsh
`, daemonUID, daemonGID, defaultUID, h.path("home"), anna, h.path("home/anna"), bert), 0o644)
	write(t, h.path("etc/group"), "video:x:31944:anna\nwheel:x:31910:bert,anna\n", 0o644)
	write(t, h.path("policy"), "", 0o644)
	chown(t, h.path("home/anna"), anna, 31901)
	chown(t, h.path("log"), daemonUID, daemonGID)
	if err := os.Chmod(h.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cfg := h.config(t)
	cfg.Drop = &Drop{Daemon: daemonUID, Logs: h.path("log"),
		Accounts: runas.New(runas.Options{Policy: h.path("policy"), Etc: h.path("etc"), Getent: h.path("none")})}
	return h, cfg
}

func chown(t testing.TB, path string, uid, gid int) {
	t.Helper()
	if err := os.Lchown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
}

func chmod(t testing.TB, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// by lets a start be one of user, submitted by uid; a negative uid is a token.
func by(s wire.Start, user string, uid int) wire.Start {
	s.User = user
	if uid >= 0 {
		n := uint32(uid)
		s.By = &n
	}
	return s
}

// owner returns "UID:GID MODE" of a file.
func owner(t testing.TB, path string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d:%d %04o", st.Uid, st.Gid, st.Mode&0o7777)
}

func TestDropIsComplete(t *testing.T) {
	h, cfg := newDropHome(t)
	startRunner(t, cfg)
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	if !c.welcome.Drops {
		t.Error("the welcome does not say that the runner drops")
	}
	const script = `id -u; id -g; id -G; grep -E '^(Uid|Gid|CapPrm|CapEff|CapAmb|NoNewPrivs)' /proc/self/status; pwd; umask; touch mine`
	s := by(h.sh("anna", script), "anna", anna)
	umask := uint32(0o027)
	s.Cwd, s.Umask, s.Stdout = h.path("home/anna"), &umask, h.path("log/0/12/anna.log")
	chmod(t, s.Cwd, 0o700) // root's rights must not be needed to get there
	c.start(s)
	if e := c.waitExited("anna"); outcome(e) != "exit code=0 signal=0" {
		t.Fatalf("%s %s", outcome(e), e.Error)
	}
	want := fmt.Sprintf("%d\n31901\n31901 31944 31910\nUid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\nGid:\t31901\t31901\t31901\t31901\n"+
		"CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\n%s\n0027\n", anna, s.Cwd)
	if got := string(read(t, s.Stdout)); sortedGroups(got) != sortedGroups(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for path, want := range map[string]string{
		s.Stdout:           fmt.Sprintf("%d:%d 0640", anna, daemonGID),
		h.path("log/0"):    fmt.Sprintf("%d:%d 0751", daemonUID, daemonGID),
		h.path("log/0/12"): fmt.Sprintf("%d:%d 0751", daemonUID, daemonGID),
		s.Cwd + "/mine":    fmt.Sprintf("%d:31901 0640", anna),
		h.socket():         fmt.Sprintf("%d:0 0600", daemonUID),
		h.journal():        "0:0 0600",
	} {
		if got := owner(t, path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

// sortedGroups sorts the third line, whose order after the first is the kernel's.
func sortedGroups(out string) string {
	lines := strings.Split(out, "\n")
	if len(lines) > 2 {
		groups := strings.Fields(lines[2])
		slices.Sort(groups)
		lines[2] = strings.Join(groups, " ")
	}
	return strings.Join(lines, "\n")
}

func TestDropEnvironment(t *testing.T) {
	h, cfg := newDropHome(t)
	startRunner(t, cfg)
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	submitted := []string{"HOME=/home/me", "USER=me", "LOGNAME=me", "SHELL=/bin/fish", "MAIL=m", "XDG_RUNTIME_DIR=/run/user/1",
		"DBUS_SESSION_BUS_ADDRESS=d", "XAUTHORITY=x", "SSH_AUTH_SOCK=s", "SUDO_USER=u", "SUDO_UID=1", "LANG=C", "A=HOME=1"}
	for _, tt := range []struct {
		id, user string
		by       int
		env      []string
		want     []string
	}{
		{"own", "anna", anna, submitted, submitted},
		{"own-empty", "anna", anna, nil, nil},
		{"another-notify", "anna", anna, []string{"NOTIFY_SOCKET=/another", "WATCHDOG_USEC=1", "WATCHDOG_PID=2", "QUEUEMGR_PARAMS=/p"}, nil},
		{"other", "bert", 0, append(submitted, "PATH=/bin"), []string{"A=HOME=1", "HOME=/home/bert", "LANG=C", "LOGNAME=bert", "PATH=/bin",
			"SHELL=/bin/zsh", "USER=bert"}},
		{"token", "queuemgr-job", -1, nil, []string{"HOME=" + h.path("home"), "LOGNAME=queuemgr-job",
			"PATH=" + servicePath, "SHELL=/usr/sbin/nologin", "USER=queuemgr-job"}},
	} {
		s := by(h.job(tt.id, "/usr/bin/env"), tt.user, tt.by)
		s.Env = tt.env
		c.start(s)
		if e := c.waitExited(tt.id); outcome(e) != "exit code=0 signal=0" {
			t.Errorf("%s: %s %s", tt.id, outcome(e), e.Error)
			continue
		}
		got := strings.Fields(h.output(t, tt.id))
		slices.Sort(got)
		want := append(slices.Clone(tt.want), "NOTIFY_SOCKET="+notifyPath(h.socket()))
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.id, got, want)
		}
	}
}

func TestDropRefusals(t *testing.T) {
	h, cfg := newDropHome(t)
	startRunner(t, cfg)
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	spoil := func(mode os.FileMode) func() { return func() { chmod(t, h.path("policy"), mode) } }
	for _, tt := range []struct {
		id, user string
		by       int
		before   func()
		cause    wire.Cause
		text     string
	}{
		{"root", "root", 0, nil, wire.CauseSpawn, "no job may run as root"},
		{"root-member", "root", anna, nil, wire.CauseSpawn, "anna may not choose"},
		{"system", "svc", 0, nil, wire.CauseSpawn, "system account (uid 33)"},
		{"daemon", "queuemgr", 0, nil, wire.CauseSpawn, "account of the daemon"},
		{"another", "bert", anna, nil, wire.CauseSpawn, "anna may not choose"},
		{"token", "anna", -1, nil, wire.CauseSpawn, "token"},
		{"unknown", "carl", 0, nil, wire.CauseSpawn, "no account carl"},
		{"number", fmt.Sprint(anna), 0, nil, wire.CauseSpawn, "is a number"},
		{"none", "", 0, nil, wire.CauseRefused, "older than its runner"},
		{"writable", "anna", anna, spoil(0o666), wire.CauseRefused, "can be written by others"},
		{"mended", "anna", anna, spoil(0o644), wire.CauseExit, ""},
	} {
		if tt.before != nil {
			tt.before()
		}
		s := by(h.sh(tt.id, "echo ran > "+h.path("home/"+tt.id)), tt.user, tt.by)
		c.start(s)
		e := c.waitExited(tt.id)
		if e.Cause != tt.cause || !strings.Contains(e.Error, tt.text) {
			t.Errorf("%s: %s %q, want %s %q", tt.id, e.Cause, e.Error, tt.cause, tt.text)
		}
		if _, err := os.Lstat(s.Stdout); tt.text != "" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a log was made: %v", tt.id, err)
		}
	}
}

// TestNoDropWithoutBeingTold: a runner that does not drop must not run as itself what is another's.
func TestNoDropWithoutBeingTold(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	if c.welcome.Drops {
		t.Error("says that it drops")
	}
	c.start(by(h.sh("run", "true"), "anna", anna))
	if e := c.waitExited("run"); e.Cause != wire.CauseRefused || !strings.Contains(e.Error, "not as anna") {
		t.Errorf("%s %q", e.Cause, e.Error)
	}
}

// TestRootTellsNothing: errors of a start must not tell a user what only root can see.
func TestRootTellsNothing(t *testing.T) {
	h, cfg := newDropHome(t)
	startRunner(t, cfg)
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	secret := h.path("secret")
	if err := os.Mkdir(secret, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, secret+"/there", "#!/bin/sh\n", 0o755)
	write(t, secret+"/script", "#!/no/such/secret\n", 0o755)
	tool := write(t, h.path("home/anna/tool"), "#!/bin/sh\necho tool\n", 0o700)
	chown(t, tool, anna, 31901)
	hidden := write(t, h.path("home/anna/hidden"), "#!/no/such/interpreter\n", 0o711)
	same := func(a, b string) func(string) string {
		return func(id string) string { return strings.ReplaceAll(strings.ReplaceAll(id, a, "X"), b, "X") }
	}("there", "gone")
	run := func(id, user string, uid int, edit func(s *wire.Start)) *wire.Event {
		s := by(h.job(id, "/bin/true"), user, uid)
		edit(&s)
		c.start(s)
		return c.waitExited(id)
	}
	for name, edit := range map[string]func(s *wire.Start, what string){
		"path":   func(s *wire.Start, what string) { s.Argv, s.Env = []string{what}, []string{"PATH=" + secret} },
		"direct": func(s *wire.Start, what string) { s.Argv = []string{secret + "/" + what} },
		"cwd":    func(s *wire.Start, what string) { s.Cwd = secret + "/" + what },
		"relative": func(s *wire.Start, what string) {
			s.Argv, s.Cwd, s.Env = []string{what}, secret, []string{"PATH=."}
		},
	} {
		there := run(name+"-1", "anna", anna, func(s *wire.Start) { edit(s, "there") })
		gone := run(name+"-2", "anna", anna, func(s *wire.Start) { edit(s, "gone") })
		if there.Cause != wire.CauseSpawn || there.Errno != gone.Errno || same(there.Error) != same(gone.Error) ||
			!strings.Contains(there.Error, "(as user anna)") {
			t.Errorf("%s: %q (%d) and %q (%d)", name, there.Error, there.Errno, gone.Error, gone.Errno)
		}
	}
	for name, tt := range map[string]struct{ file, want string }{
		"script of root's":     {secret + "/script", "permission denied"},
		"unreadable script":    {hidden, "its interpreter or loader is missing"},
		"tool of anna's, bert": {tool, "permission denied"},
	} {
		e := run(name, "bert", bert, func(s *wire.Start) { s.Argv = []string{tt.file} })
		if e.Cause != wire.CauseSpawn || !strings.Contains(e.Error, tt.want) || strings.Contains(e.Error, "/no/such") {
			t.Errorf("%s: %s %q", name, e.Cause, e.Error)
		}
	}
	e := run("tool", "anna", anna, func(s *wire.Start) { s.Argv, s.Env = []string{"tool"}, []string{"PATH=" + h.path("home/anna")} })
	if outcome(e) != "exit code=0 signal=0" || h.output(t, "tool") != "tool\n" {
		t.Errorf("anna's own tool: %s %s", outcome(e), e.Error)
	}
}

// TestRightsComeBack: a thread looks with an account's rights and is root again afterwards.
func TestRightsComeBack(t *testing.T) {
	needRoot(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	h := newHome(t)
	file := write(t, h.path("file"), "", 0o600)
	chmod(t, h.dir, 0o755)
	before := string(read(t, "/proc/thread-self/status"))
	id := &identity{name: "anna", cred: &syscall.Credential{Uid: anna, Gid: 31901, Groups: []uint32{31901, 31944}}}
	var inside error
	var during string
	if err := id.as(func() {
		inside = eaccess(file, unix.R_OK)
		b, err := os.ReadFile("/proc/thread-self/status")
		during = fmt.Sprint(string(b), err)
	}); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(inside, unix.EACCES) {
		t.Errorf("root's file is open to anna: %v", inside)
	}
	if want := fmt.Sprintf("Uid:\t0\t0\t0\t%d\n", anna); !strings.Contains(during, want) {
		t.Errorf("no %q in\n%s", want, during)
	}
	after := string(read(t, "/proc/thread-self/status"))
	for _, key := range []string{"Uid:", "Gid:", "Groups:", "CapEff:"} {
		if b, a := field(before, key), field(after, key); b == "" || a != b {
			t.Errorf("%s %q before, %q after", key, b, a)
		}
	}
}

// field returns the line of /proc/PID/status that begins with key.
func field(status, key string) string {
	for line := range strings.Lines(status) {
		if strings.HasPrefix(line, key) {
			return line
		}
	}
	return ""
}

func TestStopReachesDroppedTrees(t *testing.T) {
	h, cfg := newDropHome(t)
	startRunner(t, cfg)
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	s := by(h.sh("tree", "trap '' TERM; setsid sh -c 'echo up; exec sleep 1000' & sleep 1000"), "anna", anna)
	up, line := fifo(t, h, "up")
	chmod(t, up, 0o666)
	s.Argv[2] = strings.Replace(s.Argv[2], "echo up", "echo up > "+up, 1)
	c.start(s)
	line()
	c.stop(wire.Stop{RunID: "tree", Why: "user", GraceMS: millis(50)})
	if e := c.waitExited("tree"); e.Cause != wire.CauseStop || e.Signal != int(syscall.SIGKILL) {
		t.Errorf("%s", outcome(e))
	}
	if left := carriers(t, "tree"); len(left) > 0 {
		t.Errorf("left alive: %v", left)
	}
}

// connectTo is the environment variable that makes this test binary a daemon that says hello to a
// socket and tells what became of it.
const connectTo = "QUEUEMGR_TEST_CONNECT"

func connectAsDaemon(socket string) int {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		fmt.Println("dial:", errors.Unwrap(errors.Unwrap(err)))
		return 0
	}
	conn := wire.NewConn(nc)
	defer conn.Close()
	err = conn.Send(&wire.Message{Hello: &wire.Hello{Proto: wire.Proto, Registry: "r", Epoch: 1}})
	m := &wire.Message{}
	if err == nil {
		m, err = conn.Receive()
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		fmt.Println("closed")
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println("welcome", m.Welcome != nil)
	}
	return 0
}

func TestSocketTakesTheDaemonAlone(t *testing.T) {
	h, cfg := newDropHome(t)
	startRunner(t, cfg)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(h.dir, "program") // where everybody may run it
	write(t, program, string(read(t, self)), 0o755)
	connect := func(uid uint32) string {
		cmd := exec.Command(program)
		cmd.Env = []string{connectTo + "=" + h.socket()}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: 31901}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for uid, want := range map[uint32]string{anna: "dial: permission denied", defaultUID: "dial: permission denied", daemonUID: "welcome true", 0: "welcome true"} {
		if got := connect(uid); got != want {
			t.Errorf("user %d: %q, want %q", uid, got, want)
		}
	}
	chmod(t, h.socket(), 0o666) // the mode is not all that keeps others out
	for uid, want := range map[uint32]string{anna: "closed", daemonUID: "welcome true"} {
		if got := connect(uid); got != want {
			t.Errorf("user %d, socket open: %q, want %q", uid, got, want)
		}
	}
}

// TestUserProcessLimit runs the program itself, with accounts of the machine.
func TestUserProcessLimit(t *testing.T) {
	needRoot(t)
	h := newHome(t)
	chmod(t, h.dir, 0o755)
	if err := os.Mkdir(h.path("log"), 0o751); err != nil {
		t.Fatal(err)
	}
	write(t, h.path("policy"), `accounts = ["irc"]`, 0o644)
	startBinary(t, h, write(t, h.path("wrap"), "#!/bin/bash\nulimit -u 1\nexec "+binary(t, "")+
		" --drop --daemon-user games --policy "+h.path("policy")+" --logs "+h.path("log")+` "$@"`+"\n", 0o700))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	for _, id := range []string{"one", "two"} { // the kernel lets one more be than it says
		c.start(by(h.job(id, "/bin/sleep", "1000"), "irc", 0))
		c.waitStarted(id)
	}
	c.start(by(h.job("three", "/bin/true"), "irc", 0))
	e := c.waitExited("three")
	if e.Cause != wire.CauseRefused || syscall.Errno(e.Errno) != syscall.EAGAIN ||
		!strings.Contains(e.Error, "as user irc: a limit on the number of processes is reached, that of the machine or that of the user, 1 (LimitNPROC=") {
		t.Errorf("%s %d %q", e.Cause, e.Errno, e.Error)
	}
	c.stop(wire.Stop{RunID: "one", Force: true}, wire.Stop{RunID: "two", Force: true})
	c.waitExited("one")
	c.waitExited("two")
	c.start(by(h.job("four", "/bin/true"), "irc", 0))
	if e := c.waitExited("four"); outcome(e) != "exit code=0 signal=0" {
		t.Errorf("%s %s", outcome(e), e.Error)
	}
}
