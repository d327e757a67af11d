package runner

import (
	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// staged is what the inputs since the last Flush lead to.
type staged struct {
	intents []*run
	starts  []*wire.Start // of intents, in the same order
	started []*run
	status  []*run
	exited  []*run
	records []byte // already encoded; may hold what an earlier Flush could not write
	acked   bool
	sync    bool
	hasty   bool // a record is to be written before the next input is taken

	clear   []*run // ended, whose folders go once that is on record
	reap    []*Process
	release []*Process
	out     []*wire.Message
	outSize int // of the events in the last of out, as by eventSize
}

// How many events go into one message, and about how many bytes of them: far below wire.MaxMessage.
const (
	maxEvents    = 1024
	maxEventSize = 4 << 20
)

// eventSize is at least the size of e in a message, in bytes: texts may need six for each byte.
func eventSize(e *wire.Event) int {
	const fixed = 512
	return fixed + 6*(len(e.RunID)+len(e.Why)+len(e.Error)) + reportSize(e.Report)
}

// event adds e to the messages for the daemon.
func (s *staged) event(e *wire.Event) {
	size := eventSize(e)
	n := len(s.out)
	if n > 0 && s.out[n-1].Events != nil && len(s.out[n-1].Events) < maxEvents && s.outSize+size <= maxEventSize {
		s.out[n-1].Events = append(s.out[n-1].Events, *e)
		s.outSize += size
		return
	}
	s.outSize = size
	s.out = append(s.out, &wire.Message{Events: []wire.Event{*e}})
}

// Flush writes what is staged to the journal and then does it.
func (c *Core) Flush() {
	intents := c.writeJournal()
	s := c.staged
	c.staged = staged{records: s.records, sync: c.unwritten && s.sync}
	if c.unwritten {
		c.staged.clear, s.clear = s.clear, nil
	}

	if intents {
		c.step("runner.after-intent")
		c.spawn(s.starts)
	}
	if len(s.started) > 0 {
		c.step("runner.after-started")
		for _, r := range s.started {
			c.watchLeader(r)
		}
	}
	if len(s.exited)+len(s.status) > 0 {
		c.step("runner.after-exit-journal")
	}
	for _, r := range s.clear {
		if err := c.sys.Clear(c.folder(r)); err != nil {
			c.log.Warn("remove the folder of a job", "run", r.id(), "folder", r.Intent.Dir, "error", err)
		}
	}
	if len(s.clear) > 0 {
		c.step("runner.after-folder-gone")
	}
	if len(s.reap) > 0 {
		c.ledger.Lock()
		for _, p := range s.reap {
			delete(c.kids, p.PID)
		}
		c.ledger.Unlock()
	}
	for _, p := range s.reap {
		c.sys.Reap(p)
	}
	for _, p := range s.release {
		c.sys.Release(p)
	}
	if len(s.reap) > 0 {
		c.step("runner.after-reap")
	}
	if len(c.waiting) > 0 {
		n := len(s.reap) + len(s.release)
		if c.processes() == 0 {
			n = max(n, 1) // alone it either finds a descriptor or fails
		}
		c.respawn(n)
	}
	if s.acked {
		c.step("runner.after-done")
	}
	if c.peer != nil {
		for _, m := range s.out {
			c.peer.Send(m)
		}
	}
	if c.scanWant && !c.scanning {
		c.scanWant, c.scanning = false, true
		c.scanNo++
		c.sys.Scan()
	}
	c.settle()
}

// writeJournal writes everything staged in one write(2) and says whether the intents are on
// record. Where the journal cannot be written, intents fail, because nothing was forked yet;
// everything else has happened and is kept for the next try.
func (c *Core) writeJournal() (intents bool) {
	s := &c.staged
	if len(s.intents) > 0 {
		buf, err := c.encodeIntents()
		if err == nil {
			err = c.journal.reserve(len(buf) + len(s.records))
		}
		if err == nil {
			err = c.journal.write(append(buf, s.records...))
		}
		if err == nil {
			s.records = nil
			c.written()
			return true
		}
		c.failIntents(err)
	}
	if len(s.records) == 0 {
		c.written()
		return false
	}
	if err := c.journal.write(s.records); err != nil {
		if !c.unwritten {
			c.log.Error("ends of runs are kept in memory, and the runner stays, until the journal can be written", "error", err)
		}
		c.unwritten = true
		s.sync = s.sync || c.away // when it is written, then for good
		c.timers.set(&c.retryAt, c.sys.Now().Add(retryAfter), atRetry, nil)
		return false
	}
	s.records = nil
	c.written()
	return false
}

// written is called when nothing is left to write.
func (c *Core) written() {
	if c.unwritten {
		c.unwritten = false
		c.timers.clear(&c.retryAt)
		c.log.Info("the journal can be written again")
	}
	s := &c.staged
	if c.journal.size >= c.journal.rewriteAt {
		c.rewrite()
	}
	groups := len(s.intents)+len(s.started)+len(s.status)+len(s.exited) > 0
	if s.sync || c.away && groups {
		if err := c.journal.sync(); err != nil {
			c.log.Error("a power loss may cost the last records", "error", err)
		}
	}
}

// rewrite drops what is dead from the journal when that is most of it.
func (c *Core) rewrite() {
	var live []*runRecord
	for _, r := range c.orderedRuns() {
		live = append(live, &r.runRecord)
	}
	if err := c.journal.Rewrite(live, false); err != nil {
		c.journal.rewriteAt = 2 * c.journal.size
		c.log.Error("the journal stays as it is", "error", err)
	}
}

func (c *Core) encodeIntents() ([]byte, error) {
	var buf []byte
	for _, r := range c.staged.intents {
		var err error
		if buf, err = appendRecord(buf, record{Intent: &r.Intent}); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// append adds a record to what is written next.
func (c *Core) append(r record) {
	buf, err := appendRecord(c.staged.records, r)
	if err != nil {
		panic(err) // plain structs always encode
	}
	c.staged.records = buf
}

// failIntents answers starts that could not be put on record; nothing of them was forked.
func (c *Core) failIntents(err error) {
	s := &c.staged
	failed := s.intents
	s.intents, s.starts = nil, nil
	for _, r := range failed {
		if r.Exited != nil {
			continue
		}
		c.refuseStart(r, "the runner cannot write its journal: "+err.Error(), err)
	}
	c.log.Error("starts refused: the journal cannot be written", "runs", len(failed), "error", err)
}
