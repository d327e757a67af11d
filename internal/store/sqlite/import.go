package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// ImportJobs implements store.Jobs.
func (s *Store) ImportJobs(ctx context.Context, jobs []*job.Job, at time.Time) error {
	if len(jobs) == 0 {
		return nil
	}
	op := &importOp{opBase: opBase{lane: adding, grows: true, size: len(jobs)}, rows: make([]row, len(jobs)), given: make([]int64, len(jobs)), at: at.UTC()}
	for i, j := range jobs {
		if j.ID < 0 {
			return &job.Error{Code: job.Invalid, Message: fmt.Sprintf("job number %d is below 1", j.ID), Field: "id", Line: i + 1}
		}
		var err error
		if op.rows[i], err = newRow(j); err != nil {
			return atLine(err, i)
		}
		if op.rows[i].rev = 0; j.State.Ended() && !j.FinishedAt.IsZero() {
			op.rows[i].ended = micros(j.FinishedAt)
		}
		op.given[i] = j.ID
	}
	if err := s.write(ctx, op); err != nil {
		return err
	}
	for i, j := range jobs {
		// A captured environment is never part of an import.
		j.ID, j.Rev, j.EnvID = op.rows[i].id, uint64(op.rows[i].rev)+1, 0
	}
	return nil
}

// importOp writes records as they are.
type importOp struct {
	opBase
	rows     []row
	given    []int64 // the numbers as they were given, 0 = the next one
	at       time.Time
	replaces []victim
}

func (op *importOp) check(t *tx) error {
	op.replaces = nil
	next := t.state.nextJob
	for _, id := range op.given {
		next = max(next, id+1)
	}
	keys, ids := map[driver.Value]bool{}, map[int64]bool{}
	for i := range op.rows {
		r := &op.rows[i]
		if r.id = op.given[i]; r.id == 0 {
			r.id = next
			next++
		}
		if _, ok := t.state.queues[r.queue]; !ok && !r.state.Ended() {
			return &job.Error{Code: job.NotFound, Message: fmt.Sprintf("there is no queue %q", r.queue), Field: "queue", Line: i + 1}
		}
		if ids[r.id] || r.key != nil && keys[r.key] {
			return &job.Error{Code: job.Conflict, Message: fmt.Sprintf("job %d, or its key, is given twice", r.id), Line: i + 1, JobID: r.id}
		}
		ids[r.id] = true
		if r.key != nil {
			keys[r.key] = true
		}
		if r.id >= t.state.nextJob {
			r.rev = 0
			continue // no record has this number yet
		}
		old, rev, err := readVictim(t, r.id)
		if err != nil {
			return err
		}
		if r.rev = rev; rev != 0 {
			op.replaces = append(op.replaces, old)
		}
	}
	for i := range op.rows {
		if err := op.checkKey(t, i, ids); err != nil {
			return err
		}
	}
	return nil
}

// checkKey refuses a key of a job on record that is not replaced as well.
func (op *importOp) checkKey(t *tx, i int, replaced map[int64]bool) error {
	r := &op.rows[i]
	if r.key == nil {
		return nil
	}
	err := checkKeyFree(t, r, i+1)
	if e, ok := err.(*job.Error); ok && replaced[e.JobID] { //nolint:errorlint // made unwrapped by checkKeyFree
		return nil
	}
	return err
}

// readVictim returns the record that a number has now, rev 0 for none.
func readVictim(t *tx, id int64) (v victim, rev int64, err error) {
	err = t.conn.query("SELECT rev, env_id, queue, type, state FROM jobs WHERE id = ?", 5, func(c []driver.Value) error {
		v.id = id
		rev, _ = c[0].(int64)
		v.envID, _ = c[1].(int64)
		v.queue, _ = c[2].(string)
		v.typ, _ = c[3].(string)
		state, _ := c[4].(string)
		v.state = job.State(state)
		return nil
	}, id)
	return v, rev, err
}

func (op *importOp) write(t *tx) error {
	for _, v := range op.replaces {
		if err := removeJob(t, v); err != nil {
			return err
		}
	}
	for i := range op.rows {
		t.state.nextJob = max(t.state.nextJob, op.rows[i].id+1)
	}
	// JobAdded also where a record is replaced: who follows takes each change as the whole record.
	return insertRows(t, op.rows, make([]int64, len(op.rows)), op.at, job.JobAdded)
}

// atLine says which job of several an error is about; i counts from 0.
func atLine(err error, i int) error {
	if e, ok := err.(*job.Error); ok { //nolint:errorlint // newRow's, unwrapped
		at := *e
		at.Line = i + 1
		return &at
	}
	return err
}
