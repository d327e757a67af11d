package runner

import (
	"encoding/json"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// System is the operating system as the core sees it. No method waits for a process: what takes
// time comes back by the Handle methods of the core, never from inside a call.
type System interface {
	// Now is the time for events and deadlines.
	Now() time.Time
	// BootID is the machine's present boot, /proc/sys/kernel/random/boot_id.
	BootID() string

	// Spawn forks and execs in the background, in about this order. Each start is answered by one
	// HandleSpawned.
	Spawn(starts []*wire.Start)
	// Open returns a handle to the process only if it still is the one that started at ticks.
	Open(pid int, ticks uint64) (*Process, bool)
	// Watch arranges for HandleReady(token) once p has ended, now or later.
	Watch(p *Process, token uint64) error
	// Ended says whether p has ended and how; the status of a child stays to be taken by Reap.
	Ended(p *Process) (Exit, bool)
	// Signal sends sig to p. A process that is gone is no error.
	Signal(p *Process, sig syscall.Signal) error
	// Reap takes the status of an ended child away, which frees its pid, and lets the handle go.
	Reap(p *Process)
	// Release lets the handle of a process go that is not ours to reap.
	Release(p *Process)

	// Scan looks at all processes in the background and answers by HandleScan or
	// HandleScanFailed.
	Scan()
	// ScanNow does it at once. Used at start only.
	ScanNow() (Snapshot, error)

	// Zombie returns an ended child that was not reaped, if there is one: 0 when there is none.
	Zombie() (pid int)
	// Zombies returns all of them; it may look at every process of the machine.
	Zombies() []int
	// Said returns what a run has said since it was last asked, false when that is nothing. p is its leader,
	// nil when there is none. After last nothing more is kept for it.
	Said(runID string, p *Process, last bool) (Said, bool)
	// Hear reads, in the background, all that was sent to the notify socket before, and answers by
	// HandleHeard. What runs said before an end that Watch tells of is read without it.
	Hear()
	// Show writes files into the folder of a run, each in place of the one before.
	Show(f Folder, files map[string]string) error
	// Result takes the file in which the run left its result; nil = there is none. wrong says what is
	// wrong with it.
	Result(f Folder) (result json.RawMessage, wrong string)
	// Clear removes the folder of a run. One that is gone is no error.
	Clear(f Folder) error

	// ReapOrphan takes away an ended child that is not a run of ours.
	ReapOrphan(pid int)
}

// Process is a handle to one process; it stays the same process for as long as it is held.
type Process struct {
	PID   int
	Ticks uint64 // start time, field 22 of /proc/PID/stat
	Child bool   // forked by this runner, so its exit status can be had
	UID   uint32 // account it was started as
	FD    int    // pidfd, -1 without one; of the system's own use
}

// Folder is the folder of one run, wire.Start.Dir.
type Folder struct {
	Dir string
	UID uint32 // the run's account, whose it is
}

// Exit is how a process ended.
type Exit struct {
	Known  bool // false for a process that is not our child
	Code   int
	Signal int // 0 when it exited by itself
	Core   bool
	Usage  wire.Usage
}

// Spawned answers one start.
type Spawned struct {
	RunID   string
	Process *Process // nil when it could not be started
	At      time.Time
	Err     *SpawnError
}

// SpawnError says why a start was not possible.
type SpawnError struct {
	Errno syscall.Errno // 0 when it was none
	Text  string
	Busy  bool // out of descriptors: worth another try when a run has ended
	Short bool // the machine lacks something at this moment, which is no fault of the job
}

// Error implements error.
func (e *SpawnError) Error() string { return e.Text }

// Snapshot is the processes of one look at the machine.
type Snapshot []ProcessInfo

// ProcessInfo is one process of a snapshot.
type ProcessInfo struct {
	PID, PPID, Session int
	Ticks              uint64
	Zombie             bool      // ended, not reaped, no thread left
	RunID              string    // QUEUEMGR_RUN_ID of its environment, where that could be read
	Started            time.Time // from Ticks
}
