package sqlite

import (
	"sync"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// counter is what jobs are counted by.
type counter struct {
	queue string
	typ   string
	state job.State
}

// counters is the number of jobs on record. Only the writer changes it, after a commit.
type counters struct {
	mu sync.Mutex
	n  map[counter]int64 // no zeros
}

func (c *counters) add(delta map[counter]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, d := range delta {
		if c.n[k] += d; c.n[k] == 0 {
			delete(c.n, k)
		}
	}
}

// get is for the writer, which alone changes c and needs no lock to read it.
func (c *counters) get(k counter) int64 { return c.n[k] }

// Counts implements store.Queues.
func (s *Store) Counts() store.Counts {
	byQueue, byType := map[string]map[job.State]int64{}, map[string]map[job.State]int64{}
	s.counters.mu.Lock()
	defer s.counters.mu.Unlock()
	for k, n := range s.counters.n {
		count(byQueue, k.queue, k.state, n)
		count(byType, k.typ, k.state, n)
	}
	return store.Counts{ByQueue: byQueue, ByType: byType}
}

func count(m map[string]map[job.State]int64, name string, state job.State, n int64) {
	if m[name] == nil {
		m[name] = map[job.State]int64{}
	}
	m[name][state] += n
}
