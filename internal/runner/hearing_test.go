package runner

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// speakVariable makes this test binary a job that speaks to its NOTIFY_SOCKET; the value says what.
const speakVariable = "QUEUEMGR_TEST_SPEAK"

// speak sends without a run id, as a program does that knows nothing of queuemgr.
//
//	last TEXT     the text as result, and ends at once
//	flood N MS    N times a count in STATUS, within MS milliseconds, then N as result
func speak(what string) int {
	fail := func(err error) int { fmt.Fprintln(os.Stderr, err); return 1 }
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	to := &unix.SockaddrUnix{Name: os.Getenv(notifyVariable)}
	send := func(format string, args ...any) error {
		return unix.Sendto(fd, fmt.Appendf(nil, format, args...), 0, to)
	}
	words := strings.Fields(what)
	switch words[0] {
	case "last":
		err = send("X_QUEUEMGR_RESULT=%s", words[1])
	case "flood":
		n, _ := strconv.Atoi(words[1])
		ms, _ := strconv.Atoi(words[2])
		begin := time.Now()
		for i := 1; i <= n && err == nil; i++ {
			err = send("STATUS=%d\nX_QUEUEMGR_PROGRESS=%d", i, i*100/n)
			if ahead := time.Duration(i)*time.Duration(ms)*time.Millisecond/time.Duration(n) - time.Since(begin); ahead > time.Millisecond {
				time.Sleep(ahead)
			}
		}
		if err == nil {
			err = send("X_QUEUEMGR_RESULT=%d", n)
		}
	}
	if err != nil {
		return fail(err)
	}
	return 0
}

// speaker is a start of a job that speaks.
func (h home) speaker(id, what string) wire.Start {
	self, err := os.Executable()
	if err != nil {
		panic(err) // Linux always knows
	}
	s := h.job(id, self)
	s.Env = append(s.Env, speakVariable+"="+what)
	return s
}

// say sends a datagram to the notify socket of h as this process.
func say(t testing.TB, h home, text string) {
	t.Helper()
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: notifyPath(h.socket()), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// waitReport waits for a report of a run that satisfies is.
func (c *client) waitReport(id string, is func(*wire.Report) bool) *wire.Report {
	c.t.Helper()
	for {
		for i := range c.reports[id] {
			if is(&c.reports[id][i]) {
				return &c.reports[id][i]
			}
		}
		if len(c.exited[id]) > 0 || !c.take() {
			c.t.Fatalf("run %s ended, or the connection did, without the report: %+v", id, c.reports[id])
		}
	}
}

// TestLastWords: what a job sent before its end is with its end, always: a leader that sends and ends at once, a
// leader whose child did, one that the runner has heard of before it knew that it lives.
func TestLastWords(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	const atOnce = 20
	many := 200
	if os.Getenv("QUEUEMGR_CHAOS") != "" {
		many = 1000
	}
	for i := 0; i < many; i += atOnce {
		var starts []wire.Start
		for j := i; j < i+atOnce; j++ {
			starts = append(starts, h.speaker(fmt.Sprint("run", j), fmt.Sprint("last ", j)))
		}
		c.start(starts...)
		for j := i; j < i+atOnce; j++ {
			e := c.waitExited(fmt.Sprint("run", j))
			if outcome(e) != "exit code=0 signal=0" || e.Report == nil || string(e.Report.Result) != fmt.Sprint(j) {
				t.Fatalf("run%d: %s with %+v; %s", j, outcome(e), e.Report, h.output(t, fmt.Sprint("run", j)))
			}
		}
		c.ack(c.last)
	}
}

// TestFlood: 50 messages a millisecond wake the daemon once a second, and what they cost is told; the last one counts.
func TestFlood(t *testing.T) {
	h := newHome(t)
	p := startBinary(t, h, binary(t, ""))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	const n = 50_000
	before := cpu(t, p.cmd.Process.Pid)
	begin := time.Now()
	c.start(h.speaker("flood", fmt.Sprintf("flood %d 1000", n)))
	e := c.waitExited("flood")
	took, cost := time.Since(begin), cpu(t, p.cmd.Process.Pid)-before
	if e.Report == nil || string(e.Report.Result) != fmt.Sprint(n) || e.Report.Status != fmt.Sprint(n) || *e.Report.Progress != 100 {
		t.Errorf("%s %+v", outcome(e), e.Report)
	}
	t.Logf("%d messages in %v cost %v of a processor; %d reports", n, took, cost, len(c.reports["flood"]))
	if got := len(c.reports["flood"]); got < 1 || got > int(took/time.Second)+1 {
		t.Errorf("%d reports in %v", got, took)
	}
	for i, rep := range c.reports["flood"][1:] {
		if *rep.Progress < *c.reports["flood"][i].Progress {
			t.Errorf("progress went down: %+v", c.reports["flood"])
		}
	}
}

// cpu is what a process has used.
func cpu(t testing.TB, pid int) time.Duration {
	t.Helper()
	fields := strings.Fields(string(read(t, fmt.Sprintf("/proc/%d/stat", pid))))
	user, err := strconv.Atoi(fields[13])
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.Atoi(fields[14])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * time.Second / userHZ
}

// TestWhoSpeaks: the run id in the message, the leader, its children, their environment; and nobody else.
func TestWhoSpeaks(t *testing.T) {
	needSystemdNotify(t)
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	for name, script := range map[string]string{
		"leader":    `exec systemd-notify --status=heard`,
		"child":     `systemd-notify --status=heard; true`,
		"new env":   `env -i NOTIFY_SOCKET="$NOTIFY_SOCKET" PATH="$PATH" sh -c 'systemd-notify --status=heard; true'`,
		"daemon":    `setsid sh -c 'systemd-notify --status=heard; true' & wait`,
		"no wait":   `systemd-notify --no-block --status=heard`,
		"grandson":  `sh -c 'sh -c "env -u QUEUEMGR_RUN_ID systemd-notify --status=heard; true"; true'`,
		"in pieces": `systemd-notify --status=other; systemd-notify X_QUEUEMGR_PROGRESS=7; systemd-notify --status=heard`,
	} {
		id := strings.ReplaceAll(name, " ", "-")
		c.start(h.sh(id, script))
		e := c.waitExited(id)
		if outcome(e) != "exit code=0 signal=0" || e.Report == nil || e.Report.Status != "heard" || len(e.Report.Refused) > 0 {
			t.Errorf("%s: %s %+v\n%s", name, outcome(e), e.Report, h.output(t, id))
		}
	}
	up, line := fifo(t, h, "up")
	c.start(h.sh("lives", "echo up > "+up+"; exec sleep 1000"))
	line()
	say(t, h, "STATUS=a stranger's") // this process is the runner's, and no job's
	say(t, h, "X_QUEUEMGR_RUN_ID=no-such-run\nSTATUS=b")
	say(t, h, "X_QUEUEMGR_RUN_ID=\nSTATUS=b")
	say(t, h, "X_QUEUEMGR_RUN_ID=lives\nSTATUS=known")
	c.waitReport("lives", func(r *wire.Report) bool { return r.Status == "known" && r.JobID == 1 && r.Fence == 1 })
	c.stop(wire.Stop{RunID: "lives", Force: true})
	e := c.waitExited("lives")
	if e.Report == nil || e.Report.Status != "known" || e.Report.RunID != "" {
		t.Errorf("%+v", e.Report)
	}
	say(t, h, "X_QUEUEMGR_RUN_ID=lives\nSTATUS=from the grave") // belongs to nobody, and harms nobody
}

func needSystemdNotify(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("systemd-notify"); err != nil {
		t.Skip("systemd-notify is not installed (package systemd)")
	}
}

// TestHostileMessages: nothing of them counts, the job hears of it, no descriptor stays.
func TestHostileMessages(t *testing.T) {
	h := newHome(t)
	p := startBinary(t, h, binary(t, ""))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	up, line := fifo(t, h, "up")
	c.start(h.sh("victim", "echo up > "+up+"; exec sleep 1000"))
	line()
	const mine = "X_QUEUEMGR_RUN_ID=victim\n"
	say(t, h, "garbage") // from now on this process is remembered, by a handle, as one of no run
	say(t, h, mine+"STATUS=good\nX_QUEUEMGR_PROGRESS=50")
	c.waitReport("victim", func(r *wire.Report) bool { return r.Status == "good" })
	before := openFiles(t, p.cmd.Process.Pid)
	for _, text := range []string{
		mine + "STATUS=bad\nX_QUEUEMGR_PROGRESS=101",
		mine + "STATUS=\xff\xfe",
		mine + "STATUS=b\x00d",
		mine + "STATUS=bad\nX_QUEUEMGR_RESULT={",
		mine + "STATUS=" + strings.Repeat("x", wire.MaxDatagram),
		mine + "X_QUEUEMGR_PROGRESS=49", // less than before: no fault, and no effect
		mine + "X_QUEUEMGR_PROGRESS=x",
		"", "\x00", "\n\n\n", "=", "garbage", strings.Repeat("A", wire.MaxDatagram),
	} {
		say(t, h, text)
	}
	sendDescriptors(t, h, mine+"X_QUEUEMGR_PROGRESS=60", 250)
	sendDescriptors(t, h, "garbage", 250)
	rep := c.waitReport("victim", func(r *wire.Report) bool { return r.Progress != nil && *r.Progress == 60 })
	if rep.Status != "good" || rep.Result != nil || len(rep.Refused) != 5 || rep.RefusedMore != 1 {
		t.Errorf("%+v", rep)
	}
	for i, want := range []string{"from 0 to 100", "UTF-8", "NUL", "not valid JSON", "more than 69632 bytes"} {
		if !strings.HasPrefix(rep.Refused[i], "refused: ") || !strings.Contains(rep.Refused[i], want) {
			t.Errorf("refusal %d is %q, want %q", i, rep.Refused[i], want)
		}
	}
	if now := openFiles(t, p.cmd.Process.Pid); now != before {
		t.Errorf("%d descriptors are open, before %d", now, before)
	}
	c.stop(wire.Stop{RunID: "victim", Force: true})
	c.waitExited("victim")
}

// sendDescriptors sends text with n descriptors.
func sendDescriptors(t testing.TB, h home, text string, n int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	fds := make([]int, n)
	for i := range fds {
		fds[i] = fd
	}
	if err := unix.Sendmsg(fd, []byte(text), unix.UnixRights(fds...), &unix.SockaddrUnix{Name: notifyPath(h.socket())}, 0); err != nil {
		t.Fatal(err)
	}
}

func openFiles(t testing.TB, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestBarrier: who waits for what it sent to be taken waits no longer than that.
func TestBarrier(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	pipe := make([]int, 2)
	if err := unix.Pipe2(pipe, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	err = unix.Sendmsg(fd, []byte("BARRIER=1"), unix.UnixRights(pipe[1]), &unix.SockaddrUnix{Name: notifyPath(h.socket())}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(pipe[1]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	fds := []unix.PollFd{{Fd: int32(pipe[0])}}
	if n, err := unix.Poll(fds, int(patience.Milliseconds())); n != 1 || fds[0].Revents&unix.POLLHUP == 0 {
		t.Errorf("the descriptor stays open: %d %v", n, err)
	}
}

// TestWhatBelongsToNobodyIsCounted, and said once a minute at most.
func TestWhatBelongsToNobodyIsCounted(t *testing.T) {
	h := newHome(t)
	var log lockedBuffer
	cfg := h.config(t)
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	stop := startRunner(t, cfg)
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	for range 100 {
		say(t, h, "X_QUEUEMGR_RUN_ID=nobody\nSTATUS=x")
	}
	c.start(h.speaker("after", "last 1"))
	c.waitExited("after")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "belong to no job"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	if _, err := os.Lstat(notifyPath(h.socket())); !os.IsNotExist(err) {
		t.Errorf("the notify socket stays: %v", err)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestAnotherAccountsMessages: who may speak for a job is its account, root and nobody else.
func TestAnotherAccountsMessages(t *testing.T) {
	h, cfg := newDropHome(t)
	startRunner(t, cfg)
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	if got := owner(t, notifyPath(h.socket())); got != "0:0 0666" {
		t.Errorf("the notify socket is %s", got)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := write(t, filepath.Join(h.dir, "program"), string(read(t, self)), 0o755) // where everybody may run it
	for i := range 20 {
		id := fmt.Sprint("own", i)
		s := by(h.speaker(id, "last 1"), "anna", anna)
		s.Argv[0], s.Cwd = program, "/"
		c.start(s)
		if e := c.waitExited(id); e.Report == nil || string(e.Report.Result) != "1" {
			t.Errorf("its own words: %s %s %+v", outcome(e), e.Error, e.Report)
		}
	}
	s := by(h.sh("anna", "exec sleep 1000"), "anna", anna)
	s.Cwd = "/"
	c.start(s)
	c.waitStarted("anna")
	as := func(uid uint32, texts ...string) {
		t.Helper()
		cmd := exec.Command("/bin/sh", "-c", `exec python3 -c 'import socket,sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); [s.sendto(text.encode(), sys.argv[1]) for text in sys.argv[2:]]' "$@"`, "sh")
		cmd.Args = append(append(cmd.Args, notifyPath(h.socket())), texts...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: 31901}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	as(bert, "X_QUEUEMGR_RUN_ID=anna\nSTATUS=bert was here")
	as(daemonUID, "X_QUEUEMGR_RUN_ID=anna\nSTATUS=daemon was here")
	// The last one is counted, and leaves room for what anna does wrong.
	as(bert, "STATUS=bert was here", "X_QUEUEMGR_RUN_ID=anna\nSTATUS=bert was here again")
	as(anna, "X_QUEUEMGR_RUN_ID=anna\nX_QUEUEMGR_PROGRESS=10")
	say(t, h, "X_QUEUEMGR_RUN_ID=anna\nSTATUS=root says")
	rep := c.waitReport("anna", func(r *wire.Report) bool { return r.Status == "root says" })
	if *rep.Progress != 10 || len(rep.Refused) != 2 || rep.RefusedMore != 1 ||
		!strings.Contains(rep.Refused[0], fmt.Sprintf("from user %d", bert)) || !strings.Contains(rep.Refused[1], fmt.Sprintf("from user %d", daemonUID)) {
		t.Errorf("%+v", rep)
	}
	c.stop(wire.Stop{RunID: "anna", Force: true})
	c.waitExited("anna")
}

// TestHeldReader: a descriptor whose closing waits holds up neither the ends of jobs nor what others say.
func TestHeldReader(t *testing.T) {
	h := newHome(t)
	p := startBinary(t, h, binary(t, "")) // its end does not wait for whoever is held
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	// Stopped while they are sent: who closes them last is held.
	p.signal(syscall.SIGSTOP)
	for state := ""; state != "T"; {
		state = strings.Fields(string(read(t, fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))))[2]
	}
	for range 3 {
		sendLingering(t, h)
	}
	p.signal(syscall.SIGCONT)
	for i := range 5 {
		id := fmt.Sprint("run", i)
		c.start(h.speaker(id, "last 1"))
		if e := c.waitExited(id); outcome(e) != "exit code=0 signal=0" || e.Report == nil || string(e.Report.Result) != "1" {
			t.Errorf("%s %+v", outcome(e), e.Report)
		}
	}
	// With too many held nobody is heard, and jobs end as always.
	p.signal(syscall.SIGSTOP)
	for range maxReaders {
		sendLingering(t, h)
	}
	p.signal(syscall.SIGCONT)
	silent := h.sh("silent", "exec sleep 1000")
	silent.WatchdogMS = 10
	c.start(silent, h.job("deaf", "/bin/true"))
	if e := c.waitExited("deaf"); outcome(e) != "exit code=0 signal=0" {
		t.Errorf("%s", outcome(e))
	}
	if len(c.exited["silent"]) > 0 {
		t.Errorf("stopped for silence while nobody hears: %+v", c.exited["silent"][0])
	}
	c.stop(wire.Stop{RunID: "silent", Force: true})
	c.waitExited("silent")
	c.send(&wire.Message{Quit: &wire.Quit{}})
	p.wait()
	if n := strings.Count(p.stderr.String(), "reading the notify socket is held up"); n < maxReaders {
		t.Errorf("held only %d times:\n%s", n, p.stderr.String())
	}
}

// sendLingering sends a TCP socket that waits, when it is closed, for data that nobody takes.
func sendLingering(t *testing.T, h home) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // what it holds ends with it
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	addr := &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(fd, addr); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3600}); err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 1<<20)
	for err = error(nil); err == nil; {
		err = unix.Sendto(fd, chunk, unix.MSG_DONTWAIT, nil)
	}
	to, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(to)
	if err := unix.Sendmsg(to, []byte("BARRIER=1"), unix.UnixRights(fd), &unix.SockaddrUnix{Name: notifyPath(h.socket())}, 0); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd) // not the last one: it is on its way
}
