// Package scheduler decides which waiting jobs start next. It is a pure function of what it is
// given: no I/O, no clock, no goroutines.
package scheduler

import "slices"

// State is what a decision is made from.
type State struct {
	MaxLive int     // most live jobs at once over all queues; 0 = no limit
	Live    int     // live jobs over all queues
	Queues  []Queue // in any order
	// Last is the queue that was served last: the next decision begins with the one after it.
	Last string
}

// Queue is one line of waiting jobs.
type Queue struct {
	Name    string
	Limit   int // most live jobs of this queue at once; 0 = no limit of its own
	Live    int
	Paused  bool
	Waiting []int64 // job numbers, the first to start first; a bounded part of the line
}

// Free returns how many more jobs the queue and the machine could start now.
func (s *State) Free(q *Queue) int {
	if q.Paused {
		return 0
	}
	free := int(^uint(0) >> 1)
	if s.MaxLive > 0 {
		free = s.MaxLive - s.Live
	}
	if q.Limit > 0 {
		free = min(free, q.Limit-q.Live)
	}
	return max(free, 0)
}

// Decision is which jobs to start, in this order.
type Decision struct {
	Start []int64
	Last  string // the State.Last of the next decision
}

// Decide gives the free slots to the queues in turn, one job a turn, by name from the one after
// s.Last, so that no queue starves another. No limit is ever passed.
func Decide(s State) Decision {
	d := Decision{Last: s.Last}
	queues := slices.Clone(s.Queues)
	slices.SortFunc(queues, func(a, b Queue) int {
		aFirst, bFirst := a.Name > s.Last, b.Name > s.Last
		switch {
		case aFirst != bFirst && aFirst, aFirst == bFirst && a.Name < b.Name:
			return -1
		case aFirst == bFirst && a.Name == b.Name:
			return 0
		default:
			return 1
		}
	})
	for progress := true; progress; {
		progress = false
		for i := range queues {
			q := &queues[i]
			if len(q.Waiting) == 0 || s.Free(q) == 0 {
				continue
			}
			d.Start = append(d.Start, q.Waiting[0])
			d.Last = q.Name
			q.Waiting = q.Waiting[1:]
			q.Live++
			s.Live++
			progress = true
		}
	}
	return d
}
