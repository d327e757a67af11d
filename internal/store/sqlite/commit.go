package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// Commit implements store.Jobs.
func (s *Store) Commit(ctx context.Context, c store.Commit) (store.Committed, error) {
	op := &commitOp{opBase: opBase{lane: settling, vital: c.Vital, size: len(c.Updates)}, disk: s.disk,
		updates: make([]update, len(c.Updates)), at: c.At.UTC(), deliveries: slices.Clone(c.Deliveries)}
	if c.Cursor != nil {
		op.cursor, op.moves = *c.Cursor, true
	}
	for i := range c.Updates {
		var err error
		if op.updates[i], err = newUpdate(&c.Updates[i]); err != nil {
			return store.Committed{}, err
		}
	}
	if err := s.write(ctx, op); err != nil {
		return store.Committed{}, err
	}
	var done store.Committed
	for i := range c.Updates {
		if op.updates[i].conflict {
			done.Conflicts = append(done.Conflicts, c.Updates[i].Job.ID)
		} else {
			c.Updates[i].Job.Rev++
		}
	}
	return done, nil
}

// update is a store.Update ready to be written.
type update struct {
	row      row
	from     job.State
	kind     job.ChangeKind
	conflict bool
}

func newUpdate(u *store.Update) (update, error) {
	if u.From != u.Job.State && !u.From.CanMove(u.Job.State) {
		return update{}, &job.Error{Code: job.Internal, Message: fmt.Sprintf("job %d can't go from %s to %s", u.Job.ID, u.From, u.Job.State),
			JobID: u.Job.ID}
	}
	r, err := newRow(u.Job)
	if err != nil {
		return update{}, err
	}
	if u.Archive != nil {
		a, err := newArchived(u.Archive)
		if err != nil {
			return update{}, err
		}
		r.archived = []archived{a}
	}
	kind := u.Kind
	if kind == "" {
		kind = job.JobChanged
	}
	return update{row: r, from: u.From, kind: kind}, nil
}

// commitOp updates jobs and moves the cursor.
type commitOp struct {
	opBase
	disk    *disk
	updates []update
	at      time.Time
	cursor  store.Cursor
	moves   bool // the cursor moves

	deliveries []store.DeliveryUpdate
}

func (op *commitOp) check(*tx) error {
	if op.vital {
		return nil
	}
	return op.disk.checkReserve()
}

func (op *commitOp) write(t *tx) error {
	for i := range op.updates {
		u := &op.updates[i]
		if err := op.update(t, u); err != nil {
			return err
		}
		if u.conflict {
			continue
		}
		if err := u.row.archive(t); err != nil {
			return err
		}
		if err := t.jobChange(op.at, u.kind, u.row.id, u.row.state, u.from, u.row.queue, u.row.changeDoc()); err != nil {
			return err
		}
	}
	if op.moves {
		t.state.cursor = op.cursor
	}
	return setDeliveries(t, op.deliveries, micros(op.at))
}

// updateJob replaces the record that the caller has read. ended_at is when the job entered its
// ended state: it stays while the state does.
const updateJob = `UPDATE jobs SET rev = rev + 1, state = ?, queue = ?, priority = ?, head = ?, key = ?, tags = ?, search = ?,
	ended_at = iif(?, ended_at, ?), doc = ? WHERE id = ? AND rev = ? AND state = ? AND queue = ? AND type = ?`

// updateReport writes a record of which only doc has changed: it touches no index.
const updateReport = "UPDATE jobs SET rev = rev + 1, doc = ? WHERE id = ? AND rev = ? AND state = ?"

// report writes u, of which only doc has changed, or marks it as a conflict.
func (op *commitOp) report(t *tx, u *update) error {
	n, err := t.conn.exec(updateReport, u.row.doc, u.row.id, u.row.rev, string(u.from))
	u.conflict = err == nil && n == 0
	return err
}

// update writes u or marks it as a conflict. A job rarely changes its queue, so the queue on
// record is only looked up when the first try finds no record.
func (op *commitOp) update(t *tx, u *update) error {
	if u.kind == job.JobReported && u.from == u.row.state {
		return op.report(t, u)
	}
	if _, exists := t.state.queues[u.row.queue]; !exists && !u.row.state.Ended() {
		u.conflict = true
		return nil
	}
	u.conflict = false
	done, err := op.replace(t, u, u.row.queue)
	if err != nil || done {
		return err
	}
	found, state, queue := false, "", ""
	err = t.conn.query("SELECT state, queue FROM jobs WHERE id = ? AND rev = ?", 2, func(v []driver.Value) error {
		found = true
		state, _ = v[0].(string)
		queue, _ = v[1].(string)
		return nil
	}, u.row.id, u.row.rev)
	switch {
	case err != nil:
		return err
	case !found:
		u.conflict = true
		return nil
	case state != string(u.from):
		return &job.Error{Code: job.Internal, JobID: u.row.id,
			Message: fmt.Sprintf("job %d is %s on record, not %s", u.row.id, state, u.from)}
	}
	if done, err = op.replace(t, u, queue); err == nil && !done {
		err = &job.Error{Code: job.Internal, JobID: u.row.id, Message: fmt.Sprintf("job %d is of another type on record, not %s", u.row.id, u.row.typ)}
	}
	return err
}

// replace writes u over a record that is in queue.
func (op *commitOp) replace(t *tx, u *update, queue string) (bool, error) {
	r := &u.row
	n, err := t.conn.exec(updateJob, string(r.state), r.queue, r.priority, r.head, r.key, r.tags, r.search,
		u.from == r.state, r.endedAt(op.at), r.doc, r.id, r.rev, string(u.from), queue, r.typ)
	if err != nil || n == 0 {
		return false, err
	}
	if u.from != r.state || queue != r.queue {
		t.count(counter{queue, r.typ, u.from}, -1)
		t.count(counter{r.queue, r.typ, r.state}, 1)
	}
	return true, nil
}
