package runner

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// HandleHello takes the first message of a connection. An accepted peer replaces the one before.
func (c *Core) HandleHello(p Peer, h *wire.Hello) {
	head := &c.journal.header
	if h.Proto < 1 {
		c.refuse(p, &wire.Refused{
			Code:  wire.RefusedProto,
			Error: fmt.Sprintf("protocol %d is not spoken here; this runner speaks 1 to %d", h.Proto, wire.Proto),
		})
		return
	}
	if h.Registry == head.Epoch.Registry && h.Epoch < head.Epoch.Epoch {
		c.refuse(p, &wire.Refused{
			Code: wire.RefusedEpoch, Epoch: head.Epoch.Epoch,
			Error: fmt.Sprintf("a newer daemon (epoch %d) was here; this one (epoch %d) must not start anything",
				head.Epoch.Epoch, h.Epoch),
		})
		return
	}
	if c.peer != nil {
		c.log.Info("a newer daemon takes over the connection")
		c.peer.Close()
	}
	// What was staged for the old connection is in the outbox and sent again below.
	c.staged.out = nil
	c.peer, c.away, c.idle = p, false, false
	c.timers.clear(&c.syncAt)
	if e := (epoch{Registry: h.Registry, Epoch: h.Epoch}); e != head.Epoch {
		head.Epoch = e
		c.append(record{Epoch: &e})
	}
	if h.ShutdownTimeoutMS != nil {
		limit := time.Duration(*h.ShutdownTimeoutMS) * time.Millisecond
		c.opts.Shutdown = &limit
	}
	c.compare(h)
	c.welcome(h)
}

// compare draws what follows from the daemon's cursor. A daemon that committed more than this
// journal ever counted shows that records were lost.
func (c *Core) compare(h *wire.Hello) {
	head := &c.journal.header
	switch {
	case h.Journal != head.Journal:
	case h.Cursor > head.LastSeq:
		c.log.Warn("the daemon knows events that the journal does not: evidence was lost",
			"cursor", h.Cursor, "last_seq", head.LastSeq)
		head.LastSeq = h.Cursor
		c.newIdentity()
	default:
		c.acknowledge(h.Cursor)
	}
}

func (c *Core) welcome(h *wire.Hello) {
	head := &c.journal.header
	w := &wire.Welcome{
		Proto: min(h.Proto, wire.Proto), Version: c.opts.Version, PID: os.Getpid(),
		Journal: head.Journal, BootID: head.BootID, Acked: head.Acked, LastSeq: head.LastSeq,
		Stopping: c.stopping, Drops: c.opts.Drops, Reports: true,
	}
	for _, r := range c.orderedRuns() {
		info := wire.Run{RunID: r.id(), JobID: r.Intent.JobID, Fence: r.Intent.Fence, State: r.state(),
			Stopping: r.Stop != nil && r.Exited == nil}
		if r.Started != nil {
			info.PID = r.Started.PID
		}
		w.Runs = append(w.Runs, info)
	}
	c.staged.out = append(c.staged.out, &wire.Message{Welcome: w})
	for _, e := range c.outbox {
		c.staged.event(e)
	}
	for _, r := range c.orderedRuns() {
		if r.voice != nil {
			c.staged.report(&r.voice.report)
		}
	}
}

func (c *Core) refuse(p Peer, r *wire.Refused) {
	c.log.Warn("a daemon was refused", "code", r.Code, "reason", r.Error)
	p.Send(&wire.Message{Refused: r})
	p.Close()
}

// HandleMessage takes any later message. One from a connection that was replaced is ignored.
func (c *Core) HandleMessage(p Peer, m *wire.Message) {
	if p != c.peer {
		return
	}
	switch {
	case m.Start != nil:
		c.handleStart(m.Start)
	case m.Stop != nil:
		for i := range m.Stop {
			c.handleStop(&m.Stop[i])
		}
	case m.Ack != nil:
		c.step("runner.after-ack-received")
		c.acknowledge(m.Ack.Cursor)
	case m.Quit != nil:
		c.staged.out = append(c.staged.out, &wire.Message{Bye: &wire.Bye{Running: c.alive}})
		c.idle = c.alive == 0
	}
}

// HandleClosed takes the end of a connection.
func (c *Core) HandleClosed(p Peer) {
	if p == c.peer {
		c.peerGone()
	}
}

func (c *Core) peerGone() {
	c.peer = nil
	c.staged.out = nil // all events are in the outbox
	c.timers.set(&c.syncAt, c.sys.Now().Add(syncAfter), atSync, nil)
}

// acknowledge drops what the daemon has committed.
func (c *Core) acknowledge(cursor uint64) {
	head := &c.journal.header
	cursor = min(cursor, head.LastSeq)
	if cursor <= head.Acked {
		return
	}
	head.Acked = cursor
	n, _ := slices.BinarySearchFunc(c.outbox, cursor+1, func(e *wire.Event, seq uint64) int {
		return int(e.Seq) - int(seq)
	})
	c.ledger.Lock()
	for _, e := range c.outbox[:n] {
		if e.Kind == wire.Exited {
			delete(c.runs, e.RunID)
		}
	}
	c.ledger.Unlock()
	clear(c.outbox[:n])
	c.outbox = c.outbox[n:]
	c.append(record{Done: &done{Cursor: cursor}})
	c.staged.acked = true
	if len(c.order) > 2*len(c.runs)+1024 {
		c.orderedRuns()
	}
}

// newIdentity gives the journal a new id, which tells the daemon that evidence may be gone.
func (c *Core) newIdentity() {
	var live []*runRecord
	for _, r := range c.orderedRuns() {
		live = append(live, &r.runRecord)
	}
	if err := c.journal.Rewrite(live, true); err != nil {
		// The id in memory must change even so: the daemon would take absence for evidence.
		c.journal.header.Journal = newJournalID()
		c.log.Error("the journal's new identity is not on disk", "error", err)
	}
}
