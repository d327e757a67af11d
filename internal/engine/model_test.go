package engine

import (
	"flag"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/queuemgr/queuemgr/internal/runner"
	"github.com/queuemgr/queuemgr/job"
)

var (
	daemonPoints = []string{"engine.after-claim", "engine.after-start-sent", "engine.after-events-received",
		"engine.after-events-commit", "engine.after-ack", "engine.after-stop-sent"}
	runnerPoints = []string{"runner.after-receive-start", "runner.after-intent", "runner.after-fork", "runner.after-started",
		"runner.after-exit-seen", "runner.after-exit-journal", "runner.after-reap", "runner.after-deliver",
		"runner.after-ack-received", "runner.after-done"}
)

// TestProtocolModel drives random interleavings of everything that can happen between a claim and
// its end, deaths of either side at every named point included, and holds the registry to the
// truth that the simulated machine keeps.
func TestProtocolModel(t *testing.T) {
	// Long walks: a death matters only when enough has happened before it.
	if err := flag.Set("rapid.steps", "200"); err != nil {
		t.Fatal(err)
	}
	asked := os.Getenv("QUEUEMGR_CHAOS") != "" // rapid's own 100 then, or as many as -rapid.checks says
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked {
		if err := flag.Set("rapid.checks", "40"); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "world")
		if err != nil {
			rt.Fatal(err)
		}
		w := newWorld(rt, dir)
		defer w.close()
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				timeout := rapid.SampledFrom([]time.Duration{0, 0, 5 * time.Second}).Draw(rt, "timeout")
				w.add(rapid.IntRange(0, 4).Draw(rt, "requeue") == 0, timeout)
			},
			"daemon steps":  func(*rapid.T) { w.step() },
			"to the daemon": func(*rapid.T) { w.deliverAnswer() },
			"to the runner": func(*rapid.T) { w.deliver() },
			"connect":       func(*rapid.T) { w.connect() },
			"daemon starts": func(*rapid.T) { w.ensureDaemon() },
			"runner starts": func(*rapid.T) { w.startRunner() },
			"fork":          func(rt *rapid.T) { w.fork(rapid.IntRange(0, 9).Draw(rt, "spawn error") == 0) },
			"exit":          func(rt *rapid.T) { w.exit(rt) },
			"report": func(rt *rapid.T) {
				if alive := w.os.alive(); len(alive) > 0 {
					w.say(rapid.SampledFrom(alive).Draw(rt, "process"), rapid.IntRange(1, 20).Draw(rt, "further"))
				}
			},
			"ends are seen": func(*rapid.T) { w.ready() },
			"scan":          func(*rapid.T) { w.scan() },
			"time passes":   func(rt *rapid.T) { w.pass(time.Duration(rapid.IntRange(1, 4).Draw(rt, "seconds")) * time.Second) },
			"stop":          func(rt *rapid.T) { w.actOnSome(rt, job.ActStop) },
			"delete":        func(rt *rapid.T) { w.actOnSome(rt, job.ActDelete) },
			"start again":   func(rt *rapid.T) { w.actOnSome(rt, job.ActStart) },
			"all goes well": func(*rapid.T) { w.flow() },
			"runner dies": func(rt *rapid.T) {
				if w.runner != nil && rapid.IntRange(0, 3).Draw(rt, "rarely") == 0 {
					w.killRunner()
				}
			},
			"daemon will die": func(rt *rapid.T) {
				if w.daemon != nil {
					w.dieAt = rapid.SampledFrom(daemonPoints).Draw(rt, "point")
				}
			},
			"daemon dies": func(*rapid.T) {
				if w.daemon != nil {
					w.killDaemon()
				}
			},
			"runner will die": func(rt *rapid.T) {
				if w.runner != nil && rapid.IntRange(0, 3).Draw(rt, "rarely") == 0 {
					w.runnerDieAt = rapid.SampledFrom(runnerPoints).Draw(rt, "point")
				}
			},
			"shutdown": func(rt *rapid.T) {
				if rapid.IntRange(0, 5).Draw(rt, "rarely") == 0 {
					w.shutDown()
				}
			},
			"commit fails": func(*rapid.T) { w.store.fails = true },
			"claims go on": func(*rapid.T) {
				if w.daemon != nil {
					w.daemon.core.retry = nil
				}
			},
			"runner is told to end": func(rt *rapid.T) {
				if w.runner != nil && rapid.IntRange(0, 5).Draw(rt, "rarely") == 0 {
					w.everShutDown = true
					w.toRunner(w.runner.HandleShutdown)
				}
			},
			"reboot": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "rarely") == 0 {
					w.reboot(rapid.IntRange(0, 3).Draw(rt, "lost") == 0, rt)
				}
			},
			"": func(rt *rapid.T) { w.checkForks(rt) },
		})
		w.settle()
		w.checkForks(rt)
		w.checkEnds(rt)
	})
}

func (w *world) ensureDaemon() {
	if w.daemon == nil {
		w.startDaemon()
	}
}

func (w *world) fork(fail bool) {
	if w.runner != nil && len(w.os.pending) > 0 {
		answer := w.os.fork(fail)
		w.toRunner(func() { w.runner.HandleSpawned(answer) })
	}
}

func (w *world) exit(rt *rapid.T) {
	if alive := w.os.alive(); len(alive) > 0 {
		p := rapid.SampledFrom(alive).Draw(rt, "process")
		code := rapid.IntRange(0, 4).Draw(rt, "code")
		if rapid.IntRange(0, 5).Draw(rt, "by signal") == 0 {
			w.os.end(p, 0, 11)
			return
		}
		w.os.end(p, code, 0)
	}
}

func (w *world) ready() {
	if w.runner == nil {
		return
	}
	if tokens := w.os.ready(); len(tokens) > 0 {
		w.toRunner(func() { w.runner.HandleReady(tokens) })
	}
}

func (w *world) scan() {
	if w.runner != nil && w.os.scans > 0 {
		w.os.scans--
		snapshot := w.os.snapshot()
		w.toRunner(func() { w.runner.HandleScan(snapshot) })
	}
}

func (w *world) pass(d time.Duration) {
	w.os.now = w.os.now.Add(d)
	if w.runner == nil {
		return
	}
	if at, ok := w.runner.Next(); ok && !at.After(w.os.now) {
		w.toRunner(w.runner.HandleTime)
	}
}

func (w *world) actOnSome(rt *rapid.T, action job.Action) {
	if len(w.jobs) > 0 {
		w.act(rapid.SampledFrom(w.jobs).Draw(rt, "job"), action, rapid.Bool().Draw(rt, "force"))
	}
}

// settle lets everything come to its end without further deaths.
func (w *world) settle() {
	w.dieAt, w.runnerDieAt = "", ""
	w.store.fails = false
	for range 10_000 {
		w.flow()
		for _, p := range w.os.alive() {
			if !w.beingStopped(p.runID) { // that is the runner's to do
				w.os.end(p, 3, 0)
			}
		}
		w.pass(time.Second)
		if w.quiet() {
			return
		}
	}
	w.t.Fatalf("the jobs do not come to an end: %v", w.unended())
}

// beingStopped reports whether the end of a run was asked for and committed.
func (w *world) beingStopped(runID string) bool {
	live, err := w.store.LiveJobs(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, j := range live {
		if j.RunID == runID {
			return j.Want != ""
		}
	}
	return false
}

// flow is a round in which everything reaches the other side and no process ends by itself.
func (w *world) flow() {
	w.ensureDaemon()
	w.startRunner()
	w.deliver()
	w.connect()
	w.daemon.core.retry = nil
	w.step()
	for range len(w.sent) {
		w.deliver()
	}
	for range len(w.os.pending) {
		w.fork(false)
	}
	w.ready()
	w.scan()
	for range len(w.answers) {
		w.deliverAnswer()
	}
	w.step()
}

func (w *world) quiet() bool {
	return len(w.unended()) == 0 && len(w.sent) == 0 && len(w.answers) == 0 && len(w.os.pending) == 0
}

func (w *world) unended() []string {
	var open []string
	for _, id := range w.jobs {
		j, err := w.store.Job(w.ctx, id)
		if err != nil {
			w.t.Fatal(err)
		}
		if !j.State.Ended() {
			open = append(open, string(j.State))
		}
	}
	return open
}

var _ runner.System = (*simOS)(nil)
