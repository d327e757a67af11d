package engine

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// hiddenEnds notes how hidden runs end.
type hiddenEnds struct {
	mu       sync.Mutex
	ended    []store.RunEnd
	recorded []string
}

func (*hiddenEnds) LiveRuns() []string { return nil }

func (e *hiddenEnds) Ended(end store.RunEnd) (store.DeliveryUpdate, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = append(e.ended, end)
	return store.DeliveryUpdate{ID: 1, WasRunID: end.RunID, State: job.DeliveryDone}, true
}

func (e *hiddenEnds) Recorded(runs []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.recorded = append(e.recorded, runs...)
}

func (e *hiddenEnds) take() (ended []store.RunEnd, recorded []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ended, recorded = e.ended, e.recorded
	e.ended, e.recorded = nil, nil
	return ended, recorded
}

// runHidden asks for a hidden run on a stage that tells of its end.
func (s *stage) runHidden(e *hiddenEnds, run string) {
	s.t.Helper()
	if err := s.do(s.t.Context(), func(c *core, _ *tx) error { c.o.Hidden = e; return nil }); err != nil {
		s.t.Fatal(err)
	}
	if err := s.RunHidden(s.t.Context(), HiddenRun{RunID: run, JobID: 1, Log: 1, Argv: []string{"/bin/true"}, Stdin: []byte("{}")}); err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
}

// hear has the runner tell of the end of a hidden run.
func (s *stage) hear(run string, ev wire.Event) {
	s.seq++
	ev.Seq, ev.RunID, ev.JobID, ev.At, ev.Kind = s.seq, run, 1, time.Now(), wire.Exited
	s.in.put(received{from: s.conn, events: []wire.Event{ev}})
	synctest.Wait()
}

// TestHiddenRunEnds tells apart what is the command's own fault and what is not.
func TestHiddenRunEnds(t *testing.T) {
	zero, seven := 0, 7
	for name, c := range map[string]struct {
		ev              wire.Event
		undone, stopped bool
		problem         string
	}{
		"done":        {ev: wire.Event{Cause: wire.CauseExit, ExitCode: &zero}},
		"fails":       {ev: wire.Event{Cause: wire.CauseExit, ExitCode: &seven}, problem: "exit code 7"},
		"killed":      {ev: wire.Event{Cause: wire.CauseExit, Signal: 9}, problem: "signal 9"},
		"refused":     {ev: wire.Event{Cause: wire.CauseRefused, Error: "no room"}, undone: true, problem: "no room"},
		"stopped":     {ev: wire.Event{Cause: wire.CauseStop}, undone: true, stopped: true, problem: "stopped with the service"},
		"no program":  {ev: wire.Event{Cause: wire.CauseSpawn, Error: "no such file"}, problem: "no such file"},
		"out of time": {ev: wire.Event{Cause: wire.CauseTimeout}, problem: "time limit"},
		"lost":        {ev: wire.Event{Cause: wire.CauseLost, Error: "gone"}, problem: "not known: gone"},
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, 1, func(t *testing.T, s *stage) {
				e := &hiddenEnds{}
				s.runHidden(e, "hook-1")
				if starts := s.conn.starts(); len(starts) != 1 || starts[0].RunID != "hook-1" || string(starts[0].Stdin) != "{}" {
					t.Fatalf("asked for %+v", starts)
				}
				s.hear("hook-1", c.ev)
				ended, recorded := e.take()
				if len(ended) != 1 || ended[0].Undone != c.undone || ended[0].Stopped != c.stopped || !strings.Contains(ended[0].Problem, c.problem) || (c.problem == "") != (ended[0].Problem == "") {
					t.Errorf("it ended as %+v", ended)
				}
				if !slices.Equal(recorded, []string{"hook-1"}) {
					t.Errorf("recorded: %q", recorded)
				}
			})
		})
	}
}

// TestHiddenRunAtAttach has a runner not know a run that was asked for.
func TestHiddenRunAtAttach(t *testing.T) {
	t.Run("evidence good", func(t *testing.T) {
		onStage(t, 1, func(t *testing.T, s *stage) {
			e := &hiddenEnds{}
			s.runHidden(e, "hook-1")
			s.connect()
			if starts := s.conn.starts(); len(starts) != 1 || starts[0].RunID != "hook-1" {
				t.Errorf("asked again for %+v", starts)
			}
			if ended, _ := e.take(); len(ended) > 0 {
				t.Errorf("it ended as %+v", ended)
			}
		})
	})
	t.Run("evidence broken", func(t *testing.T) {
		onStage(t, 1, func(t *testing.T, s *stage) {
			e := &hiddenEnds{}
			s.runHidden(e, "hook-1")
			s.conn = &wireEnd{}
			s.in.put(connected{runner: s.conn, welcome: wire.Welcome{Reports: true, Journal: "another", BootID: "b"}})
			synctest.Wait()
			if ended, recorded := e.take(); len(ended) != 1 || ended[0].Undone || len(recorded) != 1 || len(s.conn.starts()) > 0 {
				t.Errorf("it ended as %+v, recorded %q, asked again for %+v", ended, recorded, s.conn.starts())
			}
		})
	})
	t.Run("its end is not committed", func(t *testing.T) {
		onStage(t, 1, func(t *testing.T, s *stage) {
			e := &hiddenEnds{}
			s.runHidden(e, "hook-1")
			s.store.refuseIf(all)
			s.hear("hook-1", wire.Event{Cause: wire.CauseRefused})
			if _, recorded := e.take(); len(recorded) > 0 || !s.conn.isClosed() {
				t.Errorf("recorded %q, connection given up: %v", recorded, s.conn.isClosed())
			}
			s.store.refuseIf(nil)
			s.seq--
			s.connect(wire.Run{RunID: "hook-1", JobID: 1, State: wire.RunExited})
			s.hear("hook-1", wire.Event{Cause: wire.CauseRefused})
			if ended, recorded := e.take(); len(ended) != 1 || !slices.Equal(recorded, []string{"hook-1"}) {
				t.Errorf("told again: ended %+v, recorded %q", ended, recorded)
			}
		})
	})
}

// TestHiddenRunWaitsForNewerRunner has an older runner, which gives no standard input: the run waits and says so,
// that runner is told to end, and the next is asked for it.
func TestHiddenRunWaitsForNewerRunner(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		e := &hiddenEnds{}
		j := s.running(sleeps)
		s.connectAs(wire.Welcome{PID: 42, Version: "v0.1", Runs: []wire.Run{{RunID: j.RunID, JobID: j.ID, Fence: j.Fence, State: wire.RunStarted, PID: 7}}})
		s.runHidden(e, "hook-1")
		if problems := s.problems(); len(problems) != 1 || !strings.Contains(problems[0], "commands of hooks wait") || len(s.conn.starts()) > 0 || s.conn.quits() > 0 {
			t.Errorf("problems %q, asked for %+v, told to end %d times", problems, s.conn.starts(), s.conn.quits())
		}
		code := 0
		s.tell(j.ID, wire.Event{Kind: wire.Exited, Cause: wire.CauseExit, ExitCode: &code})
		if s.conn.quits() != 1 {
			t.Errorf("told to end %d times", s.conn.quits())
		}
		s.conn = &wireEnd{}
		s.in.put(connected{runner: s.conn, welcome: wire.Welcome{Reports: true, Journal: "another", BootID: "b"}}) // proves nothing, and need not
		synctest.Wait()
		if starts := s.conn.starts(); len(starts) != 1 || starts[0].RunID != "hook-1" {
			t.Errorf("the next runner was asked for %+v", starts)
		}
		if problems := s.problems(); len(problems) > 0 {
			t.Errorf("problems with a new runner: %q", problems)
		}
	})
}

// TestShutdownWithHeldHiddenRun ends the service while a run waits for a newer runner: the runner is told to end
// at once, and the run is the next service's.
func TestShutdownWithHeldHiddenRun(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		e := &hiddenEnds{}
		j := s.running(sleeps)
		s.connectAs(wire.Welcome{PID: 42, Runs: []wire.Run{{RunID: j.RunID, JobID: j.ID, Fence: j.Fence, State: wire.RunStarted, PID: 7}}})
		s.runHidden(e, "hook-1")
		if err := s.Shutdown(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if ended, recorded := e.take(); len(ended) != 1 || !ended[0].Undone || !ended[0].Stopped || !slices.Equal(recorded, []string{"hook-1"}) {
			t.Errorf("it ended as %+v, recorded %q", ended, recorded)
		}
		s.tell(j.ID, wire.Event{Kind: wire.Exited, Cause: wire.CauseStop, Why: string(job.WantShutdown)})
		if s.conn.quits() != 1 {
			t.Errorf("the runner was told to end %d times", s.conn.quits())
		}
	})
}
