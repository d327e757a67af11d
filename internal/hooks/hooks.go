// Package hooks tells others what happens to jobs: it turns the registry's changes into deliveries and
// brings those to web addresses and commands, at least once, for one job and receiver in order, over
// any number of restarts. DESIGN.md in this folder tells how.
package hooks

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// Store is what this package needs of a registry.
type Store interface {
	store.Hooks
	store.Changes
	RegistryID() string
}

// Configured is a hook of the settings.
type Configured struct {
	Name    string
	On      []job.HookEvent
	Queue   string // only jobs of this queue, "" = of all
	Type    string // only jobs of this type, "" = of all
	Command []string
	URL     string
	Secret  []byte        // signs what goes to URL; nil = unsigned
	Timeout time.Duration // of one try
	GiveUp  time.Duration // after which no try follows
}

// Defaults of a hook; those of single jobs and types have no others.
const (
	CommandTimeout = 30 * time.Second
	URLTimeout     = 10 * time.Second
	GiveUp         = 24 * time.Hour
)

// Limits of what is under way at the same time.
const (
	perReceiver = 4
	maxPosts    = 32 // over all receivers of the settings, and over all others
	maxCommands = 8  // likewise, beside the limits of jobs
)

// Backoff is how long a failure is followed by a pause: First, then twice as long each time up to Cap.
type Backoff struct{ First, Cap time.Duration }

// delay returns the pause after the n-th failure in a row; random, from 0 to 1, spreads it from its
// half to the whole.
func (b Backoff) delay(n int, random float64) time.Duration {
	d := b.First
	for i := 1; i < n && d < b.Cap; i++ {
		d *= 2
	}
	d = min(d, b.Cap)
	return d/2 + time.Duration(random*float64(d/2))
}

// Options of New. All are required unless said otherwise.
type Options struct {
	Store    Store
	Hooks    []Configured          // may be nil
	Types    map[string][]job.Hook // by the name of the type; may be nil
	Now      func() time.Time
	Random   func() float64                                 // from 0 to 1
	After    func(time.Duration) (<-chan time.Time, func()) // a timer and what ends it
	NewRunID func() string
	Backoff  Backoff // zero = from 1 s to 5 min
	Version  string
	Log      *slog.Logger
	// RemoveLog removes the log of a command.
	RemoveLog func(jobID, delivery int64)
	Transport http.RoundTripper // nil = one of its own
}

// Run is a command to run.
type Run struct {
	ID       string
	JobID    int64
	Delivery int64
	Argv     []string
	Env      []string // KEY=VALUE, beside those that it has anyway
	AsJob    bool     // as the job's account, in its environment; else as the service's rule says
	Stdin    []byte
	Timeout  time.Duration
}

// Engine runs commands and writes on jobs' records.
type Engine interface {
	// RunHook asks for a run; Service.Ended tells of its end. Errors: job.NotFound where AsJob and the job
	// is not on record any more.
	RunHook(ctx context.Context, r Run) error
	// Note puts a line on a job's record; one that is gone is no error.
	Note(ctx context.Context, id int64, text string) error
}

// Service is the daemon's hooks. Its methods may be called from any goroutine.
type Service struct {
	o      Options
	engine Engine // set by Run
	http   *http.Client
	ops    limits // of hooks of the settings: what users' hooks wait for holds them up no more
	users  limits // of hooks of types and jobs

	wake chan struct{} // holds a token when there may be changes to turn into deliveries
	wg   sync.WaitGroup

	mu        sync.Mutex
	begin     func(*receiver) // starts the goroutine of a receiver; nil before Run, and when it has ended
	set       *settings
	next      *settings // asked for, in force after next.from
	receivers map[string]*receiver
	flights   map[string]*flight // commands that run, by run id
	undone    map[int64]int      // by delivery: how often in a row its command could not be run
	trouble   map[string]trouble // of receivers that fail
	seen      uint64             // up to this change events are turned into deliveries
	unread    int                // changes that could not be read and were passed over
	problem   string             // why that is not going on

	cursor  store.HookCursor // as it is on record; belongs to who holds writing
	writing sync.Mutex
}

// limits hold a token for each request under way, and for each command.
type limits struct{ posts, commands chan struct{} }

func newLimits() limits {
	return limits{make(chan struct{}, maxPosts), make(chan struct{}, maxCommands)}
}

// limitsOf are those of a hook.
func (s *Service) limitsOf(hook string) limits {
	if strings.HasPrefix(hook, ofSettings("")) {
		return s.ops
	}
	return s.users
}

// flight is a command that runs.
type flight struct {
	store.Delivery
	slot   bool                  // it holds one of limits.commands
	update *store.DeliveryUpdate // what its end makes of the delivery
	undone bool                  // it was not run, and not because the service ended
}

// trouble is what a receiver that fails said last.
type trouble struct {
	what string
	next time.Time
}

// New returns a service whose Run is to be called. It tells the hooks of what happens from now on, and
// those that were there before also of what they have not been told of.
func New(ctx context.Context, o Options) (*Service, error) {
	if o.Backoff == (Backoff{}) {
		o.Backoff = Backoff{First: time.Second, Cap: 5 * time.Minute}
	}
	s := &Service{o: o, ops: newLimits(), users: newLimits(), wake: make(chan struct{}, 1),
		receivers: map[string]*receiver{}, flights: map[string]*flight{}, undone: map[int64]int{}, trouble: map[string]trouble{}}
	s.http = newClient(o.Transport)
	var err error
	if s.cursor, err = o.Store.HookCursor(ctx); err != nil {
		return nil, err
	}
	runs, err := o.Store.HookRuns(ctx)
	if err != nil {
		return nil, fmt.Errorf("read which commands of hooks run: %w", err)
	}
	for _, d := range runs {
		f := &flight{Delivery: d}
		select {
		case s.limitsOf(d.Hook).commands <- struct{}{}:
			f.slot = true
		default: // the limit was higher once
		}
		s.flights[d.RunID] = f
	}
	s.seen = s.cursor.Seq
	s.set = newSettings(o.Hooks, o.Types, o.Store.Seq(), s.cursor.Since)
	return s, nil
}

// Wake says that there are new changes. It never blocks.
func (s *Service) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Set replaces the hooks of settings and types: for what happens from now on.
func (s *Service) Set(hooks []Configured, types map[string][]job.Hook) {
	s.mu.Lock()
	// Of two in a row the earlier one's new hooks begin with the later one: nothing was told of it yet.
	s.next = newSettings(hooks, types, s.o.Store.Seq(), s.set.since)
	s.mu.Unlock()
	s.Wake()
}

// Run turns changes into deliveries and makes those, until ctx ends. What is under way then is sent
// again by the next Run, but for commands: those go on.
func (s *Service) Run(ctx context.Context, e Engine) {
	s.engine = e
	defer s.wg.Wait()
	names, err := s.o.Store.OpenReceivers(ctx)
	if err != nil && ctx.Err() == nil {
		s.o.Log.Error("read which hooks have something to be told: they are told of it with the next event", "error", err)
	}
	s.mu.Lock()
	s.begin = func(r *receiver) { s.wg.Go(func() { r.run(ctx) }) }
	for _, r := range s.receivers {
		s.begin(r)
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.begin = nil
	}()
	for _, name := range names {
		s.nudge(name, false)
	}
	s.follow(ctx)
}

// Problem says what somebody should mend, "" for nothing.
func (s *Service) Problem() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem == "" && s.unread > 0 {
		return fmt.Sprintf("hooks were not told of %d changes that can't be read; the daemon's log names them: queuemgr job status JOB shows what has become of their jobs", s.unread)
	}
	return s.problem
}

// nudge says that there may be something to do for a receiver; now = also where it is in a pause.
func (s *Service) nudge(name string, now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.receiver(name)
	if now {
		r.now.Store(true)
	}
	r.nudge()
}

// receiver returns the receiver of that name. The caller holds mu.
func (s *Service) receiver(name string) *receiver {
	r := s.receivers[name]
	if r != nil {
		return r
	}
	r = &receiver{s: s, name: name, wake: make(chan struct{}, 1)}
	for _, f := range s.flights {
		if f.Receiver == name {
			r.flying++
		}
	}
	s.receivers[name] = r
	if s.begin != nil {
		s.begin(r)
	}
	return r
}
