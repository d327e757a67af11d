package runner

import (
	"container/heap"
	"time"
)

type deadlineKind int

const (
	atTimeout  deadlineKind = iota // a run's time limit
	atWatchdog                     // a run has said nothing for long
	atReport                       // what a run said may be told again
	atKill                         // the end of a run's grace
	atRound                        // a look at what survived KILL
	atSync                         // the daemon has been away for a while
	atLinger                       // nobody needs the runner any more
	atBlind                        // runs that cannot be watched may have ended
	atSweep                        // orphans may wait to be reaped
	atRescan                       // the processes could not be listed
	atRetry                        // the journal could not be written
)

// deadline is a moment at which the core has to do something.
type deadline struct {
	at    time.Time
	kind  deadlineKind
	run   *run // nil when it is of no run
	index int
}

// deadlines is a heap by time; each entry can be removed.
type deadlines []*deadline

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

// Push implements heap.Interface.
func (d *deadlines) Push(x any) {
	e := x.(*deadline)
	e.index = len(*d)
	*d = append(*d, e)
}

// Pop implements heap.Interface.
func (d *deadlines) Pop() any {
	old := *d
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	e.index = -1
	return e
}

// set moves the deadline at *slot to at, adding it when there is none yet.
func (d *deadlines) set(slot **deadline, at time.Time, kind deadlineKind, r *run) {
	if *slot == nil {
		*slot = &deadline{kind: kind, run: r, at: at}
		heap.Push(d, *slot)
		return
	}
	(*slot).at = at
	heap.Fix(d, (*slot).index)
}

// clear removes the deadline at *slot if there is one.
func (d *deadlines) clear(slot **deadline) {
	if *slot != nil && (*slot).index >= 0 {
		heap.Remove(d, (*slot).index)
	}
	*slot = nil
}
