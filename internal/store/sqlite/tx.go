package sqlite

import (
	"crypto/sha256"
	"database/sql/driver"
	"maps"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// state is what the writer knows of the registry without reading it. It changes only with a
// commit; queues is replaced, never modified, as readers share it.
type state struct {
	nextJob int64
	seq     uint64
	epoch   uint64
	cursor  store.Cursor
	queues  map[string]job.Queue
	lastEnv knownEnv
}

// knownEnv is an environment on record: the one that was used last, as it is mostly the next one.
type knownEnv struct {
	hash [sha256.Size]byte
	id   int64 // 0 = none
}

// tx is one transaction of the writer. What it changes of the state is only taken over when it has
// been committed.
type tx struct {
	conn     *conn
	counters *counters
	state    state
	begun    state

	counts  map[counter]int64 // by how much they change
	envs    map[int64]int64   // by how much the references of an environment change
	changes []job.Change
	numbers bool // the registry's row is to be written: what the tables tell of the numbers is not all
	unheard bool // nobody is told of the changes: only what the ring holds is kept of them

	unwritten []driver.Value // of changes, the columns of those that are not in the table yet
}

func begin(c *conn, counters *counters, s state) (*tx, error) {
	if _, err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	return &tx{conn: c, counters: counters, state: s, begun: s, counts: map[counter]int64{}, envs: map[int64]int64{}}, nil
}

// count changes a counter.
func (t *tx) count(k counter, by int64) { t.counts[k] += by }

// counted returns a sum of counters as this transaction leaves them.
func (t *tx) counted(include func(counter) bool) int64 {
	sum := int64(0)
	for k, n := range t.counters.n {
		if include(k) {
			sum += n
		}
	}
	for k, n := range t.counts {
		if include(k) {
			sum += n
		}
	}
	return sum
}

// jobChange records what happened to a job that was in the state was; doc is its JSON without the number.
func (t *tx) jobChange(at time.Time, kind job.ChangeKind, id int64, state, was job.State, queue, doc string) error {
	c := newChange(t.state.seq+1, at, kind, id, state, queue, doc)
	c.Was = was
	return t.change(c, doc)
}

// change records a change. Rows are written many at once, at the latest by commit.
func (t *tx) change(c job.Change, doc string) error {
	t.state.seq = c.Seq
	if t.unheard && len(t.changes) == 2*ringChanges {
		kept := copy(t.changes, t.changes[ringChanges:])
		clear(t.changes[kept:])
		t.changes = t.changes[:kept]
	}
	t.changes = append(t.changes, c)
	t.unwritten = append(t.unwritten, int64(c.Seq), micros(c.At), string(c.Kind), c.JobID, string(c.State), string(c.Was), c.Queue, doc)
	if len(t.unwritten) < changeColumns*insertRowsAtOnce {
		return nil
	}
	_, err := t.conn.exec(insertManyChange, t.unwritten...)
	t.unwritten = t.unwritten[:0]
	return err
}

// writeChanges writes the changes that are left.
func (t *tx) writeChanges() error {
	for row := range slices.Chunk(t.unwritten, changeColumns) {
		if _, err := t.conn.exec(insertChange, row...); err != nil {
			return err
		}
	}
	t.unwritten = nil
	return nil
}

// setQueues replaces the queues by what f makes of a copy.
func (t *tx) setQueues(f func(map[string]job.Queue)) {
	queues := maps.Clone(t.state.queues)
	f(queues)
	t.state.queues = queues
}

// commit writes what the operations of the transaction have summed up and ends it. Nothing may be
// written after an error: SQLite may have rolled back by itself, and would commit it alone.
func (t *tx) commit() error {
	for k, by := range t.counts {
		if by == 0 {
			continue
		}
		_, err := t.conn.exec("INSERT INTO counters (queue, type, state, n) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = excluded.n",
			k.queue, k.typ, string(k.state), t.counters.get(k)+by)
		if err != nil {
			return err
		}
	}
	if err := t.writeChanges(); err != nil {
		return err
	}
	if err := t.countEnvs(); err != nil {
		return err
	}
	// The next number and the last change's are told by the tables (the view registry): an addition spares a page.
	if s := t.state; t.numbers || s.epoch != t.begun.epoch || s.cursor != t.begun.cursor {
		_, err := t.conn.exec("UPDATE registry_row SET next_job = ?, last_seq = ?, epoch = ?, cursor_journal = ?, cursor_boot = ?, cursor_seq = ?",
			s.nextJob, int64(s.seq), int64(s.epoch), s.cursor.Journal, s.cursor.BootID, int64(s.cursor.Seq))
		if err != nil {
			return err
		}
	}
	_, err := t.conn.exec("COMMIT")
	return err
}

// rollback ends the transaction without a trace.
func (t *tx) rollback() {
	// Fails where SQLite has rolled back by itself (full disk). Were the transaction still open,
	// the next BEGIN would say so.
	_, _ = t.conn.exec("ROLLBACK")
}
