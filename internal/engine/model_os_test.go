package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// simOS is the machine of the model: processes that fork, end and are signalled when the test
// says so, and that outlive the runner.
type simOS struct {
	now     time.Time
	boot    int
	nextPID int
	procs   map[int]*simProc
	forks   map[string][]*simProc  // by run id: what really happened
	stubs   map[string]bool        // run ids whose processes ignore TERM
	starts  map[string]*wire.Start // by run id: what was forked

	// Of the present runner; gone with it.
	generation int
	pending    []*wire.Start // asked to spawn, not answered
	watched    map[uint64]*simProc
	scans      int
}

// simProc is one process and the truth about it.
type simProc struct {
	pid        int
	ticks      uint64
	runID      string
	parent     int // generation of the runner that forked it
	alive      bool
	reaped     bool
	code       int
	signal     int
	signalled  bool // TERM or KILL was sent by a runner while it lived
	stubborn   bool
	orphaned   bool // its runner died while it lived or was unreaped
	endedAt    time.Time
	startedAt  time.Time
	rebootedAt bool
}

func newSimOS() *simOS {
	return &simOS{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), nextPID: 100, procs: map[int]*simProc{},
		forks: map[string][]*simProc{}, stubs: map[string]bool{}, starts: map[string]*wire.Start{}, watched: map[uint64]*simProc{}}
}

// newRunner forgets what the runner before had asked for; its processes are nobody's children now.
func (o *simOS) newRunner() {
	for _, p := range o.procs {
		if p.parent == o.generation && !p.reaped {
			p.orphaned = true
			if !p.alive {
				p.reaped = true // init takes it
			}
		}
	}
	o.generation++
	o.pending, o.scans = nil, 0
	o.watched = map[uint64]*simProc{}
}

// reboot ends every process.
func (o *simOS) reboot() {
	for _, p := range o.procs {
		if p.alive {
			p.alive, p.rebootedAt = false, true
		}
		p.reaped, p.orphaned = true, p.orphaned || p.rebootedAt
	}
	o.boot++
}

func (o *simOS) Now() time.Time { return o.now }
func (o *simOS) BootID() string { return fmt.Sprintf("boot-%d", o.boot) }
func (o *simOS) Spawn(s []*wire.Start) {
	o.pending = append(o.pending, s...)
}

// fork does the oldest spawn asked for and returns the answer to it.
func (o *simOS) fork(fail bool) runner.Spawned {
	s := o.pending[0]
	o.pending = o.pending[1:]
	if fail {
		return runner.Spawned{RunID: s.RunID, At: o.now, Err: &runner.SpawnError{Errno: syscall.ENOENT, Text: "no such program"}}
	}
	o.nextPID++
	p := &simProc{pid: o.nextPID, ticks: uint64(o.now.UnixMilli()), runID: s.RunID, parent: o.generation, alive: true,
		startedAt: o.now, stubborn: o.stubs[s.RunID]}
	o.procs[p.pid] = p
	o.forks[s.RunID] = append(o.forks[s.RunID], p)
	o.starts[s.RunID] = s
	return runner.Spawned{RunID: s.RunID, Process: &runner.Process{PID: p.pid, Ticks: p.ticks, Child: true, FD: -1}, At: o.now}
}

func (o *simOS) end(p *simProc, code, signal int) {
	p.alive, p.code, p.signal, p.endedAt = false, code, signal, o.now
	if p.parent != o.generation {
		p.reaped = true // by init
	}
}

func (o *simOS) of(p *runner.Process) *simProc {
	s := o.procs[p.PID]
	if s == nil || s.ticks != p.Ticks {
		return nil
	}
	return s
}

func (o *simOS) Open(pid int, ticks uint64) (*runner.Process, bool) {
	p := o.procs[pid]
	if p == nil || p.ticks != ticks || p.reaped {
		return nil, false
	}
	return &runner.Process{PID: pid, Ticks: ticks, FD: -1}, true
}

func (o *simOS) Watch(p *runner.Process, token uint64) error {
	o.watched[token] = o.of(p)
	return nil
}

// ready takes the tokens of watched processes that have ended.
func (o *simOS) ready() []uint64 {
	var tokens []uint64
	for token, p := range o.watched {
		if p == nil || !p.alive {
			tokens = append(tokens, token)
			delete(o.watched, token)
		}
	}
	slices.Sort(tokens)
	return tokens
}

func (o *simOS) Ended(p *runner.Process) (runner.Exit, bool) {
	s := o.of(p)
	switch {
	case s == nil:
		return runner.Exit{}, true
	case s.alive:
		return runner.Exit{}, false
	case !p.Child:
		return runner.Exit{}, true
	}
	return runner.Exit{Known: true, Code: s.code, Signal: s.signal}, true
}

func (o *simOS) Signal(p *runner.Process, sig syscall.Signal) error {
	s := o.of(p)
	if s == nil || !s.alive || sig == syscall.SIGCONT {
		return nil
	}
	s.signalled = true
	if sig == syscall.SIGKILL || !s.stubborn {
		o.end(s, 0, int(sig))
	}
	return nil
}

func (o *simOS) Reap(p *runner.Process) {
	if s := o.of(p); s != nil {
		s.reaped = true
	}
}

func (o *simOS) Release(*runner.Process) {}
func (o *simOS) Scan()                   { o.scans++ }

func (o *simOS) ScanNow() (runner.Snapshot, error) { return o.snapshot(), nil }

func (o *simOS) snapshot() runner.Snapshot {
	var s runner.Snapshot
	for _, p := range o.procs {
		if !p.reaped {
			s = append(s, runner.ProcessInfo{PID: p.pid, PPID: 1, Session: p.pid, Ticks: p.ticks, Zombie: !p.alive,
				RunID: map[bool]string{true: p.runID}[p.alive], Started: p.startedAt})
		}
	}
	slices.SortFunc(s, func(a, b runner.ProcessInfo) int { return a.PID - b.PID })
	return s
}

// Said lets every process say, just before its end, how it is going to end.
func (o *simOS) Said(_ string, p *runner.Process, last bool) (runner.Said, bool) {
	if p == nil || !last {
		return runner.Said{}, false
	}
	s := o.of(p)
	if s == nil || s.alive {
		return runner.Said{}, false
	}
	return runner.Said{Result: json.RawMessage(s.result()), Heard: s.endedAt}, true
}

func (p *simProc) result() string { return fmt.Sprintf(`{"code":%d,"signal":%d}`, p.code, p.signal) }

func (o *simOS) Hear()                                                       {}
func (o *simOS) Show(runner.Folder, map[string]string) error                 { return nil }
func (o *simOS) Result(runner.Folder) (result json.RawMessage, wrong string) { return nil, "" }
func (o *simOS) Clear(runner.Folder) error                                   { return nil }

func (o *simOS) Zombie() int    { return 0 }
func (o *simOS) Zombies() []int { return nil }
func (o *simOS) ReapOrphan(int) {}

func (o *simOS) alive() []*simProc {
	var alive []*simProc
	for _, p := range o.procs {
		if p.alive {
			alive = append(alive, p)
		}
	}
	slices.SortFunc(alive, func(a, b *simProc) int { return a.pid - b.pid })
	return alive
}
