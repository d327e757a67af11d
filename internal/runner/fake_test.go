package runner

import (
	"encoding/json"
	"path/filepath"
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
	says    map[string]*Said
	hears   int
	files   map[string]string // by path, of Show
	results map[string]string // by folder
	cleared []string
}

func newFake() *fake {
	return &fake{now: time.Unix(1_000_000, 0), ended: map[int]Exit{}, says: map[string]*Said{}, files: map[string]string{}, results: map[string]string{}}
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

func (f *fake) Said(id string, _ *Process, _ bool) (Said, bool) {
	s := f.says[id]
	delete(f.says, id)
	if s == nil {
		return Said{}, false
	}
	return *s, true
}

func (f *fake) Hear() { f.hears++ }

func (f *fake) Show(to Folder, files map[string]string) error {
	for name, text := range files {
		f.files[filepath.Join(to.Dir, name)] = text
	}
	return nil
}

func (f *fake) Result(of Folder) (json.RawMessage, string) {
	if r := f.results[of.Dir]; r != "" {
		return json.RawMessage(r), ""
	}
	return nil, ""
}

func (f *fake) Clear(of Folder) error {
	f.cleared = append(f.cleared, of.Dir)
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
