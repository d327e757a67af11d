package sqlite

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/queuemgr/queuemgr/job"
)

// operation is one write. check reads and decides: what it refuses has changed nothing. When write
// fails the whole transaction is rolled back. Neither touches memory of the caller.
type operation interface {
	check(*tx) error
	write(*tx) error
	base() *opBase
}

// lane decides which operations share a transaction.
type lane int

const (
	settling lane = iota // updates of what is on record: never waits behind additions
	adding               // additions and retention
)

// opBase is what every operation carries.
type opBase struct {
	lane  lane
	vital bool // may use the room kept in reserve
	grows bool // refused below the free-space floor
	size  int  // about how many jobs it writes
	begun atomic.Bool
	err   error
	done  chan struct{} // closed by the writer after err is set
}

func (b *opBase) base() *opBase { return b }

// groupSize bounds the jobs written in one transaction, so that nobody waits long behind others; an
// operation that is larger has one of its own.
const groupSize = 2000

// writer is the one goroutine that writes.
type writer struct {
	s     *Store
	conn  *conn
	state state

	mu     sync.Mutex
	queue  [2][]operation // by lane
	closed bool
	wake   chan struct{} // holds a token when there may be something to do
	ended  chan struct{} // closed when the goroutine has ended
}

func newWriter(s *Store, c *conn, st state) *writer {
	return &writer{s: s, conn: c, state: st, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// write hands op to the writer and waits for it. When ctx ends first, an operation that has begun
// is carried out all the same.
func (s *Store) write(ctx context.Context, op operation) error {
	b := op.base()
	b.done = make(chan struct{})
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.w == nil {
		return &job.Error{Code: job.Internal, Message: fmt.Sprintf("the registry %s is open for reading only", s.o.Path)}
	}
	if err := s.w.submit(op); err != nil {
		return err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
	}
	if b.begun.CompareAndSwap(false, true) {
		return ctx.Err() // withdrawn: the writer passes over it
	}
	select {
	case <-b.done:
		return b.err
	default:
		return fmt.Errorf("stopped waiting for a write that goes on: %w", ctx.Err())
	}
}

func (w *writer) submit(op operation) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return &job.Error{Code: job.Unavailable, Message: "the registry is closed"}
	}
	l := op.base().lane
	w.queue[l] = append(w.queue[l], op)
	w.nudge()
	return nil
}

// nudge wakes the goroutine; the token that is there already serves as well.
func (w *writer) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take returns the next operations of a lane that share a transaction.
func (w *writer) take(l lane) []operation {
	w.mu.Lock()
	defer w.mu.Unlock()
	queue := w.queue[l]
	n, total := 0, 0
	for n < len(queue) {
		size := queue[n].base().size
		if n > 0 && total+size > groupSize {
			break
		}
		total += size
		n++
	}
	group := queue[:n:n]
	if w.queue[l] = queue[n:]; n == len(queue) {
		w.queue[l] = nil
	}
	return group
}

func (w *writer) finished() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed && len(w.queue[settling]) == 0 && len(w.queue[adding]) == 0
}

// run writes until stop was called and everything handed in before is written.
func (w *writer) run() {
	defer close(w.ended)
	for !w.finished() {
		<-w.wake
		for {
			w.gather()
			settled, added := w.take(settling), w.take(adding)
			if len(settled)+len(added) == 0 {
				break
			}
			w.serve(settled)
			w.serve(added)
		}
	}
}

// gather lets callers that are about to hand something in do so: whoever has just been answered, or
// is at work on a request, may run first, and shares the next transaction. It goes on while more
// comes, and returns at once where nobody else wants to run.
func (w *writer) gather() {
	for before := -1; ; {
		n := w.waiting()
		if n <= before || n >= groupSize {
			return
		}
		before = n
		runtime.Gosched()
	}
}

// waiting returns how many operations have been handed in.
func (w *writer) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue[settling]) + len(w.queue[adding])
}

// stop ends the goroutine and waits for it.
func (w *writer) stop() {
	w.mu.Lock()
	w.closed = true
	w.nudge()
	w.mu.Unlock()
	<-w.ended
}

// serve carries out operations in one transaction. Should that fail, each is tried by itself, so
// that the one that cannot be done does not take the others with it.
func (w *writer) serve(ops []operation) {
	ops = claim(ops)
	if len(ops) == 0 {
		return
	}
	err := w.transact(ops)
	if err != nil && len(ops) > 1 {
		for _, op := range ops {
			w.serveOne(op)
		}
		return
	}
	if err != nil {
		w.retryVital(ops[0], err)
	}
	for _, op := range ops {
		close(op.base().done)
	}
}

func (w *writer) serveOne(op operation) {
	if err := w.transact([]operation{op}); err != nil {
		w.retryVital(op, err)
	}
	close(op.base().done)
}

// retryVital tries a write that must not fail once more with the room kept in reserve.
func (w *writer) retryVital(op operation, err error) {
	b := op.base()
	if b.vital && w.s.disk.isFull(err) && w.s.disk.release() {
		err = w.transact([]operation{op})
	}
	if err != nil {
		b.err = w.s.explain(err)
	}
}

// claim leaves out the operations that nobody waits for any more.
func claim(ops []operation) []operation {
	kept := ops[:0]
	for _, op := range ops {
		if op.base().begun.CompareAndSwap(false, true) {
			kept = append(kept, op)
		}
	}
	return kept
}

// transact does all of ops that are not refused in one transaction. After an error nothing of it
// has happened.
func (w *writer) transact(ops []operation) error {
	t, err := begin(w.conn, &w.s.counters, w.state)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	t.unheard = w.s.o.OnCommit == nil
	var floor error
	for _, op := range ops {
		b := op.base()
		if b.err = nil; b.grows {
			if floor == nil {
				floor = w.s.disk.checkFloor()
			}
			if b.err = floor; b.err != nil {
				continue
			}
		}
		if b.err = op.check(t); b.err != nil {
			if _, refused := b.err.(*job.Error); refused { //nolint:errorlint // a refusal is never wrapped
				continue
			}
			err = b.err
		} else {
			err = op.write(t)
		}
		if err != nil {
			t.rollback()
			return fmt.Errorf("write to the registry: %w", err)
		}
	}
	if err := t.commit(); err != nil {
		t.rollback()
		return fmt.Errorf("commit to the registry: %w", err)
	}
	w.publish(t)
	return nil
}

// publish takes over what a committed transaction changed and tells who follows.
func (w *writer) publish(t *tx) {
	w.state = t.state
	w.s.counters.add(t.counts)
	w.s.queues.Store(&t.state.queues)
	w.s.cursor.Store(&t.state.cursor)
	w.s.nextID.Store(t.state.nextJob)
	w.s.ring.add(t.changes)
	w.s.disk.restore()
	if w.s.o.OnCommit != nil && len(t.changes) > 0 {
		w.s.o.OnCommit(t.changes)
	}
}
