package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Queues implements store.Queues.
func (s *Store) Queues(context.Context) ([]job.Queue, error) {
	return slices.SortedFunc(maps.Values(*s.queues.Load()), func(a, b job.Queue) int { return strings.Compare(a.Name, b.Name) }), nil
}

// AddQueue implements store.Queues.
func (s *Store) AddQueue(ctx context.Context, q job.Queue, at time.Time) error {
	return s.setQueue(ctx, q, at, true)
}

// SetQueue implements store.Queues.
func (s *Store) SetQueue(ctx context.Context, q job.Queue, at time.Time) error {
	return s.setQueue(ctx, q, at, false)
}

// DeleteQueue implements store.Queues.
func (s *Store) DeleteQueue(ctx context.Context, name string, at time.Time) error {
	return s.write(ctx, &queueOp{opBase: opBase{lane: settling, size: 1}, queue: job.Queue{Name: name}, kind: job.QueueDeleted, doc: "{}", at: at.UTC()})
}

func (s *Store) setQueue(ctx context.Context, q job.Queue, at time.Time, isNew bool) error {
	q.Jobs = nil
	doc, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("encode queue %s: %w", q.Name, err)
	}
	return s.write(ctx, &queueOp{opBase: opBase{lane: settling, grows: isNew, size: 1}, queue: q, isNew: isNew, kind: job.QueueSet, doc: string(doc), at: at.UTC()})
}

// queueOp makes, changes or deletes a queue.
type queueOp struct {
	opBase
	queue job.Queue
	doc   string
	isNew bool
	kind  job.ChangeKind
	at    time.Time
}

func (op *queueOp) check(t *tx) error {
	name := op.queue.Name
	_, exists := t.state.queues[name]
	switch {
	case op.isNew && exists:
		return &job.Error{Code: job.Conflict, Message: fmt.Sprintf("the queue %q exists already", name),
			Hint: "queuemgr queue set changes it", Field: "queue"}
	case !op.isNew && !exists:
		return &job.Error{Code: job.NotFound, Message: fmt.Sprintf("there is no queue %q", name),
			Hint: "queuemgr queue list shows the queues", Field: "queue"}
	case op.kind != job.QueueDeleted:
		return nil
	case name == job.DefaultQueue:
		return &job.Error{Code: job.WrongState, Message: fmt.Sprintf("the queue %q can't be deleted", name),
			Hint: "pause it: queuemgr queue pause " + name, Field: "queue"}
	}
	left := t.counted(func(k counter) bool { return k.queue == name && !k.state.Ended() })
	if left > 0 {
		return &job.Error{Code: job.WrongState, Message: fmt.Sprintf("%d jobs of the queue %q are waiting or running", left, name),
			Hint: "wait for them, or stop or delete them first", Field: "queue"}
	}
	return nil
}

func (op *queueOp) write(t *tx) error {
	name := op.queue.Name
	var err error
	if op.kind == job.QueueDeleted {
		_, err = t.conn.exec("DELETE FROM queues WHERE name = ?", name)
		t.setQueues(func(m map[string]job.Queue) { delete(m, name) })
	} else {
		_, err = t.conn.exec("INSERT INTO queues (name, doc) VALUES (?, ?) ON CONFLICT DO UPDATE SET doc = excluded.doc", name, op.doc)
		t.setQueues(func(m map[string]job.Queue) { m[name] = op.queue })
	}
	if err != nil {
		return err
	}
	return writeQueueChange(t, op.at, op.kind, &op.queue)
}

// writeQueueChange records what happened to a queue.
func writeQueueChange(t *tx, at time.Time, kind job.ChangeKind, q *job.Queue) error {
	doc, err := queueDoc(q)
	if err != nil {
		return err
	}
	return t.change(newChange(t.state.seq+1, at, kind, 0, "", q.Name, doc), doc)
}

// queueDoc is a queue as its change has it.
func queueDoc(q *job.Queue) (string, error) {
	body, err := json.Marshal(struct {
		QueueConfig *job.Queue `json:"queue_config"`
	}{q})
	if err != nil {
		return "", fmt.Errorf("encode queue %s: %w", q.Name, err)
	}
	return string(body), nil
}
