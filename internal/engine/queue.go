package engine

import (
	"context"
	"fmt"
	"sort"

	"github.com/queuemgr/queuemgr/job"
)

// Queues implements job.Service.
func (e *Engine) Queues(context.Context) ([]job.Queue, error) {
	counts := e.o.Store.Counts().ByQueue
	queues := []job.Queue{}
	for _, q := range *e.core.queues.Load() {
		queues = append(queues, withCounts(q, counts))
	}
	sort.Slice(queues, func(i, j int) bool { return queues[i].Name < queues[j].Name })
	return queues, nil
}

// Queue implements job.Service.
func (e *Engine) Queue(_ context.Context, name string) (*job.Queue, error) {
	queues := *e.core.queues.Load()
	q, ok := queues[name]
	if !ok {
		return nil, noQueue(name, queues)
	}
	q = withCounts(q, e.o.Store.Counts().ByQueue)
	return &q, nil
}

func withCounts(q job.Queue, counts map[string]map[job.State]int64) job.Queue {
	q.Jobs = map[job.State]int64{}
	for state, n := range counts[q.Name] {
		if n > 0 && state != job.Deleted {
			q.Jobs[state] = n
		}
	}
	return q
}

// AddQueue implements job.Service.
func (e *Engine) AddQueue(ctx context.Context, name string, u job.QueueUpdate) (*job.Queue, error) {
	if err := job.CheckQueueName(name); err != nil {
		return nil, err
	}
	err := e.do(ctx, func(c *core, t *tx) error {
		q := job.Queue{Name: name, Start: job.StartAuto, CreatedAt: t.at}
		if err := updateQueue(&q, u); err != nil {
			return err
		}
		if err := c.o.Store.AddQueue(t.ctx, q, t.at); err != nil {
			return err
		}
		return c.loadQueues(t.ctx)
	})
	if err != nil {
		return nil, err
	}
	return e.Queue(ctx, name)
}

// SetQueue implements job.Service.
func (e *Engine) SetQueue(ctx context.Context, name string, u job.QueueUpdate) (*job.Queue, error) {
	err := e.do(ctx, func(c *core, t *tx) error {
		queues := *c.queues.Load()
		q, ok := queues[name]
		if !ok {
			return noQueue(name, queues)
		}
		if err := updateQueue(&q, u); err != nil {
			return err
		}
		if err := c.o.Store.SetQueue(t.ctx, q, t.at); err != nil {
			return err
		}
		return c.loadQueues(t.ctx)
	})
	if err != nil {
		return nil, err
	}
	return e.Queue(ctx, name)
}

// DeleteQueue implements job.Service.
func (e *Engine) DeleteQueue(ctx context.Context, name string) error {
	return e.do(ctx, func(c *core, t *tx) error {
		queues := *c.queues.Load()
		if _, ok := queues[name]; !ok {
			return noQueue(name, queues)
		}
		if name == job.DefaultQueue {
			return &job.Error{Code: job.WrongState, Message: "the default queue can't be deleted", Hint: "pause it instead: queuemgr queue pause default"}
		}
		if err := c.o.Store.DeleteQueue(t.ctx, name, t.at); err != nil {
			return err
		}
		return c.loadQueues(t.ctx)
	})
}

func updateQueue(q *job.Queue, u job.QueueUpdate) error {
	if u.Concurrency != nil {
		if *u.Concurrency < 0 || *u.Concurrency > maxConcurrency {
			return &job.Error{Code: job.Invalid, Field: "concurrency", Message: fmt.Sprintf("concurrency %d is out of range", *u.Concurrency),
				Hint: fmt.Sprintf("from 0 (no limit of its own) to %d", maxConcurrency)}
		}
		q.Concurrency = *u.Concurrency
	}
	if u.Paused != nil {
		q.Paused = *u.Paused
	}
	if u.Start != nil {
		if *u.Start != job.StartAuto && *u.Start != job.StartManual {
			return &job.Error{Code: job.Invalid, Field: "start", Message: fmt.Sprintf("start is %q", *u.Start), Hint: "auto or manual"}
		}
		q.Start = *u.Start
	}
	return nil
}

// maxConcurrency is far above what one machine's process table holds.
const maxConcurrency = 1_000_000

func noQueue(name string, queues map[string]job.Queue) *job.Error {
	hint := "make it: queuemgr queue add " + name
	if near := nearest(name, queues); near != "" {
		hint = fmt.Sprintf("did you mean %q? Or %s", near, hint)
	}
	return &job.Error{Code: job.NotFound, Field: "queue", Message: fmt.Sprintf("there is no queue %q", name), Hint: hint}
}

// nearest returns the queue whose name is at most two edits away, "" where none is.
func nearest(name string, queues map[string]job.Queue) string {
	best, bestDistance := "", 3
	for candidate := range queues {
		if d := editDistance(name, candidate); d < bestDistance || d == bestDistance && candidate < best {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
