package runner

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// awaitLine waits until a fifo in h delivers a line: the job says that it got somewhere.
func fifo(t testing.TB, h home, name string) (path string, line func() string) {
	t.Helper()
	path = h.path(name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	// Opened for reading and writing, so that neither side waits for the other.
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // only read
	return path, func() string {
		t.Helper()
		if err := f.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		var got []byte
		one := make([]byte, 1)
		for {
			if _, err := f.Read(one); err != nil {
				t.Fatalf("no line in %s: %v", name, err)
			}
			if one[0] == '\n' {
				return string(got)
			}
			got = append(got, one[0])
		}
	}
}

// carriers lists the living processes that carry a run id.
func carriers(t testing.TB, id string) []int {
	t.Helper()
	var p procfs
	snap, err := p.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, info := range snap {
		if info.RunID == id && !info.Zombie {
			pids = append(pids, info.PID)
		}
	}
	return pids
}

func millis(n int64) *int64 { return &n }

func pidOf(t testing.TB, s string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func alive(pid int) bool {
	var p procfs
	info, err := p.stat(pid)
	return err == nil && !info.Zombie
}

func TestStop(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	for _, tt := range []struct {
		name, script, want string
		lines              int
		stop               wire.Stop
	}{
		{"polite", `echo up > F; exec sleep 1000`, "stop code=- signal=15", 1, wire.Stop{}},
		{"cleanup", `trap 'sleep 0.1; exit 3' TERM; echo up > F; while :; do sleep 1000 & wait; done`,
			"stop code=3 signal=0", 1, wire.Stop{}},
		{"stubborn", `trap '' TERM; echo up > F; while :; do sleep 1000; done`,
			"stop code=- signal=9", 1, wire.Stop{GraceMS: millis(100)}},
		{"force", `trap '' TERM; echo up > F; while :; do sleep 1000; done`,
			"stop code=- signal=9", 1, wire.Stop{Force: true}},
		{"stopped", `echo up > F; kill -STOP $$; sleep 1000`, "stop code=- signal=15", 1, wire.Stop{}},
		{"tree", `trap '' TERM
			setsid sh -c 'trap "" TERM; echo up > F; sleep 1000' &
			(setsid sh -c '(trap "" TERM; echo up > F; exec env -i sleep 1000) & trap "" TERM; sleep 1000' &)
			sh -c 'exec sleep 1000' &
			echo up > F; wait; sleep 1000`,
			"stop code=- signal=9", 3, wire.Stop{GraceMS: millis(100)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path, line := fifo(t, h, "fifo-"+tt.name)
			c.start(h.sh(tt.name, strings.ReplaceAll(tt.script, "F", path)))
			for range tt.lines {
				line()
			}
			tt.stop.RunID, tt.stop.Why = tt.name, "user"
			c.stop(tt.stop)
			e := c.waitExited(tt.name)
			if got := outcome(e); got != tt.want || e.Why != "user" {
				t.Errorf("got %s, why %q; want %s", got, e.Why, tt.want)
			}
			if left := carriers(t, tt.name); len(left) > 0 {
				t.Errorf("left alive: %v", left)
			}
		})
	}
}

func TestStopAfterExitKeepsOutcome(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	path, line := fifo(t, h, "fifo")
	// The background process keeps the tree alive; the leader's end was its own.
	c.start(h.sh("a", "sleep 1000 & echo $! > "+path+"; exit 4"))
	left := pidOf(t, line())
	defer func() { _ = syscall.Kill(left, syscall.SIGKILL) }() // gone is fine
	e := c.waitExited("a")
	c.stop(wire.Stop{RunID: "a", Why: "user", Force: true})
	if got := outcome(e); got != "exit code=4 signal=0" {
		t.Errorf("got %s", got)
	}
	if !alive(left) {
		t.Error("what a job leaves behind on its own end must live on")
	}
}

func TestTimeLimit(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	s := h.sh("a", "trap '' TERM; while :; do sleep 1000; done")
	s.TimeoutMS, s.GraceMS = 50, 50
	begin := time.Now()
	c.start(s)
	e := c.waitExited("a")
	if got := outcome(e); got != "timeout code=- signal=9" {
		t.Errorf("got %s", got)
	}
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("ended after %v: grace not kept", took)
	}
	if err := syscall.Kill(c.started["a"].PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the leader is still there: %v", err)
	}
}
