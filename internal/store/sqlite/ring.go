package sqlite

import (
	"sync"

	"github.com/queuemgr/queuemgr/job"
)

// Bounds of the ring.
const (
	ringChanges = 4096
	ringBytes   = 4 << 20
)

// ring holds the last changes, so that who follows them rarely reads the table.
type ring struct {
	mu      sync.Mutex
	seq     uint64       // of the last committed change
	changes []job.Change // oldest first, the last one is seq
	bytes   int
}

func (r *ring) last() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}

// start sets the last change's number when the registry is opened.
func (r *ring) start(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq = seq
}

func (r *ring) add(changes []job.Change) {
	if len(changes) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq = changes[len(changes)-1].Seq
	r.changes = append(r.changes, changes[max(0, len(changes)-ringChanges):]...)
	if len(changes) > ringChanges {
		r.changes, r.bytes = r.changes[len(r.changes)-ringChanges:], 0
		changes = r.changes
	}
	for i := range changes {
		r.bytes += len(changes[i].JSON)
	}
	drop := 0
	for len(r.changes)-drop > ringChanges || r.bytes > ringBytes && drop < len(r.changes) {
		r.bytes -= len(r.changes[drop].JSON)
		drop++
	}
	// What is dropped must not stay reachable behind the slice.
	clear(r.changes[:drop])
	r.changes = r.changes[drop:]
}

// after returns up to limit changes after seq, and whether the ring has all of them.
func (r *ring) after(seq uint64, limit int) ([]job.Change, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq >= r.seq {
		return nil, true
	}
	n := r.seq - seq // this many have come since
	if n > uint64(len(r.changes)) {
		return nil, false
	}
	from := r.changes[uint64(len(r.changes))-n:]
	return append([]job.Change(nil), from[:min(limit, len(from))]...), true
}
