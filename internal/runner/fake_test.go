package runner

import (
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// fake is a System without processes, for what real ones cannot be made to do: time that jumps,
// descriptors that run out, processes that do not die.
type fake struct {
	now     time.Time
	spawned []*wire.Start
	ended   map[int]Exit
	signals []string // "PID SIGNAL"
	reaped  []int
	orphans []int
	scans   int
	snap    Snapshot
	gone    map[int]bool // cannot be opened any more
	blind   bool         // nothing can be watched
}

func newFake() *fake {
	return &fake{now: time.Unix(1_000_000, 0), ended: map[int]Exit{}}
}

func (f *fake) Now() time.Time             { return f.now }
func (f *fake) BootID() string             { return "boot" }
func (f *fake) Spawn(s []*wire.Start)      { f.spawned = append(f.spawned, s...) }
func (f *fake) Release(*Process)           {}
func (f *fake) Scan()                      { f.scans++ }
func (f *fake) ReapOrphan(pid int)         { f.orphans = f.drop(pid); f.reaped = append(f.reaped, pid) }
func (f *fake) Zombies() []int             { return f.orphans }
func (f *fake) Reap(p *Process)            { f.reaped = append(f.reaped, p.PID) }
func (f *fake) ScanNow() (Snapshot, error) { return f.snap, nil }

func (f *fake) Watch(*Process, uint64) error {
	if f.blind {
		return syscall.EMFILE
	}
	return nil
}

func (f *fake) Open(pid int, ticks uint64) (*Process, bool) {
	return &Process{PID: pid, Ticks: ticks}, !f.gone[pid]
}

func (f *fake) Ended(p *Process) (Exit, bool) {
	x, ok := f.ended[p.PID]
	return x, ok
}

func (f *fake) Signal(p *Process, sig syscall.Signal) error {
	f.signals = append(f.signals, sig.String())
	return nil
}

func (f *fake) Zombie() int {
	if len(f.orphans) == 0 {
		return 0
	}
	return f.orphans[0]
}

func (f *fake) drop(pid int) (left []int) {
	for _, p := range f.orphans {
		if p != pid {
			left = append(left, p)
		}
	}
	return left
}
