// Package engine is the only writer of job state: it adds jobs, dispatches them to the runner,
// accounts for their ends exactly once, re-attaches to what survived a daemon, and applies what
// users ask for. It implements job.Service. DESIGN.md in this folder tells how.
package engine

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// Options is what an engine needs. All fields are required unless said otherwise.
type Options struct {
	Store store.Store
	Hub   *Hub // gets every commit of Store
	// Dial connects to the runner and starts it where none runs.
	Dial func(ctx context.Context) (net.Conn, error)
	Now  func() time.Time
	// NewRunID returns an id that no run ever had.
	NewRunID func() string
	Log      *slog.Logger

	Node    string // this machine's name
	Version string
	Home    string // shown in the status; may be empty
	LogDir  string // of the jobs' output
	ProcDir string // holds proc/<job id>/

	// Settings are those to begin with. ReadSettings reads them again when Reload is asked for; nil =
	// there is nothing to read.
	Settings     Settings
	ReadSettings func() (Settings, job.Reloaded, error)

	// Drops says that each job runs as its own account, job.Job.User: a runner that does not do so is
	// given none.
	Drops bool

	// Types are those besides command and shell; nil = there are none.
	Types Types

	// Hidden has runs that are no jobs' attempts; nil = nobody has. HiddenAccount returns the account
	// that those get which do not run as a job does; nil = the runner's own.
	Hidden        Hidden
	HiddenAccount func(context.Context) (string, error)

	// Problems are asked for the status; each returns "" when all is well. May be nil.
	Problems []func() string
	// Web says for the status how the page is served. May be nil.
	Web func() *job.WebStatus
	// BeforePrune is called before changes are forgotten and returns up to which sequence number
	// every other reader has them safe. May be nil.
	BeforePrune func() uint64

	atPoint func(name string) // test hook of core.point

	now *atomic.Pointer[Settings] // in force; set by newCore
}

// Settings are what can change while the engine runs.
type Settings struct {
	MaxConcurrent   int // most live jobs; 0 = no limit
	ShutdownTimeout time.Duration
	CleanupInterval time.Duration

	// Retention is how long ended jobs stay on record, by state; a state that is not there stays
	// for ever.
	Retention    map[job.State]time.Duration
	MaxRetained  int64            // most ended jobs on record; 0 = no limit
	MaxQueueSize int64            // most waiting jobs; 0 = no limit
	TypeLimits   map[string]int64 // most jobs of a type on record
}

// settings returns those in force.
func (o *Options) settings() *Settings { return o.now.Load() }

// Engine runs the queue. Start it, use it as a job.Service, Close it.
type Engine struct {
	o       Options
	started time.Time
	core    *core
	in      *mailbox
	proc    *procView
	feeds   *feeds

	reloading sync.Mutex
	reload    chan struct{} // holds a token when the cleanup interval may have changed

	cancel context.CancelFunc
	wg     sync.WaitGroup
	done   chan struct{} // closed when the core has ended
}

var _ job.Service = (*Engine)(nil)

// Start loads what is live and starts the engine. ctx bounds the loading only; Close ends it.
func Start(ctx context.Context, o Options) (*Engine, error) {
	epoch, err := o.Store.NextEpoch(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("begin a new epoch: %w", err)
	}
	proc, err := newProcView(o.ProcDir, o.Log)
	if err != nil {
		return nil, err
	}
	in := newMailbox()
	c, err := newCore(ctx, &o, proc, in)
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.Background())
	e := &Engine{o: o, started: o.Now(), core: c, in: in, proc: proc, cancel: cancel, done: make(chan struct{}), reload: make(chan struct{}, 1)}
	e.feeds = newFeeds(e)
	e.wg.Go(func() { defer close(e.done); c.run(run) })
	e.wg.Go(func() { (&link{o: &e.o, in: in, epoch: epoch, quit: &c.quit}).run(run) })
	e.wg.Go(func() { proc.run(run) })
	e.wg.Go(func() { e.feeds.run(run) })
	e.wg.Go(func() { c.done.run(run, e.done) })
	e.wg.Go(func() { e.cleanUp(run) })
	return e, nil
}

// Done is closed when the engine has ended, after Shutdown or Close.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Close ends the engine and waits for its goroutines. Jobs that run go on running.
func (e *Engine) Close() {
	e.cancel()
	e.wg.Wait()
}

// Shutdown implements job.Service.
func (e *Engine) Shutdown(ctx context.Context, keepJobs bool) error {
	return e.do(ctx, func(c *core, t *tx) error { c.beginShutdown(t, keepJobs); return nil })
}

// Reload implements job.Service.
func (e *Engine) Reload(context.Context) (job.Reloaded, error) {
	if e.o.ReadSettings == nil {
		return job.Reloaded{}, &job.Error{Code: job.WrongState, Message: "this daemon has no settings that can be read again", Hint: "start it again"}
	}
	e.reloading.Lock() // what is read last stays in force
	defer e.reloading.Unlock()
	settings, what, err := e.o.ReadSettings()
	if err != nil {
		return job.Reloaded{}, err
	}
	e.o.now.Store(&settings)
	select {
	case e.reload <- struct{}{}:
	default:
	}
	e.in.wake() // more slots may be free
	return what, nil
}

// Alive returns once the core and the registry's writer, through which all goes, have answered. That
// one of them refuses, as on a full disk, is an answer too.
func (e *Engine) Alive(ctx context.Context) error {
	_ = e.do(ctx, func(*core, *tx) error { return nil })
	_ = e.o.Store.SkipIDs(ctx, 0)
	return ctx.Err()
}

// do runs f in the core's next step and returns when what f changed is committed. When ctx ends
// first, f may still be carried out.
func (e *Engine) do(ctx context.Context, f func(*core, *tx) error) error {
	reply := make(chan error, 1)
	e.in.put(call{f: f, reply: reply})
	select {
	case err := <-reply:
		return err
	case <-e.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-reply: // its own step was the last one
		return err
	default:
		return errStopping()
	}
}

func errStopping() error {
	return &job.Error{Code: job.Unavailable, Message: "the daemon is stopping", Hint: "start it again: queuemgr service start"}
}
