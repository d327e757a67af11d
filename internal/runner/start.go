package runner

import (
	"errors"
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// handleStart takes a batch of starts. A run that is known starts nothing.
func (c *Core) handleStart(starts []wire.Start) {
	c.step("runner.after-receive-start")
	c.idle = false
	for i := range starts {
		s := &starts[i]
		if r := c.runs[s.RunID]; r != nil {
			c.resend(r)
			continue
		}
		r := &run{runRecord: runRecord{Intent: intent{
			RunID: s.RunID, JobID: s.JobID, Fence: s.Fence,
			TimeoutMS: s.TimeoutMS, GraceMS: s.GraceMS, StopSignal: s.StopSignal,
			Dir: s.Dir, View: string(cut([]byte(s.View), maxView)), WatchdogMS: s.WatchdogMS,
		}}}
		c.add(r)
		switch {
		case s.RunID == "":
			c.notStarted(r, &SpawnError{Text: "a start without a run id"})
		case c.stopping:
			c.refuseStart(r, refusedShutdown, nil)
		default:
			c.staged.intents = append(c.staged.intents, r)
			c.staged.starts = append(c.staged.starts, s)
		}
	}
}

// maxView bounds what is on record of wire.Start.View, in bytes.
const maxView = 16 << 10

// refusedShutdown is the text of starts that a runner refuses because it was told to end.
const refusedShutdown = "the runner is shutting down; the job was not started"

// refuseStart ends a run that was certainly never forked, for a reason that is not the job's: it
// may be started later. err is the cause, if there is an error.
func (c *Core) refuseStart(r *run, text string, err error) {
	e := r.event(wire.Exited, c.sys.Now())
	e.Cause, e.Error = wire.CauseRefused, text
	var errno syscall.Errno
	if errors.As(err, &errno) {
		e.Errno = int(errno)
	}
	c.ended(r, e)
}

// resend puts what the daemon has not acknowledged of r into the next message again.
func (c *Core) resend(r *run) {
	for _, e := range []*wire.Event{r.Started, r.Exited} {
		if e != nil && e.Seq > c.journal.header.Acked {
			c.staged.event(e)
		}
	}
}

// notStarted ends a run that never had a process.
func (c *Core) notStarted(r *run, err *SpawnError) {
	if err.Short {
		c.refuseStart(r, err.Text, err.Errno)
		return
	}
	e := r.event(wire.Exited, c.sys.Now())
	e.Cause, e.Error, e.Errno = wire.CauseSpawn, err.Text, int(err.Errno)
	c.ended(r, e)
}

// spawn hands starts to the system, the intents being on record.
func (c *Core) spawn(starts []*wire.Start) {
	for _, s := range starts {
		c.spawnNo++
		c.flying[s.RunID] = c.spawnNo
		if c.runs[s.RunID].start == nil {
			c.runs[s.RunID].start = s
		}
	}
	c.sys.Spawn(starts)
}

// HandleSpawned takes the answer to one start.
func (c *Core) HandleSpawned(s Spawned) {
	c.step("runner.after-fork")
	delete(c.flying, s.RunID)
	if len(c.suspects) > 0 {
		c.sweepSoon()
	}
	r := c.runs[s.RunID]
	switch {
	case s.Err == nil:
		r.start = nil
		c.started(r, s.Process, s.At)
		if r.stop != nil {
			c.wantScan(r)
		}
	case s.Err.Short && r.stop != nil:
		c.cancel(r)
	case s.Err.Busy && c.processes() > 0:
		c.waiting = append(c.waiting, r.start)
	default:
		r.start = nil
		c.notStarted(r, s.Err)
	}
}

// processes counts the runs that hold descriptors or are about to.
func (c *Core) processes() int { return len(c.kids) + c.adopted + len(c.flying) }

// respawn tries up to n starts again that found no free descriptor.
func (c *Core) respawn(n int) {
	var again []*wire.Start
	for len(c.waiting) > 0 && len(again) < n {
		s := c.waiting[0]
		c.waiting = c.waiting[1:]
		if r := c.runs[s.RunID]; r != nil && r.start == s { // not stopped meanwhile
			again = append(again, s)
		}
	}
	if len(again) > 0 {
		c.spawn(again)
	}
}

// watchLeader asks for the end of r's process.
func (c *Core) watchLeader(r *run) {
	if r.proc == nil { // given up meanwhile
		return
	}
	err := c.sys.Watch(r.proc, r.token)
	if err == nil {
		delete(c.blind, r)
		return
	}
	if _, known := c.blind[r]; !known {
		c.blind[r] = struct{}{}
		c.log.Error("cannot watch a job's process: its end is looked for now and then",
			"run", r.id(), "pid", r.proc.PID, "error", err)
	}
	if c.blindAt == nil {
		c.timers.set(&c.blindAt, c.sys.Now().Add(blindPause), atBlind, nil)
	}
}

// blindPause is the time between two looks at runs that cannot be watched.
const blindPause = time.Second

func (c *Core) lookAtBlind() {
	for _, r := range slices.Collect(maps.Keys(c.blind)) {
		c.lookAt(r)
	}
}

// lookAt ends a run that cannot be watched if its process has ended; else watching is tried again.
func (c *Core) lookAt(r *run) {
	if r.proc == nil || r.Status != nil { // given up, or its end is known and its tree is being killed
		delete(c.blind, r)
		return
	}
	if _, ended := c.sys.Ended(r.proc); ended {
		c.deaf = append(c.deaf, r)
		c.sys.Hear()
		return
	}
	c.watchLeader(r)
}
