package sqlite

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// newChange makes a change of its columns. The result is the job's own JSON, or
// what job.NewQueueChange makes, behind seq, at and change, without encoding the record once more.
func newChange(seq uint64, at time.Time, kind job.ChangeKind, id int64, state job.State, queue, doc string) job.Change {
	b := make([]byte, 0, len(doc)+112)
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"at":"`...)
	b = at.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","change":"`...)
	b = append(b, kind...)
	b = append(b, `",`...)
	if id != 0 {
		b = append(b, `"id":`...)
		b = strconv.AppendInt(b, id, 10)
		b = append(b, ',')
	}
	b = append(b, doc[1:]...)
	// Followers share the JSON: without spare room none can write into it by appending.
	return job.Change{Seq: seq, At: at, Kind: kind, JobID: id, State: state, Queue: queue, JSON: b[:len(b):len(b)]}
}

// Seq implements store.Changes. Of a registry opened for reading only it is that of the opening.
func (s *Store) Seq() uint64 { return s.ring.last() }

// lastSeq is Seq as it is now, also beside another process that writes.
func (s *Store) lastSeq(ctx context.Context) (seq int64, err error) {
	if !s.o.ReadOnly {
		return int64(s.Seq()), nil
	}
	err = s.lists.QueryRowContext(ctx, "SELECT last_seq FROM registry").Scan(&seq)
	return seq, err
}

// Changes implements store.Changes. What is recent comes from memory.
func (s *Store) Changes(ctx context.Context, after uint64, limit int) ([]job.Change, error) {
	if limit < 1 {
		return nil, &job.Error{Code: job.Invalid, Field: "limit", Message: fmt.Sprintf("limit %d", limit), Hint: "at least 1"}
	}
	if !s.o.ReadOnly {
		if recent, ok := s.ring.after(after, limit); ok {
			return recent, nil
		}
	}
	// Read before the changes: those that come in between are no gap.
	last, err := s.lastSeq(ctx)
	if err != nil {
		return nil, s.explain(fmt.Errorf("read the last change's number: %w", err))
	}
	changes, err := s.readChanges(ctx, after, limit)
	if err != nil {
		return nil, s.explain(fmt.Errorf("read the changes after %d: %w", after, err))
	}
	first := after + 1
	if len(changes) == 0 && after < uint64(last) || len(changes) > 0 && changes[0].Seq != first {
		return nil, &job.Error{Code: job.Exhausted, Message: fmt.Sprintf("the changes after %d are not kept any more", after),
			Hint: "read the present state and begin again from its seq"}
	}
	return changes, nil
}

func (s *Store) readChanges(ctx context.Context, after uint64, limit int) (changes []job.Change, err error) {
	rows, err := s.lists.QueryContext(ctx, "SELECT seq, at, kind, job_id, state, was, queue, doc FROM changes WHERE seq > ? ORDER BY seq LIMIT ?",
		int64(after), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var seq, at, id int64
		var kind, state, was, queue, doc string
		if err := rows.Scan(&seq, &at, &kind, &id, &state, &was, &queue, &doc); err != nil {
			return nil, err
		}
		c := newChange(uint64(seq), time.UnixMicro(at).UTC(), job.ChangeKind(kind), id, job.State(state), queue, doc)
		c.Was = job.State(was)
		changes = append(changes, c)
	}
	return changes, rows.Err()
}

// PruneChanges implements store.Changes.
func (s *Store) PruneChanges(ctx context.Context, upTo uint64, limit int) (int, error) {
	op := &pruneOp{opBase: opBase{lane: adding, size: limit}, upTo: int64(upTo), limit: int64(limit)}
	if err := s.write(ctx, op); err != nil {
		return 0, err
	}
	return int(op.pruned), nil
}

type pruneOp struct {
	opBase
	upTo, limit, pruned int64
}

func (op *pruneOp) check(*tx) error { return nil }

func (op *pruneOp) write(t *tx) (err error) {
	t.numbers = true
	op.pruned, err = t.conn.exec("DELETE FROM changes WHERE seq <= ?1 AND seq < (SELECT min(seq) FROM changes) + ?2", op.upTo, op.limit)
	return err
}
