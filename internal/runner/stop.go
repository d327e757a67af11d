package runner

import (
	"fmt"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// stopping is the end of a run's tree in progress: first one stop signal to all of it, then, after
// the grace, KILL until a look at the machine finds nothing of it alive.
type stopping struct {
	cause     wire.Cause
	why       string
	shutdown  bool // of the runner, not a wish of the daemon
	grace     time.Duration
	signalled bool // the tree was sent something
	kill      bool // KILL from now on
	scan      uint64
	members   map[int]*member // living processes by pid, the leader not among them
	known     map[int]uint64  // all ever found, pid to start ticks: their children belong here too
	scans     int             // in a row, each of which found something new to KILL
	rounds    int             // waits for KILL to take effect
	killAt    *deadline
	roundAt   *deadline
}

// member is a process of a tree that is being ended.
type member struct {
	run   *run
	proc  *Process
	token uint64
}

// stopRequest is a wish for the end of a run.
type stopRequest struct {
	cause    wire.Cause
	why      string
	grace    *time.Duration // nil = the run's own
	force    bool
	shutdown bool
}

const (
	// maxScans bounds looks in a row at a tree that forks faster than it can be killed.
	maxScans = 20
	// maxRounds is how often KILL is tried on processes that do not end; the waits between are
	// roundWait, doubled each time.
	maxRounds = 4
	roundWait = time.Second
)

func (c *Core) handleStop(s *wire.Stop) {
	r := c.runs[s.RunID]
	if r == nil || r.Exited != nil {
		return // its end is acknowledged or on its way
	}
	req := stopRequest{cause: wire.CauseStop, why: s.Why, force: s.Force}
	if s.GraceMS != nil {
		grace := time.Duration(*s.GraceMS) * time.Millisecond
		req.grace = &grace
	}
	c.stopRun(r, req)
}

// stopRun begins to end a run or hastens that. The first cause stays.
func (c *Core) stopRun(r *run, req stopRequest) {
	grace := r.grace()
	if req.grace != nil {
		grace = *req.grace
	}
	if r.stop != nil {
		c.hasten(r, grace, req.force)
		return
	}
	r.stop = &stopping{
		cause: req.cause, why: req.why, shutdown: req.shutdown, grace: grace, kill: req.force,
		members: map[int]*member{}, known: map[int]uint64{},
	}
	c.timers.clear(&r.timeoutAt)
	c.timers.clear(&r.watchAt)
	if r.Stop == nil {
		// Written before the scan that the first signal waits for.
		ms := grace.Milliseconds()
		r.Stop = &stopped{RunID: r.id(), Cause: req.cause, Why: req.why, GraceMS: &ms, Force: req.force}
		c.append(record{Stop: r.Stop})
	}
	_, flying := c.flying[r.id()]
	switch {
	case r.proc != nil || r.Status != nil:
		c.wantScan(r)
	case !flying: // waits for its turn to be forked
		c.cancel(r)
	}
}

// cancel ends a run that was never forked.
func (c *Core) cancel(r *run) {
	r.start = nil
	for i, s := range c.staged.starts {
		if s.RunID == r.id() {
			c.staged.intents = append(c.staged.intents[:i], c.staged.intents[i+1:]...)
			c.staged.starts = append(c.staged.starts[:i], c.staged.starts[i+1:]...)
			break
		}
	}
	if r.stop.shutdown {
		c.refuseStart(r, refusedShutdown, nil)
		return
	}
	e := r.event(wire.Exited, c.sys.Now())
	e.Cause, e.Why, e.Error = r.stop.cause, r.stop.why, "stopped before it was started"
	c.ended(r, e)
}

func (c *Core) hasten(r *run, grace time.Duration, force bool) {
	st := r.stop
	if st.kill {
		return
	}
	if force {
		r.Stop.Force = true
		c.append(record{Stop: r.Stop})
		c.killRun(r)
		return
	}
	at := c.sys.Now().Add(grace)
	switch {
	case st.killAt != nil && at.Before(st.killAt.at):
		c.graceUntil(r, at)
	case st.killAt == nil && grace < st.grace:
		ms := grace.Milliseconds()
		r.Stop.GraceMS = &ms
		c.append(record{Stop: r.Stop})
	}
	st.grace = min(st.grace, grace)
}

// graceUntil puts on record that the tree was signalled and when its grace ends.
func (c *Core) graceUntil(r *run, at time.Time) {
	wall := at.Round(0).UTC()
	r.Stop.KillAt = &wall
	c.append(record{Stop: r.Stop})
	if !r.stop.kill {
		c.timers.set(&r.stop.killAt, at, atKill, r)
	}
}

// killRun goes on to KILL.
func (c *Core) killRun(r *run) {
	r.stop.kill = true
	c.timers.clear(&r.stop.killAt)
	if r.proc != nil || r.Status != nil {
		c.wantScan(r)
	}
}

// wantScan asks for a look at the machine that begins after now.
func (c *Core) wantScan(r *run) {
	r.stop.scan = c.scanNo + 1
	c.scanWant = true
}

// HandleScan takes the answer to Scan and serves all runs that waited for it.
func (c *Core) HandleScan(snap Snapshot) {
	c.scanning = false
	machine := newIndex(snap)
	for _, r := range c.orderedRuns() {
		if r.stop != nil && r.stop.scan != 0 && r.stop.scan <= c.scanNo {
			r.stop.scan = 0
			c.stopStep(r, machine)
		}
	}
}

// HandleScanFailed takes word that the processes could not be looked at. Nothing may be concluded
// from that; it is tried again.
func (c *Core) HandleScanFailed(err error) {
	c.log.Error("the machine's processes cannot be listed", "error", err)
	c.scanning = false
	if c.rescanAt == nil {
		c.timers.set(&c.rescanAt, c.sys.Now().Add(roundWait), atRescan, nil)
	}
}

// stopStep signals what a snapshot of the machine shows of r's tree, and ends r when that is nothing.
func (c *Core) stopStep(r *run, machine *index) {
	st := r.stop
	if !st.signalled && r.proc != nil {
		if _, ended := c.sys.Ended(r.proc); ended {
			// It ended before any signal of ours: its own end counts, and comes by HandleReady.
			c.endStop(r)
			return
		}
	}
	first := !st.signalled
	st.signalled = true
	session := 0
	if r.proc != nil && (r.proc.Child || c.isAlive(r)) {
		session = r.proc.PID
	}
	found := machine.tree(r.id(), session, st.known)
	fresh := c.meet(r, found)
	leaderLives := r.proc != nil && r.Status == nil
	switch {
	case st.kill:
		c.signalTree(r, syscall.SIGKILL)
	case first:
		c.signalTree(r, r.signal())
		c.signalTree(r, syscall.SIGCONT) // a stopped process sees no signal
	}
	if first {
		c.graceUntil(r, c.sys.Now().Add(st.grace))
		c.show(r)
		c.staged.hasty = true // an end that is seen from now on is the stop's only if that is on record
	}
	if !leaderLives && len(st.members) == 0 {
		c.treeGone(r, "")
		return
	}
	switch {
	case st.kill && fresh > 0 && st.scans < maxScans:
		st.scans++
		c.wantScan(r)
	case st.kill && st.roundAt == nil:
		st.scans = 0
		c.timers.set(&st.roundAt, c.sys.Now().Add(roundWait<<st.rounds), atRound, r)
	}
}

// isAlive says whether the leader of an adopted run still holds its pid.
func (c *Core) isAlive(r *run) bool {
	_, ended := c.sys.Ended(r.proc)
	return !ended
}

// meet takes what a scan found into the members and returns how many are new.
func (c *Core) meet(r *run, found []ProcessInfo) (fresh int) {
	st := r.stop
	alive := make(map[int]uint64, len(found))
	for _, p := range found {
		alive[p.PID] = p.Ticks
	}
	for pid, m := range st.members {
		if ticks, ok := alive[pid]; !ok || ticks != m.proc.Ticks {
			c.drop(m)
		}
	}
	for _, p := range found {
		if r.proc != nil && p.PID == r.proc.PID {
			if _, ok := st.known[p.PID]; !ok {
				st.known[p.PID] = p.Ticks
				fresh++
			}
			continue
		}
		if st.members[p.PID] != nil {
			continue
		}
		proc, ok := c.sys.Open(p.PID, p.Ticks)
		if !ok {
			continue // gone since the scan
		}
		m := &member{run: r, proc: proc}
		m.token = c.token(m)
		st.members[p.PID] = m
		st.known[p.PID] = p.Ticks
		fresh++
		if err := c.sys.Watch(proc, m.token); err != nil {
			c.log.Warn("cannot watch a process of a job", "run", r.id(), "pid", p.PID, "error", err)
		}
	}
	return fresh
}

func (c *Core) signalTree(r *run, sig syscall.Signal) {
	send := func(p *Process) {
		if err := c.sys.Signal(p, sig); err != nil {
			c.log.Warn("cannot signal a process of a job", "run", r.id(), "pid", p.PID, "signal", sig, "error", err)
		}
	}
	if r.proc != nil && r.Status == nil {
		send(r.proc)
	}
	for _, m := range r.stop.members {
		send(m.proc)
	}
}

func (c *Core) memberEnded(m *member) {
	c.drop(m)
	if len(m.run.stop.members) == 0 && (m.run.Status != nil || m.run.proc == nil) {
		c.wantScan(m.run) // is this all?
	}
}

// drop lets a member go.
func (c *Core) drop(m *member) {
	delete(c.tokens, m.token)
	delete(m.run.stop.members, m.proc.PID)
	c.staged.release = append(c.staged.release, m.proc)
}

// nextRound is called when KILL should have taken effect and something still lives.
func (c *Core) nextRound(r *run) {
	st := r.stop
	st.rounds++
	if st.rounds < maxRounds {
		c.wantScan(r)
		return
	}
	c.giveUp(r)
}

// giveUp ends a run some of whose processes cannot be killed: nobody shall wait for them for ever.
func (c *Core) giveUp(r *run) {
	var pids []int
	if r.proc != nil && r.Status == nil {
		pids = append(pids, r.proc.PID)
	}
	for pid := range r.stop.members {
		pids = append(pids, pid)
	}
	text := fmt.Sprintf("processes survive KILL, probably inside the kernel: %v", pids)
	c.log.Error("a job cannot be ended", "run", r.id(), "pids", pids)
	if r.proc != nil && r.Status == nil && r.proc.Child {
		c.tokens[r.token] = r.proc // to be reaped whenever it ends
		r.proc = nil
	}
	c.treeGone(r, text)
}

// treeGone delivers the end of a run that was stopped.
func (c *Core) treeGone(r *run, problem string) {
	e := r.Status
	if e == nil {
		e = r.event(wire.Exited, c.sys.Now())
		e.Cause, e.Why = r.stop.cause, r.stop.why
	} else {
		status := *e // it is on record as it was
		e = &status
	}
	if problem != "" {
		e.Error = problem
	}
	c.ended(r, e)
}

// endStop lets go of what a stop holds.
func (c *Core) endStop(r *run) {
	for _, m := range r.stop.members {
		c.drop(m)
	}
	c.timers.clear(&r.stop.killAt)
	c.timers.clear(&r.stop.roundAt)
	r.stop = nil
}
