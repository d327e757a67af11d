package engine

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/internal/servicetest"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// stage is an engine in a bubble of synctest with the real registry, whose runner is the test's: what
// the engine tells it is looked at, and what it answers is put in. Time passes when all wait.
type stage struct {
	*Engine
	t     *testing.T
	store *watched
	conn  *wireEnd
	seq   uint64
}

// watched is a registry that notes what is committed and may refuse it.
type watched struct {
	store.Store

	mu     sync.Mutex
	tried  int // commits since refuseIf
	claims int // those of them that claim a job
	refuse func(*store.Commit) bool
	onJob  func() // called after a job was read; set before anybody reads
}

func (w *watched) Job(ctx context.Context, id int64) (*job.Job, error) {
	j, err := w.Store.Job(ctx, id)
	if w.onJob != nil {
		w.onJob()
	}
	return j, err
}

func (w *watched) Commit(ctx context.Context, c store.Commit) (store.Committed, error) {
	w.mu.Lock()
	w.tried++
	if isClaim(&c) {
		w.claims++
	}
	refused := w.refuse != nil && w.refuse(&c)
	w.mu.Unlock()
	if refused {
		return store.Committed{}, &job.Error{Code: job.Exhausted, Message: "no room"}
	}
	return w.Store.Commit(ctx, c)
}

// refuseIf refuses commits from now on, none for nil, and counts anew.
func (w *watched) refuseIf(f func(*store.Commit) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse, w.tried, w.claims = f, 0, 0
}

// counts returns how many commits were tried since refuseIf and how many of them claim a job.
func (w *watched) counts() (tried, claims int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tried, w.claims
}

func all(*store.Commit) bool { return true }

func isClaim(c *store.Commit) bool {
	for _, u := range c.Updates {
		if u.From == job.Queued && u.Job.State == job.Starting {
			return true
		}
	}
	return false
}

// wireEnd is the engine's end of a connection.
type wireEnd struct {
	mu     sync.Mutex
	sent   []*wire.Message
	closed bool
}

func (e *wireEnd) Send(m *wire.Message) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errors.New("closed")
	}
	e.sent = append(e.sent, m)
	return nil
}

func (e *wireEnd) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return nil
}

func (e *wireEnd) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

// starts and stops return what the runner was asked for.
func (e *wireEnd) starts() (all []wire.Start) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.sent {
		all = append(all, m.Start...)
	}
	return all
}

// sizes returns how long the messages with starts are.
func (e *wireEnd) sizes(t *testing.T) (sizes []int) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.sent {
		if len(m.Start) == 0 {
			continue
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(b))
	}
	return sizes
}

func (e *wireEnd) stops() (all []wire.Stop) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.sent {
		all = append(all, m.Stop...)
	}
	return all
}

// onStage runs f in a bubble with an engine that has a runner and lets some jobs run at once.
func onStage(t *testing.T, atOnce int, f func(*testing.T, *stage)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub()
		registry, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(dir, "registry.db"), OnCommit: hub.Publish})
		if err != nil {
			t.Fatal(err)
		}
		s := &stage{t: t, store: &watched{Store: registry}}
		o := Options{Store: s.store, Hub: hub, Now: time.Now, NewRunID: rand.Text, Log: slog.New(slog.DiscardHandler), Node: "test",
			LogDir: dir, ProcDir: dir, Types: servicetest.Types{}, Settings: Settings{MaxConcurrent: atOnce, ShutdownTimeout: 30 * time.Second}}
		proc, err := newProcView(dir, o.Log)
		if err != nil {
			t.Fatal(err)
		}
		in := newMailbox()
		c, err := newCore(t.Context(), &o, proc, in)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		s.Engine = &Engine{o: o, core: c, in: in, proc: proc, cancel: cancel, done: make(chan struct{})}
		s.feeds = newFeeds(s.Engine)
		s.wg.Go(func() { defer close(s.done); c.run(ctx) })
		s.wg.Go(func() { s.feeds.run(ctx) })
		s.wg.Go(func() { c.done.run(ctx, s.done) })
		defer func() {
			s.Close()
			if err := registry.Close(); err != nil {
				t.Error(err)
			}
		}()
		s.connect()
		f(t, s)
	})
}

// connect welcomes the engine on a new connection, with the runs that the runner knows.
func (s *stage) connect(runs ...wire.Run) {
	s.connectAs(wire.Welcome{Reports: true, Runs: runs})
}

// connectAs is connect with a runner of another kind.
func (s *stage) connectAs(w wire.Welcome) {
	s.conn = &wireEnd{}
	w.Journal, w.BootID, w.Acked, w.LastSeq = "j", "b", s.seq, s.seq
	s.in.put(connected{runner: s.conn, welcome: w})
	synctest.Wait()
}

// add adds a job that sleeps and waits for what the engine makes of it.
func (s *stage) add() *job.Job {
	s.t.Helper()
	return s.addSpec(job.Spec{Command: []string{"sleep", "1000"}, Grace: job.Duration(time.Hour)})
}

func (s *stage) addSpec(spec job.Spec) *job.Job {
	s.t.Helper()
	j, err := s.AddJob(job.WithCaller(s.t.Context(), job.Caller{Name: "root"}), spec)
	if err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
	return j
}

// tell has the runner report something of the job's present run.
func (s *stage) tell(id int64, ev wire.Event) {
	s.t.Helper()
	j := s.job(id)
	s.seq++
	ev.Seq, ev.RunID, ev.JobID, ev.Fence, ev.At = s.seq, j.RunID, id, j.Fence, time.Now()
	s.in.put(received{from: s.conn, events: []wire.Event{ev}})
	synctest.Wait()
}

func (s *stage) job(id int64) *job.Job {
	s.t.Helper()
	j, err := s.Job(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return j
}

func (s *stage) wantState(id int64, want job.State) {
	s.t.Helper()
	if j := s.job(id); j.State != want {
		s.t.Fatalf("job %d is %s (%s), want %s", id, j.State, j.Reason, want)
	}
}

// TestStartsGoInPartsBySize claims jobs at once whose arguments or environments are large, and has
// them said again on a new connection: no message comes near the largest that the wire takes, and
// each job is in one of them.
func TestStartsGoInPartsBySize(t *testing.T) {
	large := strings.Repeat("x", 100<<10)
	args, env := []string{"true"}, map[string]string{}
	for i := range 15 {
		args = append(args, large)
		env[fmt.Sprint("LARGE", i)] = large
	}
	for name, defaults := range map[string]job.Spec{
		"arguments":   {Command: args},
		"environment": {Command: []string{"true"}, Env: env},
	} {
		t.Run(name, func(t *testing.T) {
			const jobs = 4
			onStage(t, jobs, func(t *testing.T, s *stage) {
				ctx := job.WithCaller(t.Context(), job.Caller{Name: "root"})
				ids, err := s.AddJobs(ctx, job.Batch{Defaults: defaults, Jobs: make([]job.Spec, jobs)})
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if _, claims := s.store.counts(); claims != 1 {
					t.Fatalf("the jobs were claimed in %d commits, want one", claims)
				}
				s.wantStarts(t, ids)
				s.connect()
				s.wantStarts(t, ids)
			})
		})
	}
}

// wantStarts looks for one start of each job, in messages of a good size.
func (s *stage) wantStarts(t *testing.T, ids []int64) {
	t.Helper()
	var got []int64
	for _, start := range s.conn.starts() {
		got = append(got, start.JobID)
	}
	slices.Sort(got)
	if !slices.Equal(got, ids) {
		t.Errorf("the runner was asked for %v, want %v", got, ids)
	}
	for _, size := range s.conn.sizes(t) {
		if size > startsBytes {
			t.Errorf("a message of %d bytes, want at most %d", size, startsBytes)
		}
	}
}

// TestClaimsThatFailArePaused sees claiming left alone for five seconds after a commit of claims has
// failed, whatever wakes the engine meanwhile, and go on by itself.
func TestClaimsThatFailArePaused(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.store.refuseIf(isClaim)
		j := s.add()
		for range 3 {
			s.in.wake()
			synctest.Wait()
		}
		time.Sleep(claimPause - 1)
		s.in.wake()
		synctest.Wait()
		if _, n := s.store.counts(); n != 1 {
			t.Errorf("tried %d times within the pause, want once", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if _, n := s.store.counts(); n != 2 {
			t.Errorf("tried %d times when the pause was over, want twice", n)
		}
		s.wantState(j.ID, job.Queued)
		s.store.refuseIf(nil)
		time.Sleep(claimPause)
		synctest.Wait()
		s.wantState(j.ID, job.Starting)
		if got := s.conn.starts(); len(got) != 1 || got[0].JobID != j.ID {
			t.Errorf("the runner was asked for %+v, want the job's start", got)
		}
	})
}

// TestClaimsLeaveTheReserve sees what must be recorded on a full disk, an end, and what need not be,
// the claim that takes the free slot, in commits of their own: only the first may use the reserve.
func TestClaimsLeaveTheReserve(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		first, second := s.add(), s.add()
		s.tell(first.ID, wire.Event{Kind: wire.Started, PID: 7})
		s.store.refuseIf(func(c *store.Commit) bool { return !c.Vital }) // as a full disk does
		code := 3
		s.tell(first.ID, wire.Event{Kind: wire.Exited, Cause: wire.CauseExit, ExitCode: &code})
		s.wantState(first.ID, job.Failed)
		s.wantState(second.ID, job.Queued)
		if tried, claims := s.store.counts(); tried != 2 || claims != 1 {
			t.Errorf("%d of %d commits claim, want one of two", claims, tried)
		}
		if s.conn.isClosed() {
			t.Error("the connection was given up for a claim")
		}
		s.store.refuseIf(nil)
		time.Sleep(claimPause)
		synctest.Wait()
		s.wantState(second.ID, job.Starting)
	})
}

// TestShutdownThatCannotBeRecorded asks for a graceful end on a registry that takes nothing: it is
// refused, nothing has changed, and asked for again it is done.
func TestShutdownThatCannotBeRecorded(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		j := s.add()
		s.tell(j.ID, wire.Event{Kind: wire.Started, PID: 7})
		run := wire.Run{RunID: s.job(j.ID).RunID, JobID: j.ID, Fence: 1, State: wire.RunStarted, PID: 7}
		s.store.refuseIf(all)
		if err := s.Shutdown(t.Context(), false); job.CodeOf(err) != job.Exhausted {
			t.Fatalf("got %v, want what the registry says", err)
		}
		if !s.conn.isClosed() || s.conn.stops() != nil {
			t.Errorf("the runner was told %v, connection given up: %v", s.conn.stops(), s.conn.isClosed())
		}
		s.store.refuseIf(nil)
		s.connect(run)
		time.Sleep(2 * s.o.Settings.ShutdownTimeout) // a shutdown under way would end meanwhile
		synctest.Wait()
		s.wantState(j.ID, job.Running)
		held := s.add() // is not refused
		s.wantState(held.ID, job.Queued)

		if err := s.Shutdown(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.wantState(j.ID, job.Stopping)
		if got := s.conn.stops(); len(got) != 1 || got[0].RunID != run.RunID || got[0].Force || *got[0].GraceMS != s.o.Settings.ShutdownTimeout.Milliseconds() {
			t.Errorf("the runner was told %+v, want one stop within the time-out", got)
		}
	})
}

// TestShutdownForcesOnTheNextConnection has the commit fail by which everything gets KILL at the
// deadline: it is made when the runner is there again.
func TestShutdownForcesOnTheNextConnection(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		j := s.add()
		s.tell(j.ID, wire.Event{Kind: wire.Started, PID: 7})
		run := wire.Run{RunID: s.job(j.ID).RunID, JobID: j.ID, Fence: 1, State: wire.RunStarted, PID: 7, Stopping: true}
		if err := s.Shutdown(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		s.store.refuseIf(all)
		time.Sleep(s.o.Settings.ShutdownTimeout)
		synctest.Wait()
		if got := s.conn.stops(); len(got) != 1 || !s.conn.isClosed() {
			t.Fatalf("the runner was told %+v, connection given up: %v", got, s.conn.isClosed())
		}
		s.store.refuseIf(nil)
		s.connect(run)
		if got := s.conn.stops(); len(got) != 1 || !got[0].Force {
			t.Errorf("the runner was told %+v, want one KILL", got)
		}
	})
}
