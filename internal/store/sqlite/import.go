package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"iter"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// ImportJobs implements store.Jobs.
func (s *Store) ImportJobs(ctx context.Context, jobs iter.Seq2[store.Imported, error], at time.Time) error {
	// Its own transaction: it is larger than a group may be. The context ends it between two
	// records and not the waiting for it, as what it reads is the caller's.
	op := &importOp{opBase: opBase{lane: adding, grows: true, size: groupSize + 1}, at: at.UTC(), jobs: func(yield func(store.Imported, error) bool) {
		for j, err := range jobs {
			if err == nil {
				err = ctx.Err()
			}
			if !yield(j, err) {
				return
			}
		}
	}}
	return s.write(context.WithoutCancel(ctx), op)
}

// importOp writes records as they are.
type importOp struct {
	opBase
	jobs iter.Seq2[store.Imported, error]
	at   time.Time
}

func (op *importOp) check(*tx) error { return nil }

func (op *importOp) write(t *tx) error {
	rows := make([]row, 0, insertRowsAtOnce)
	// A captured environment is never part of an import.
	noEnvs := make([]int64, insertRowsAtOnce)
	n := 0
	for in, err := range op.jobs {
		if err != nil {
			return err
		}
		n++
		j := in.Job
		r, err := importRow(t, &in, rows, n)
		if err != nil {
			return err
		}
		t.state.nextJob = max(t.state.nextJob, r.id+1)
		j.ID, j.Rev, j.EnvID = r.id, 1, 0
		if rows = append(rows, r); len(rows) < insertRowsAtOnce {
			continue
		}
		if err := insertRows(t, rows, noEnvs, op.at, job.JobAdded); err != nil {
			return err
		}
		rows = rows[:0]
	}
	return insertRows(t, rows, noEnvs[:len(rows)], op.at, job.JobAdded)
}

// importRow makes a row of j, which is the line-th record, and refuses what is on record already or
// among those that are about to be written.
func importRow(t *tx, in *store.Imported, pending []row, line int) (row, error) {
	j := in.Job
	if j.ID < 0 {
		return row{}, &job.Error{Code: job.Invalid, Message: fmt.Sprintf("job number %d is below 1", j.ID), Field: "id", Line: line}
	}
	r, err := newRow(j)
	if err != nil {
		return row{}, atLine(err, line)
	}
	for i := range in.Attempts {
		a, err := newArchived(&in.Attempts[i])
		if err != nil {
			return row{}, err
		}
		r.archived = append(r.archived, a)
	}
	if r.rev = 0; j.State.Ended() && !j.FinishedAt.IsZero() {
		r.ended = micros(j.FinishedAt)
	}
	if _, ok := t.state.queues[r.queue]; !ok && !r.state.Ended() {
		return row{}, &job.Error{Code: job.NotFound, Message: fmt.Sprintf("there is no queue %q", r.queue), Field: "queue", Line: line}
	}
	if r.id == 0 {
		r.id = t.state.nextJob
	}
	taken, err := numberTaken(t, r.id, pending)
	if err != nil {
		return row{}, err
	}
	if taken {
		return row{}, &job.Error{Code: job.Conflict, Message: fmt.Sprintf("the number %d is another job's already", r.id), Field: "id", Line: line, JobID: r.id}
	}
	if r.key == nil {
		return r, nil
	}
	for i := range pending {
		if pending[i].key == r.key {
			return row{}, keyTaken(r.key, pending[i].id, line)
		}
	}
	return r, checkKeyFree(t, &r, line)
}

// numberTaken reports whether a job has the number.
func numberTaken(t *tx, id int64, pending []row) (taken bool, err error) {
	if id >= t.state.nextJob {
		return false, nil
	}
	for i := range pending {
		if pending[i].id == id {
			return true, nil
		}
	}
	err = t.conn.query("SELECT 1 FROM jobs WHERE id = ?", 1, func([]driver.Value) error {
		taken = true
		return nil
	}, id)
	return taken, err
}

// atLine says which job of several an error is about, counting from 1.
func atLine(err error, line int) error {
	if e, ok := err.(*job.Error); ok { //nolint:errorlint // newRow's, unwrapped
		at := *e
		at.Line = line
		return &at
	}
	return err
}
