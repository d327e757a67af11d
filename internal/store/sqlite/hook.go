package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// HookCursor implements store.Hooks.
func (s *Store) HookCursor(ctx context.Context) (c store.HookCursor, err error) {
	var seq int64
	var since []byte
	err = s.reads.QueryRowContext(ctx, "SELECT seq, since FROM hook_cursor").Scan(&seq, &since)
	if errors.Is(err, sql.ErrNoRows) {
		return store.HookCursor{}, nil
	}
	if err == nil {
		err = json.Unmarshal(since, &c.Since)
	}
	if err != nil {
		return c, s.explain(fmt.Errorf("read the hooks' cursor: %w", err))
	}
	c.Seq = uint64(seq)
	return c, nil
}

// AddDeliveries implements store.Hooks.
func (s *Store) AddDeliveries(ctx context.Context, p store.AddDeliveries) ([]store.Delivery, error) {
	op := &deliverOp{opBase: opBase{lane: adding, grows: len(p.Deliveries) > 0, size: 1 + len(p.Deliveries)}, from: int64(p.From), seq: int64(p.Cursor.Seq),
		at: micros(p.At), all: slices.Clone(p.Deliveries)}
	since, err := json.Marshal(maps.Clone(p.Cursor.Since))
	if err != nil {
		return nil, err
	}
	if op.since = string(since); p.Cursor.Since == nil {
		op.since = "{}"
	}
	for i := range op.all {
		doc, err := store.PlainJSON(&op.all[i].Doc)
		if err != nil {
			return nil, fmt.Errorf("encode a delivery of job %d: %w", op.all[i].JobID, err)
		}
		op.docs = append(op.docs, string(doc))
	}
	if err := s.write(ctx, op); err != nil {
		return nil, err
	}
	return op.added, nil
}

// deliverOp records deliveries and moves the hooks' cursor.
type deliverOp struct {
	opBase
	from, seq, at int64
	since         string
	all           []store.Delivery
	docs          []string
	added         []store.Delivery
}

func (op *deliverOp) check(t *tx) error {
	at := int64(0)
	err := t.conn.query("SELECT seq FROM hook_cursor", 1, func(v []driver.Value) error {
		at, _ = v[0].(int64)
		return nil
	})
	if err == nil && at != op.from {
		err = &job.Error{Code: job.Conflict, Message: fmt.Sprintf("the hooks' cursor is at %d, not %d", at, op.from)}
	}
	return err
}

func (op *deliverOp) write(t *tx) error {
	op.added = nil // of a try that was rolled back
	for i := range op.all {
		d := op.all[i]
		once := int64(d.Seq)
		if d.Event == job.HookStart {
			once = 0
		}
		blocked, err := t.exists("SELECT 1 FROM hook_deliveries WHERE receiver = ? AND job_id = ? AND ended_at IS NULL", d.Receiver, d.JobID)
		if err != nil {
			return err
		}
		due := driver.Value(op.at)
		if blocked {
			due = nil
		}
		id := int64(0)
		err = t.conn.query(`INSERT INTO hook_deliveries (job_id, attempt, once, hook, event, seq, receiver, state, tries, due, run_id, last_error, created_at, since, doc)
			VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', 0, ?, '', '', ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id`, 1, func(v []driver.Value) error {
			id, _ = v[0].(int64)
			return nil
		}, d.JobID, int64(d.Attempt), once, d.Hook, string(d.Event), int64(d.Seq), d.Receiver, due, op.at, op.at, op.docs[i])
		if err != nil {
			return err
		}
		if id == 0 {
			continue
		}
		d.ID, d.State, d.CreatedAt, d.Since = id, job.DeliveryPending, timeOrNone(op.at), timeOrNone(op.at)
		if !blocked {
			d.NextTry = d.CreatedAt
		}
		op.added = append(op.added, d)
	}
	_, err := t.conn.exec("INSERT INTO hook_cursor (id, seq, since) VALUES (1, ?1, ?2) ON CONFLICT DO UPDATE SET seq = ?1, since = ?2", op.seq, op.since)
	return err
}

const deliveryColumns = "id, job_id, attempt, event, seq, hook, receiver, state, tries, due, run_id, last_error, created_at, since, ended_at"

// scanDelivery reads deliveryColumns, and doc where there is one more.
func scanDelivery(rows interface{ Scan(...any) error }, d *store.Delivery, withDoc bool) error {
	var seq, created, since int64
	var due, ended sql.NullInt64
	var doc []byte
	to := []any{&d.ID, &d.JobID, &d.Attempt, &d.Event, &seq, &d.Hook, &d.Receiver, &d.State, &d.Tries, &due, &d.RunID, &d.LastError, &created, &since, &ended}
	if withDoc {
		to = append(to, &doc)
	}
	if err := rows.Scan(to...); err != nil {
		return err
	}
	d.Seq, d.CreatedAt, d.Since = uint64(seq), timeOrNone(created), timeOrNone(since)
	d.NextTry, d.EndedAt = timeOrNone(due.Int64), timeOrNone(ended.Int64)
	if !withDoc {
		return nil
	}
	if err := json.Unmarshal(doc, &d.Doc); err != nil {
		return fmt.Errorf("delivery %d: %w", d.ID, err)
	}
	return nil
}

func (s *Store) deliveries(ctx context.Context, where string, args ...any) ([]store.Delivery, error) {
	return readAll(ctx, s, "deliveries", func(rows *sql.Rows, d *store.Delivery) error { return scanDelivery(rows, d, true) },
		"SELECT "+deliveryColumns+", doc FROM hook_deliveries WHERE "+where, args...)
}

// DueDeliveries implements store.Hooks.
func (s *Store) DueDeliveries(ctx context.Context, receiver string, limit int) ([]store.Delivery, error) {
	return s.deliveries(ctx, "receiver = ? AND due IS NOT NULL ORDER BY due, id LIMIT ?", receiver, limit)
}

// OpenReceivers implements store.Hooks.
func (s *Store) OpenReceivers(ctx context.Context) ([]string, error) {
	return readAll(ctx, s, "the receivers of deliveries", func(rows *sql.Rows, name *string) error { return rows.Scan(name) },
		"SELECT DISTINCT receiver FROM hook_deliveries WHERE due IS NOT NULL ORDER BY receiver")
}

// HookRuns implements store.Hooks.
func (s *Store) HookRuns(ctx context.Context) ([]store.Delivery, error) {
	return s.deliveries(ctx, "run_id <> '' ORDER BY id")
}

// Delivery implements store.Hooks.
func (s *Store) Delivery(ctx context.Context, id int64) (*store.Delivery, error) {
	all, err := s.deliveries(ctx, "id = ?", id)
	if err == nil && len(all) == 0 {
		err = noDelivery(id)
	}
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

func noDelivery(id int64) error {
	return &job.Error{Code: job.NotFound, Field: "id", Message: fmt.Sprintf("there is no delivery %d", id), Hint: "queuemgr hook deliveries lists them; old ones are not kept"}
}

// SetDeliveries implements store.Hooks.
func (s *Store) SetDeliveries(ctx context.Context, updates []store.DeliveryUpdate, at time.Time) error {
	if len(updates) == 0 {
		return nil
	}
	updates = slices.Clone(updates)
	return s.write(ctx, &accessOp{opBase: opBase{lane: settling, size: len(updates)}, refuse: func(*tx) error { return s.disk.checkReserve() },
		do: func(x *tx) error { return setDeliveries(x, updates, micros(at)) }})
}

func setDeliveries(x *tx, updates []store.DeliveryUpdate, at int64) error {
	for i := range updates {
		u := &updates[i]
		var due, ended driver.Value
		switch {
		case !u.State.Open():
			ended = at
		case u.RunID == "":
			due = micros(u.NextTry)
		}
		n, err := x.conn.exec(`UPDATE hook_deliveries SET state = ?, tries = ?, due = ?, run_id = ?, last_error = ?, ended_at = ?
			WHERE id = ? AND run_id = ? AND ended_at IS NULL`, string(u.State), int64(u.Tries), due, u.RunID, u.LastError, ended, u.ID, u.WasRunID)
		if err != nil {
			return err
		}
		if n == 0 || u.State.Open() {
			continue
		}
		// The next of its job, unless one that was asked for again is ahead of it.
		_, err = x.conn.exec(`UPDATE hook_deliveries SET due = ?1 WHERE id = (SELECT min(o.id) FROM hook_deliveries d
			JOIN hook_deliveries o ON o.receiver = d.receiver AND o.job_id = d.job_id AND o.ended_at IS NULL WHERE d.id = ?2) AND due IS NULL AND run_id = ''`, at, u.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

// RetryDelivery implements store.Hooks.
func (s *Store) RetryDelivery(ctx context.Context, id int64, at time.Time) (*store.Delivery, error) {
	err := s.write(ctx, &accessOp{opBase: opBase{lane: settling, size: 1},
		refuse: func(x *tx) error {
			there, running := false, ""
			err := x.conn.query("SELECT run_id FROM hook_deliveries WHERE id = ?", 1, func(v []driver.Value) error {
				there = true
				running, _ = v[0].(string)
				return nil
			}, id)
			switch {
			case err != nil:
				return err
			case !there:
				return noDelivery(id)
			case running != "":
				return &job.Error{Code: job.WrongState, Message: fmt.Sprintf("delivery %d is on its way: its command runs", id), Hint: "wait for its end"}
			}
			return s.disk.checkReserve()
		},
		do: func(x *tx) error {
			_, err := x.conn.exec("UPDATE hook_deliveries SET state = 'pending', due = ?1, since = ?1, ended_at = NULL WHERE id = ?2", micros(at), id)
			return err
		}})
	if err != nil {
		return nil, err
	}
	return s.Delivery(ctx, id)
}

// ListDeliveries implements store.Hooks.
func (s *Store) ListDeliveries(ctx context.Context, f job.DeliveryFilter) (page job.DeliveryPage, err error) {
	before := int64(math.MaxInt64)
	if f.Cursor != "" {
		if before, err = strconv.ParseInt(f.Cursor, 10, 64); err != nil || before < 1 {
			return page, &job.Error{Code: job.Invalid, Field: "cursor", Message: "this is no cursor of a page of deliveries", Hint: "give next_cursor of the page before"}
		}
	}
	where, args := []string{"id < ?"}, []any{before}
	if f.JobID != 0 {
		where, args = append(where, "job_id = ?"), append(args, f.JobID)
	}
	if len(f.States) > 0 {
		where = append(where, "state IN (?"+strings.Repeat(", ?", len(f.States)-1)+")")
		for _, state := range f.States {
			args = append(args, string(state))
		}
	}
	all, err := readAll(ctx, s, "deliveries", func(rows *sql.Rows, d *store.Delivery) error { return scanDelivery(rows, d, false) },
		"SELECT "+deliveryColumns+" FROM hook_deliveries WHERE "+strings.Join(where, " AND ")+" ORDER BY id DESC LIMIT ?", append(args, f.Limit+1)...)
	if err != nil {
		return page, err
	}
	page.Deliveries = []job.Delivery{}
	for i := range all {
		if i == f.Limit {
			page.NextCursor = strconv.FormatInt(all[i-1].ID, 10)
			break
		}
		page.Deliveries = append(page.Deliveries, all[i].Delivery)
	}
	return page, nil
}

// PruneDeliveries implements store.Hooks. A live job's starts stay, because they tell that they were
// turned into deliveries.
func (s *Store) PruneDeliveries(ctx context.Context, before time.Time, keep int64, limit int) (gone []store.PrunedDelivery, err error) {
	err = s.write(ctx, &accessOp{opBase: opBase{lane: adding, size: limit}, do: func(x *tx) error {
		gone = nil // of a try that was rolled back
		return x.conn.query(`DELETE FROM hook_deliveries WHERE id IN (SELECT id FROM hook_deliveries d WHERE ended_at IS NOT NULL
			AND (ended_at < ?1 OR ended_at < (SELECT ended_at FROM hook_deliveries WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT 1 OFFSET ?2))
			AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = d.job_id AND jobs.state IN ('starting', 'running', 'paused', 'stopping'))
			ORDER BY ended_at LIMIT ?3) RETURNING id, job_id`, 2, func(v []driver.Value) error {
			var p store.PrunedDelivery
			p.ID, _ = v[0].(int64)
			p.JobID, _ = v[1].(int64)
			gone = append(gone, p)
			return nil
		}, micros(before), keep-1, int64(limit))
	}})
	return gone, err
}

// purgeDeliveries removes what is over of a job that goes and returns the numbers; what is open goes
// on its way all the same.
func purgeDeliveries(t *tx, jobID int64) (ids []int64, err error) {
	err = t.conn.query("DELETE FROM hook_deliveries WHERE job_id = ? AND ended_at IS NOT NULL RETURNING id", 1, func(v []driver.Value) error {
		id, _ := v[0].(int64)
		ids = append(ids, id)
		return nil
	}, jobID)
	return ids, err
}
