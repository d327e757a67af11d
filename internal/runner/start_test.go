package runner

import (
	"fmt"
	"os"
	"testing"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv(withoutUnshare) != "" {
		if err := os.Unsetenv(withoutUnshare); err != nil {
			panic(err)
		}
		execWithoutUnshare()
	}
	if socket := os.Getenv(connectTo); socket != "" {
		os.Exit(connectAsDaemon(socket))
	}
	if what := os.Getenv(speakVariable); what != "" {
		os.Exit(speak(what))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if builds.dir != "" {
			if err := os.RemoveAll(builds.dir); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
		os.Exit(code)
	}))
}

func TestExitCodesAndSignals(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	for i, tt := range []struct{ script, want string }{
		{"exit 0", "exit code=0 signal=0"},
		{"exit 7", "exit code=7 signal=0"},
		{"exit 255", "exit code=255 signal=0"},
		{"kill -SEGV $$", "exit code=- signal=11"},
		{"kill -KILL $$", "exit code=- signal=9"},
		{"kill -TERM $$", "exit code=- signal=15"},
	} {
		id := fmt.Sprint("run", i)
		c.start(h.sh(id, tt.script))
		e := c.waitExited(id)
		if got := outcome(e); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.script, got, tt.want)
		}
		if s := c.started[id]; s == nil || s.Seq >= e.Seq || s.PID == 0 || s.StartTicks == 0 || s.At.After(e.At) {
			t.Errorf("%s: started %+v, exited %+v", tt.script, s, e)
		}
		if e.Usage == nil || e.Usage.MaxRSS == 0 {
			t.Errorf("%s: usage %+v", tt.script, e.Usage)
		}
	}
}

// TestStartTicks compares the start times that are told without a look into /proc with it.
func TestStartTicks(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	var fs procfs
	for i := range 50 {
		id := fmt.Sprint("run", i)
		c.start(h.job(id, "/bin/sleep", "1000"))
		e := c.waitStarted(id)
		if info, err := fs.stat(e.PID); err != nil || info.Ticks != e.StartTicks {
			t.Errorf("%s: told %d, is %d, %v", id, e.StartTicks, info.Ticks, err)
		}
		c.stop(wire.Stop{RunID: id, Force: true})
	}
	for len(c.exited) < 50 {
		c.take()
	}
}

// TestShortageIsNoFaultOfTheJob goes through what the machine may lack when a job is started.
func TestShortageIsNoFaultOfTheJob(t *testing.T) {
	s := &wire.Start{RunID: "a", Argv: []string{"/bin/true"}}
	for _, tt := range []struct {
		name string
		err  *SpawnError
		want wire.Cause
	}{
		{"disk", logError("/log", &os.PathError{Op: "mkdir", Err: unix.ENOSPC}), wire.CauseRefused},
		{"quota", logError("/log", unix.EDQUOT), wire.CauseRefused},
		{"descriptors", logError("/log", unix.ENFILE), wire.CauseRefused},
		{"processes", explain(s, "/bin/true", unix.EAGAIN), wire.CauseRefused},
		{"memory", explain(s, "/bin/true", unix.ENOMEM), wire.CauseRefused},
		{"log", logError("/log", unix.EACCES), wire.CauseSpawn},
		{"program", explain(s, "/bin/true", unix.ENOENT), wire.CauseSpawn},
	} {
		c := newCoreTest(t)
		c.tell(starts("a", "b"))
		c.HandleSpawned(Spawned{RunID: "b", At: c.sys.now, Process: &Process{PID: 11, Child: true}})
		c.end("b", 0)
		c.HandleSpawned(Spawned{RunID: "a", At: c.sys.now, Err: tt.err})
		c.Flush()
		e := c.runs["a"].Exited
		if e == nil || e.Cause != tt.want || e.Errno != int(tt.err.Errno) || e.Error != tt.err.Text {
			t.Errorf("%s: got %+v", tt.name, e)
		}
		c = newCoreTest(t)
		c.tell(starts("a"))
		c.tell(&wire.Message{Stop: []wire.Stop{{RunID: "a"}}})
		c.HandleSpawned(Spawned{RunID: "a", At: c.sys.now, Err: tt.err})
		c.Flush()
		if e := c.runs["a"].Exited; tt.want == wire.CauseRefused && (e == nil || e.Cause != wire.CauseStop) {
			t.Errorf("%s, stopped meanwhile: got %+v", tt.name, e)
		}
	}
}
