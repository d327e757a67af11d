package sqlite

import (
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// Purge implements store.Retention.
func (s *Store) Purge(ctx context.Context, p store.Purge) ([]store.Purged, error) {
	for _, state := range p.States {
		if !state.Ended() {
			return nil, &job.Error{Code: job.Internal, Message: fmt.Sprintf("retention can't take jobs that are %s", state)}
		}
	}
	if p.Limit <= 0 || len(p.States) == 0 {
		return nil, nil
	}
	op := &purgeOp{opBase: opBase{lane: adding, size: p.Limit}, p: p}
	op.p.States = slices.Clone(p.States)
	if err := s.write(ctx, op); err != nil {
		return nil, err
	}
	return op.purged, nil
}

// purgeOp removes ended jobs.
type purgeOp struct {
	opBase
	p      store.Purge
	purged []store.Purged
}

func (op *purgeOp) check(*tx) error {
	op.purged = nil // of a try that was rolled back
	return nil
}

func (op *purgeOp) write(t *tx) error {
	limit := int64(op.p.Limit)
	if op.p.EndedBefore.IsZero() {
		limit = min(limit, t.counted(func(k counter) bool { return slices.Contains(op.p.States, k.state) })-op.p.Keep)
	}
	if limit <= 0 {
		return nil
	}
	var victims []victim
	for _, state := range op.p.States {
		some, err := selectVictims(t, "state = ?1", string(state), endedBefore(op.p.EndedBefore), limit)
		if err != nil {
			return err
		}
		victims = append(victims, some...)
	}
	slices.SortFunc(victims, func(a, b victim) int { return cmp.Or(cmp.Compare(a.ended, b.ended), cmp.Compare(a.id, b.id)) })
	var err error
	op.purged, err = purge(t, victims[:min(int64(len(victims)), limit)], op.p.At.UTC())
	return err
}

// endedBefore is the column's bound for a time, 0 for none.
func endedBefore(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return micros(t)
}

// victim is a record that goes.
type victim struct {
	id, envID, attempts, ended int64
	counter
}

// selectVictims returns up to limit ended jobs that meet a condition with one argument, those that
// ended first going first; with a bound only those that ended before it.
func selectVictims(t *tx, condition, arg string, bound, limit int64) (victims []victim, err error) {
	if bound == 0 {
		bound = math.MaxInt64
	}
	err = t.conn.query(`SELECT id, env_id, doc ->> '$.attempt', ended_at, queue, type, state FROM jobs
		WHERE ended_at IS NOT NULL AND ended_at < ?2 AND `+condition+` ORDER BY ended_at, id LIMIT ?3`, 7, func(c []driver.Value) error {
		var v victim
		v.id, _ = c[0].(int64)
		v.envID, _ = c[1].(int64)
		v.attempts, _ = c[2].(int64)
		v.ended, _ = c[3].(int64)
		v.queue, _ = c[4].(string)
		v.typ, _ = c[5].(string)
		state, _ := c[6].(string)
		v.state = job.State(state)
		victims = append(victims, v)
		return nil
	}, arg, bound, limit)
	return victims, err
}

// purge removes records for good.
func purge(t *tx, victims []victim, at time.Time) ([]store.Purged, error) {
	var purged []store.Purged
	for _, v := range victims {
		if err := removeJob(t, v); err != nil {
			return nil, err
		}
		doc, err := json.Marshal(map[string]string{"queue": v.queue, "type": v.typ, "state": string(v.state)})
		if err != nil {
			return nil, err
		}
		if err := t.jobChange(at, job.JobPurged, v.id, v.state, v.state, v.queue, string(doc)); err != nil {
			return nil, err
		}
		hooks, err := purgeDeliveries(t, v.id)
		if err != nil {
			return nil, err
		}
		purged = append(purged, store.Purged{ID: v.id, Attempts: int(v.attempts), Hooks: hooks})
	}
	return purged, nil
}

// removeJob takes a record out of the tables and counters.
func removeJob(t *tx, v victim) error {
	t.numbers = true
	if _, err := t.conn.exec("DELETE FROM jobs WHERE id = ?", v.id); err != nil {
		return err
	}
	if _, err := t.conn.exec("DELETE FROM attempts WHERE job_id = ?", v.id); err != nil {
		return err
	}
	if v.envID != 0 {
		t.envs[v.envID]--
	}
	t.count(v.counter, -1)
	return nil
}
