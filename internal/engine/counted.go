package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// Counted is what an engine has counted since its start.
type Counted struct {
	Ends       map[End]int64
	QueueWait  Durations // from the queue to the start of the process
	StartDelay Durations // from being claimed to the start of the process
	Feeds      int       // that are open now
}

// End is a way in which jobs end.
type End struct {
	State  job.State
	Reason job.Reason
}

// Durations are durations by their length.
type Durations struct {
	Counts []uint64 // as those of store.Waits; nil before the first
	Sum    time.Duration
}

func (d *Durations) add(t time.Duration) {
	if d.Counts == nil {
		d.Counts = make([]uint64, len(store.Waits{}))
	}
	t = max(t, 0) // a clock was set back
	d.Counts[store.WaitIndex(t)]++
	d.Sum += t
}

// Counted returns what was counted up to now.
func (e *Engine) Counted() Counted {
	y := e.core.done
	y.mu.Lock()
	c := y.total
	c.Ends = maps.Clone(c.Ends)
	c.QueueWait.Counts, c.StartDelay.Counts = slices.Clone(c.QueueWait.Counts), slices.Clone(c.StartDelay.Counts)
	y.mu.Unlock()
	e.feeds.mu.Lock()
	defer e.feeds.mu.Unlock()
	c.Feeds = len(e.feeds.byID)
	return c
}
