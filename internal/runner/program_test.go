package runner

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// notifySocket listens as systemd does; next returns one datagram.
func notifySocket(t *testing.T, name string) (next func() string) {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // its folder goes, too
	return func() string {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

// TestSystemdIsTold lets a runner live and be stopped as a unit with Type=notify.
func TestSystemdIsTold(t *testing.T) {
	for kind, name := range map[string]func(h home) string{
		"path":     func(h home) string { return h.path("notify") },
		"abstract": func(h home) string { return "@" + h.path("notify") },
	} {
		t.Run(kind, func(t *testing.T) {
			h := newHome(t)
			socket := name(h)
			next := notifySocket(t, socket)
			p := startBinary(t, h, binary(t, ""), notifyVariable+"="+socket)
			if got := next(); got != "READY=1" {
				t.Errorf("first %q", got)
			}
			env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.cmd.Process.Pid))
			if err != nil || !bytes.Contains(env, []byte(notifyVariable)) {
				t.Fatalf("it was not in the environment: %v", err)
			}
			c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1, ShutdownTimeoutMS: millis(70)})
			c.start(h.job("env", "/usr/bin/env"))
			c.waitExited("env")
			if out := h.output(t, "env"); strings.Contains(out, socket+"\n") || !strings.Contains(out, notifyVariable+"="+notifyPath(h.socket())+"\n") {
				t.Errorf("a job has %s", out)
			}
			up, line := fifo(t, h, "up")
			c.start(h.sh("stays", "trap '' TERM; echo up > "+up+"; while :; do sleep 1000; done"))
			line()
			if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("STOPPING=1\nSTATUS=stopping all jobs\nEXTEND_TIMEOUT_USEC=%d", (70*time.Millisecond + killMargin).Microseconds())
			if got := next(); got != want {
				t.Errorf("at its end %q, want %q", got, want)
			}
			// Its own grace is 10 s; the daemon's limit is shorter.
			if e := c.waitExited("stays"); e.Cause != wire.CauseStop || e.Signal != int(syscall.SIGKILL) || e.Why != whyShutdown {
				t.Errorf("%s %s", outcome(e), e.Why)
			}
			if state := p.wait(); state.ExitCode() != ExitOK {
				t.Errorf("ended with %v", state)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	places := []string{"--socket", "s", "--journal", "j", "--lock", "l"}
	for _, tt := range []struct {
		name string
		args []string
		root bool // only root gets so far
		want string
	}{
		{"of a user", places, false, "s j l drop=false linger=10s shutdown=30s"},
		{"system", []string{"--system"}, true, systemSocket + " " + systemJournal + " " + systemLock + " drop=true linger=0s shutdown=30s"},
		{"system elsewhere", append([]string{"--system", "--shutdown-timeout=5s", "--linger=1s"}, places...), true,
			"s j l drop=true linger=1s shutdown=5s"},
		{"drop", append([]string{"--drop", "--logs=/x", "--policy=/y", "--daemon-user=z"}, places...), true, "s j l drop=true linger=10s shutdown=30s"},
		{"no places", nil, false, "error: --socket, --journal and --lock are needed, or --system"},
		{"too much", append([]string{"x"}, places...), false, "error: --socket, --journal and --lock are needed, or --system"},
		{"an argument", append(places[:6:6], "x"), false, `error: "x" is not a flag`},
		{"logs without drop", append([]string{"--logs=/x"}, places...), false, "error: --logs is of use with --drop or --system only"},
		{"negative", append([]string{"--shutdown-timeout=-1s"}, places...), false, "error: --shutdown-timeout -1s is less than nothing"},
	} {
		o, err := parseOptions(tt.args)
		var got string
		switch {
		case err != nil:
			got = "error: " + err.Error()
		default:
			got = fmt.Sprintf("%s %s %s drop=%v linger=%v shutdown=%v", o.cfg.Socket, o.cfg.Journal, o.cfg.Lock, o.drop, o.cfg.Linger, *o.cfg.Shutdown)
		}
		want := tt.want
		if tt.root && os.Geteuid() != 0 {
			want = "error: only root can start jobs as other users: start this runner as root, or without --drop and --system"
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, want)
		}
	}
}

// TestDropNeedsTheDaemonsAccount: a runner nobody could talk to does not start.
func TestDropNeedsTheDaemonsAccount(t *testing.T) {
	needRoot(t)
	h := newHome(t)
	p := startBinary(t, h, write(t, h.path("wrap"), "#!/bin/sh\nexec "+binary(t, "")+
		" --drop --daemon-user no-such-account --logs "+h.dir+` "$@"`+"\n", 0o700))
	if state := p.wait(); state.ExitCode() != ExitFailed || !strings.Contains(p.stderr.String(), "there is no account no-such-account for the daemon") {
		t.Errorf("%v\n%s", state, p.stderr.String())
	}
}

func TestOnlyAMeantStopEmptiesTheCgroup(t *testing.T) {
	path := binary(t, "")
	for result, want := range map[string]string{
		"":            "SERVICE_RESULT is not set",
		"signal":      "the next one takes its jobs over",
		"oom-kill":    "the next one takes its jobs over",
		"exit-code":   "the next one takes its jobs over",
		"start-limit": "the next one takes its jobs over",
		"watchdog":    "the next one takes its jobs over",
	} {
		cmd := exec.Command(path, "--empty-cgroup")
		cmd.Env = []string{"SERVICE_RESULT=" + result}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), "nothing is killed") {
			t.Errorf("%q: %v\n%s", result, err, out)
		}
	}
}

func TestCgroupDirs(t *testing.T) {
	const mounts = `24 23 0:21 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
25 24 0:22 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
26 24 0:23 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,name=systemd
27 24 0:24 / /sys/fs/cgroup/pids rw shared:12 - cgroup cgroup rw,pids
28 24 0:22 /system.slice /mnt/part rw - cgroup2 cgroup2 rw
29 24 0:22 /sys /mnt/other rw - cgroup2 cgroup2 rw
`
	const path = "/system.slice/q.service"
	for controller, want := range map[string]string{
		"":             "[/sys/fs/cgroup/unified/system.slice/q.service /mnt/part/q.service]",
		"name=systemd": "[/sys/fs/cgroup/systemd/system.slice/q.service]",
	} {
		if got := fmt.Sprint(cgroupDirs(mounts, controller, path)); got != want {
			t.Errorf("%q: %s, want %s", controller, got, want)
		}
	}
	const groups = "9:name=systemd:/a\n3:cpu,cpuacct:/b\n0::/system.slice/a:b.service/.control\n"
	if got, ok := membership(groups, ""); !ok || got != "/system.slice/a:b.service/.control" {
		t.Errorf("got %q", got)
	}
	if got, ok := membership(groups, "name=systemd"); !ok || got != "/a" {
		t.Errorf("got %q", got)
	}
	if _, ok := membership(groups, "pids"); ok {
		t.Error("found what is not there")
	}
}

// TestEmptyCgroup makes the control groups of a unit with Delegate=yes, as systemd does, fills them and
// lets the program empty them from within.
func TestEmptyCgroup(t *testing.T) {
	needRoot(t)
	for _, own := range []string{"/.control", ""} {
		t.Run("in unit"+own, func(t *testing.T) { testEmptyCgroup(t, own) })
	}
}

func testEmptyCgroup(t *testing.T, own string) {
	var unit string
	for _, dir := range cgroupDirs(string(read(t, "/proc/self/mountinfo")), "", fmt.Sprintf("/queuemgr-test-%d.service", os.Getpid())) {
		if err := os.Mkdir(dir, 0o755); err == nil {
			unit = dir
			break
		}
	}
	if unit == "" {
		t.Skip("no control group of version 2 can be made here")
	}
	groups := []string{unit, unit + "/.control", unit + "/sub", unit + "/sub/deep"}
	var inside []*exec.Cmd
	t.Cleanup(func() {
		for _, cmd := range inside {
			_ = cmd.Process.Kill() // after a failure only
			_ = cmd.Wait()
		}
		for i := len(groups) - 1; i >= 0; i-- { // from the leaves up
			if err := os.Remove(groups[i]); err != nil {
				t.Error(err)
			}
		}
	})
	for _, dir := range groups[1:] {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{unit, unit + "/sub", unit + "/sub/deep"} {
		// It ignores what can be ignored and leaves children in sessions of their own.
		cmd := exec.Command("/bin/sh", "-c", "trap '' TERM HUP; setsid sleep 100 & setsid sleep 100 & echo up; wait; sleep 100")
		inside = append(inside, startIn(t, dir, cmd))
	}
	outside := exec.Command("/bin/sleep", "1000")
	if err := outside.Start(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary(t, ""), "--empty-cgroup")
	cmd.Env = []string{"SERVICE_RESULT=success"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	inCgroup(t, unit+own, cmd)
	if err := cmd.Run(); err != nil || !strings.Contains(out.String(), "the control group is empty") {
		t.Errorf("%v\n%s", err, out.String())
	}
	for _, cmd := range inside {
		_ = cmd.Wait() // by KILL, as below
		if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGKILL {
			t.Errorf("ended with %v", cmd.ProcessState)
		}
	}
	for _, dir := range groups {
		if left := living(t, dir); len(left) > 0 {
			t.Errorf("%s: left alive %v", dir, left)
		}
	}
	if err := outside.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a process outside: %v", err)
	}
	if err := outside.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = outside.Wait() // by that KILL
}

// inCgroup lets cmd start in a control group.
func inCgroup(t *testing.T, dir string, cmd *exec.Cmd) {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // only named
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd())}
}

// startIn starts cmd in a control group and waits for its first line.
func startIn(t *testing.T, dir string, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	inCgroup(t, dir, cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// living lists the processes of a control group that have not ended.
func living(t *testing.T, dir string) (pids []int) {
	t.Helper()
	var proc procfs
	for _, field := range strings.Fields(string(read(t, filepath.Join(dir, "cgroup.procs")))) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := proc.stat(pid); err == nil && !info.Zombie {
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestNoCgroupNothingKilled runs it, meant, where there is no unit.
func TestNoCgroupNothingKilled(t *testing.T) {
	if regexp.MustCompile(`(?m)\.service(/\.control)?$`).Match(read(t, "/proc/self/cgroup")) {
		t.Skip("this test runs in a unit of systemd")
	}
	cmd := exec.Command(binary(t, ""), "--empty-cgroup")
	cmd.Env = []string{"SERVICE_RESULT=success"}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "nothing is killed: this process is in no control group of a systemd service") {
		t.Errorf("%v\n%s", err, out)
	}
}
