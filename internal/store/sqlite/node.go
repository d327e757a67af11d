package sqlite

import (
	"context"

	"github.com/queuemgr/queuemgr/internal/store"
)

// RegistryID implements store.Node.
func (s *Store) RegistryID() string { return s.registryID }

// Cursor implements store.Node.
func (s *Store) Cursor(context.Context) (store.Cursor, error) { return *s.cursor.Load(), nil }

// NextEpoch implements store.Node.
func (s *Store) NextEpoch(ctx context.Context, above uint64) (uint64, error) {
	op := &epochOp{opBase: opBase{lane: settling, vital: true, size: 1}, above: above}
	if err := s.write(ctx, op); err != nil {
		return 0, err
	}
	return op.epoch, nil
}

// epochOp raises the epoch.
type epochOp struct {
	opBase
	above, epoch uint64
}

func (op *epochOp) check(*tx) error { return nil }

func (op *epochOp) write(t *tx) error {
	op.epoch = max(t.state.epoch, op.above) + 1
	t.state.epoch = op.epoch
	return nil
}

// NextID implements store.Jobs.
func (s *Store) NextID() int64 { return s.nextID.Load() }

// SkipIDs implements store.Jobs.
func (s *Store) SkipIDs(ctx context.Context, next int64) error {
	return s.write(ctx, &skipOp{opBase: opBase{lane: settling, size: 1}, next: next})
}

// skipOp raises the next job's number.
type skipOp struct {
	opBase
	next int64
}

func (op *skipOp) check(*tx) error { return nil }

func (op *skipOp) write(t *tx) error {
	t.state.nextJob, t.numbers = max(t.state.nextJob, op.next), true
	return nil
}
