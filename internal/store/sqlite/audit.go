package sqlite

import (
	"context"
	"database/sql"
	"math"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// AddAudit implements store.Audit.
func (s *Store) AddAudit(ctx context.Context, entries []job.AuditEntry) error {
	if len(entries) == 0 {
		return nil
	}
	entries = slices.Clone(entries)
	return s.write(ctx, &accessOp{opBase: opBase{lane: adding, size: len(entries)}, do: func(x *tx) error {
		for i := range entries {
			e := &entries[i]
			_, err := x.conn.exec(`INSERT INTO audit (at, who, role, via, "from", action, target, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
				micros(e.At), e.Who, string(e.Role), string(e.Via), e.From, e.Action, e.Target, e.Outcome)
			if err != nil {
				return err
			}
		}
		return nil
	}})
}

// Audit implements store.Audit.
func (s *Store) Audit(ctx context.Context, before int64, limit int) ([]job.AuditEntry, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	return readAll(ctx, s, "the audit", func(rows *sql.Rows, e *job.AuditEntry) error {
		var at int64
		err := rows.Scan(&e.ID, &at, &e.Who, &e.Role, &e.Via, &e.From, &e.Action, &e.Target, &e.Outcome)
		e.At = timeOrNone(at)
		return err
	}, `SELECT id, at, who, role, via, "from", action, target, outcome FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?`, before, limit)
}

// PruneAudit implements store.Audit. Numbers go up with the times, and what is left has no gaps: so
// both bounds are found by number.
func (s *Store) PruneAudit(ctx context.Context, before time.Time, keep int64, limit int) (int, error) {
	gone := int64(0)
	err := s.write(ctx, &accessOp{opBase: opBase{lane: adding, size: limit}, do: func(x *tx) (err error) {
		gone, err = x.conn.exec(`DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT ?3)
			AND (at < ?1 OR id <= (SELECT max(id) FROM audit) - ?2)`, micros(before), keep, int64(limit))
		return err
	}})
	return int(gone), err
}
