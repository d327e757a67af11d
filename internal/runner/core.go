package runner

import (
	"container/heap"
	"log/slog"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// Core is the runner's logic without any goroutine. A Handle method takes one input and stages
// what follows from it; Flush writes the journal, once for everything staged, and only then acts:
// forks, reaps, sends. So many inputs can be handled for one write(2). One goroutine uses it.
type Core struct {
	sys     System
	journal *Journal
	log     *slog.Logger
	opts    CoreOptions

	// ledger guards what books read on behalf of another goroutine; this one alone writes it.
	ledger  sync.RWMutex
	runs    map[string]*run
	uids    map[uint32]int // accounts of runs that have not ended: how many
	order   []*run         // of Welcome; may hold runs that are done
	tokens  map[uint64]any // of Watch: *run for a leader, *member
	lastTok uint64
	alive   int // runs that have not ended
	kids    map[int]*run
	adopted int               // runs that hold the process of a runner before
	blind   map[*run]struct{} // whose process could not be watched
	outbox  []*wire.Event     // not acknowledged, in order of Seq

	peer Peer

	mute []*run // that may have been silent for too long, until HandleHeard
	deaf []*run // whose end was not seen by watching: what they said may still have to be read

	staged  staged
	waiting []*wire.Start // for a free descriptor

	flying   map[string]uint64 // runs handed to Spawn and not answered: their number
	spawnNo  uint64
	suspects map[int]uint64 // zombies of unknown birth: spawnNo when first seen

	scanNo   uint64 // of the newest scan begun
	scanWant bool
	scanning bool

	timers                        deadlines
	syncAt, lingerAt, sweepAt     *deadline
	retryAt, rescanAt, blindAt    *deadline
	listFrom                      time.Time // when all processes may be looked at for orphans again
	away                          bool      // no daemon for longer than syncAfter
	stopping, finished, unwritten bool
	idle                          bool // to end: nobody needs the runner
}

// CoreOptions are the settings of a core.
type CoreOptions struct {
	Version string
	Linger  time.Duration // 0 = for ever
	Drops   bool          // every run gets the account that its start names
	// Shutdown caps the grace of each run when the runner is told to end, unless the daemon says
	// otherwise; nil = no cap.
	Shutdown *time.Duration
	Log      *slog.Logger
	Step     func(point string) // called at each crash point
}

// Peer is the connection to the daemon. Neither method waits.
type Peer interface {
	Send(m *wire.Message)
	Close() // after what was sent
}

const (
	// syncAfter is how long the daemon may be away before the journal is synced.
	syncAfter = time.Second
	// retryAfter is the pause between tries to write a journal that cannot be written.
	retryAfter = time.Second
	// busyForks is how many forks under way count as busy.
	busyForks = 8
)

// NewCore takes over the journal's runs: what became of them is found out first. The caller then
// calls Flush, as after each input.
func NewCore(sys System, j *Journal, opts CoreOptions) (*Core, error) {
	c := &Core{
		sys: sys, journal: j, log: opts.Log, opts: opts,
		runs: map[string]*run{}, uids: map[uint32]int{}, tokens: map[uint64]any{}, kids: map[int]*run{}, blind: map[*run]struct{}{},
		flying: map[string]uint64{}, suspects: map[int]uint64{},
	}
	if err := c.recover(); err != nil {
		return nil, err
	}
	c.peerGone()
	return c, nil
}

// Next returns when HandleTime is wanted.
func (c *Core) Next() (time.Time, bool) {
	if len(c.timers) == 0 {
		return time.Time{}, false
	}
	return c.timers[0].at, true
}

// Finished says whether the runner has nothing to do any more and should end.
func (c *Core) Finished() bool { return c.finished }

// Alive returns the number of runs that have not ended.
func (c *Core) Alive() int { return c.alive }

// Busy says whether so many forks are under way that a little delay costs nobody anything.
func (c *Core) Busy() bool { return len(c.flying) > busyForks }

// Hasty says whether Flush must come before the next input.
func (c *Core) Hasty() bool { return c.staged.hasty }

// Rest lets go of the room that a burst of runs took; to be called when it is quiet.
func (c *Core) Rest() {
	if len(c.runs)+len(c.kids)+len(c.tokens)+len(c.flying) == 0 {
		c.ledger.Lock()
		defer c.ledger.Unlock()
		c.runs, c.tokens, c.kids = map[string]*run{}, map[uint64]any{}, map[int]*run{}
		c.flying, c.suspects = map[string]uint64{}, map[int]uint64{}
		c.order, c.outbox, c.waiting = nil, nil, nil
	}
}

// HandleTime does what is due.
func (c *Core) HandleTime() {
	now := c.sys.Now()
	for len(c.timers) > 0 && !c.timers[0].at.After(now) {
		d := heap.Pop(&c.timers).(*deadline)
		switch d.kind {
		case atTimeout:
			d.run.timeoutAt = nil
			c.stopRun(d.run, stopRequest{cause: wire.CauseTimeout})
		case atWatchdog:
			d.run.watchAt = nil
			c.silent(d.run)
		case atReport:
			d.run.voice.due = nil
			c.tellOf(d.run)
		case atKill:
			d.run.stop.killAt = nil
			c.killRun(d.run)
		case atRound:
			d.run.stop.roundAt = nil
			c.nextRound(d.run)
		case atSync:
			c.syncAt, c.away = nil, true
			c.staged.sync = true
		case atLinger:
			c.lingerAt = nil
			if c.peer == nil && c.alive == 0 {
				c.log.Info("nothing to do and no daemon: the runner ends", "after", c.opts.Linger)
				c.idle = true
			}
		case atBlind:
			c.blindAt = nil
			c.lookAtBlind()
		case atSweep:
			c.sweepAt = nil
			c.sweep()
		case atRescan:
			c.rescanAt, c.scanWant = nil, true
		case atRetry:
			c.retryAt = nil // Flush tries
		}
	}
}

// whyShutdown is Why of the runs that a runner stops because it was told to end.
const whyShutdown = "shutdown"

// HandleShutdown stops every run gracefully; the core is finished once all have ended. The daemon
// is told, because what it starts from now on is refused.
func (c *Core) HandleShutdown() {
	if c.stopping {
		return
	}
	c.stopping = true
	c.staged.out = append(c.staged.out, &wire.Message{Bye: &wire.Bye{Running: c.alive, Stopping: true}})
	for _, r := range c.orderedRuns() {
		if r.Exited == nil {
			grace := c.cappedGrace(r)
			c.stopRun(r, stopRequest{cause: wire.CauseStop, why: whyShutdown, grace: &grace, shutdown: true})
		}
	}
}

// cappedGrace is what a shutdown leaves r.
func (c *Core) cappedGrace(r *run) time.Duration {
	if c.opts.Shutdown == nil {
		return r.grace()
	}
	return min(r.grace(), max(*c.opts.Shutdown, 0))
}

// ShutdownWithin is how long a shutdown that begins now leaves the runs at most, before KILL.
func (c *Core) ShutdownWithin() time.Duration {
	var longest time.Duration
	for _, r := range c.orderedRuns() {
		if r.Exited == nil {
			longest = max(longest, c.cappedGrace(r))
		}
	}
	return longest
}

// settle decides after each Flush whether to linger or to end. An end that is not on record is only
// known here: the runner stays until it is written.
func (c *Core) settle() {
	c.finished = (c.stopping || c.idle) && c.alive == 0 && !c.unwritten
	lingers := c.peer == nil && c.alive == 0 && c.opts.Linger > 0 && !c.idle
	switch {
	case lingers && c.lingerAt == nil:
		c.timers.set(&c.lingerAt, c.sys.Now().Add(c.opts.Linger), atLinger, nil)
	case !lingers:
		c.timers.clear(&c.lingerAt)
	}
}

func (c *Core) token(of any) uint64 {
	c.lastTok++
	c.tokens[c.lastTok] = of
	return c.lastTok
}

func (c *Core) step(point string) {
	if c.opts.Step != nil {
		c.opts.Step(point)
	}
}
