package queuemgr

import (
	"context"

	"github.com/queuemgr/queuemgr/internal/engine"
	"github.com/queuemgr/queuemgr/internal/metrics"
	"github.com/queuemgr/queuemgr/internal/store"
)

// metrics returns what Prometheus is told: counters and what the status tells, no record is read.
func (d *daemon) metrics(ctx context.Context) ([]byte, error) {
	status, err := d.engine.Status(ctx)
	if err != nil {
		return nil, err
	}
	machine, err := d.engine.Machine(ctx)
	if err != nil {
		return nil, err
	}
	c := d.engine.Counted()
	m := &metrics.Daemon{Status: status, Machine: machine, Ends: make(map[metrics.End]int64, len(c.Ends)),
		QueueWait: histogram(&c.QueueWait), StartDelay: histogram(&c.StartDelay), Feeds: c.Feeds}
	for end, n := range c.Ends {
		m.Ends[metrics.End(end)] = n
	}
	return metrics.Write(m), nil
}

// histogram takes every other length: each bound is twice the one before.
func histogram(d *engine.Durations) metrics.Histogram {
	h := metrics.Histogram{Sum: d.Sum.Seconds()}
	const lengths = len(store.Waits{})
	for i := 0; i < lengths-1; i += 2 {
		h.Bounds = append(h.Bounds, store.WaitBound(i).Seconds())
	}
	h.Counts = make([]uint64, len(h.Bounds)+1)
	for i, n := range d.Counts {
		h.Counts[(i+1)/2] += n
	}
	return h
}
