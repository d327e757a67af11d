// Package wire is the protocol between the daemon and the runner.
//
// It is append-only: a field or message kind, once released, keeps its name and meaning, and
// both sides ignore what they do not know, so that an older runner serves a newer daemon.
// Messages are JSON objects, one a line, over a unix stream socket.
//
// The order of a conversation: the daemon sends Hello; the runner answers Welcome or Refused.
// After Welcome the runner sends, in order of Seq, every event after Hello.Cursor, then new ones
// as they happen. The daemon commits events and its cursor in one transaction and then sends Ack.
package wire

import (
	"encoding/json"
	"time"
)

// Proto is the newest protocol version this code speaks. Both sides use the lower of the two.
const Proto = 1

// MaxMessage is the largest message in bytes, newline included, that either side accepts.
const MaxMessage = 64 << 20

// Message is the envelope; exactly one field is set.
type Message struct {
	// From the daemon.
	Hello *Hello  `json:"hello,omitempty"`
	Start []Start `json:"start,omitempty"`
	Stop  []Stop  `json:"stop,omitempty"`
	Ack   *Ack    `json:"ack,omitempty"`
	Quit  *Quit   `json:"quit,omitempty"`

	// From the runner.
	Welcome *Welcome `json:"welcome,omitempty"`
	Refused *Refused `json:"refused,omitempty"`
	Events  []Event  `json:"events,omitempty"`
	Reports []Report `json:"reports,omitempty"`
	Bye     *Bye     `json:"bye,omitempty"`
}

// Hello opens a conversation.
type Hello struct {
	Proto    int    `json:"proto"`
	Version  string `json:"version"`
	Registry string `json:"registry"` // identity of the registry, random, made with it
	Epoch    uint64 `json:"epoch"`    // grows with each start of a daemon on this registry
	Journal  string `json:"journal"`  // the journal that Cursor counts in; "" when none is known
	Cursor   uint64 `json:"cursor"`   // Seq of the last event committed

	// ShutdownTimeoutMS caps the grace of each run when the runner is told to end by somebody else than
	// the daemon; 0 = KILL at once, nil = what the runner was started with.
	ShutdownTimeoutMS *int64 `json:"shutdown_timeout_ms,omitempty"`
}

// Welcome accepts the daemon. Where Journal differs from the daemon's, or BootID from the one the
// daemon last saw, the absence of a run in Runs is no evidence that it never started.
type Welcome struct {
	Proto   int    `json:"proto"`
	Version string `json:"version"`
	PID     int    `json:"pid"`
	Journal string `json:"journal"` // random; a new one whenever evidence was lost (journal gone or torn)
	BootID  string `json:"boot_id"` // /proc/sys/kernel/random/boot_id
	Acked   uint64 `json:"acked"`   // Seq of the last event any daemon acknowledged
	LastSeq uint64 `json:"last_seq"`
	Runs    []Run  `json:"runs,omitempty"` // every run that is alive or whose exit is not acknowledged

	Stopping bool `json:"stopping,omitempty"` // the runner is ending: it refuses every Start

	// Drops says that the runner is root and starts every run as Start.User. A runner that does not say
	// so ignores User: a daemon whose jobs run as different accounts must not start any on it.
	Drops bool `json:"drops,omitempty"`

	// Reports says that the runner makes folders of runs and sends Reports. One that does not say so ignores
	// Start.Dir, Params, View, Stdin and WatchdogMS: a daemon must start no run on it that needs them.
	Reports bool `json:"takes_reports,omitempty"`
}

// RunState says how far the runner got with a run.
type RunState string

// States of a run in the runner's journal.
const (
	RunIntent  RunState = "intent"  // about to be forked, or forked; unknown which
	RunStarted RunState = "started" // its process lives, or lived when last seen
	RunExited  RunState = "exited"  // ended, not yet acknowledged
)

// Run is one run that the runner knows.
type Run struct {
	RunID string   `json:"run_id"`
	JobID int64    `json:"job_id"`
	Fence uint64   `json:"fence"`
	State RunState `json:"state"`
	PID   int      `json:"pid,omitempty"`

	Stopping bool `json:"stopping,omitempty"` // a Stop of it is on record
}

// Refused ends a conversation: the runner closes after it.
type Refused struct {
	Code  string `json:"code"` // RefusedEpoch, RefusedProto
	Error string `json:"error"`
	Epoch uint64 `json:"epoch,omitempty"` // the highest epoch seen
}

// Codes of Refused.
const (
	RefusedEpoch = "epoch" // an older daemon than the one last served
	RefusedProto = "proto" // no common protocol version
)

// Start asks for one run. A RunID that the runner knows already starts nothing: its present state
// is sent again instead.
type Start struct {
	RunID      string   `json:"run_id"`
	JobID      int64    `json:"job_id"`
	Fence      uint64   `json:"fence"`
	Argv       []string `json:"argv"`
	Env        []string `json:"env"` // whole environment, KEY=VALUE; PATH in it finds Argv[0]
	Cwd        string   `json:"cwd"`
	Umask      *uint32  `json:"umask,omitempty"`
	Stdout     string   `json:"stdout"`           // log file, opened O_APPEND|O_CREATE, 0640
	Stderr     string   `json:"stderr,omitempty"` // "" = the same open file as Stdout
	TimeoutMS  int64    `json:"timeout_ms,omitempty"`
	GraceMS    int64    `json:"grace_ms"`              // between stop signal and KILL
	StopSignal int      `json:"stop_signal,omitempty"` // 0 = SIGTERM

	// User is the account of the machine that the run gets, "" = the runner's own. A runner that drops
	// needs it and looks uid, groups and home up by itself. By is the uid that submitted the job, nil for a
	// token or the web: the runner's policy decides from both.
	User string  `json:"user,omitempty"`
	By   *uint32 `json:"by,omitempty"`

	// Dir is the run's folder (job.QUEUEMGR_DIR), "" = the runner makes none. The runner makes it before the
	// fork, gives it to the run's account, puts params.json (0400), status, cmdline and pid into it, keeps
	// status and progress up to date, takes result.json from it at the end, and removes it then.
	Dir string `json:"dir,omitempty"`
	// Params is what params.json holds. Only with Dir.
	Params json.RawMessage `json:"params,omitempty"`
	// View is the beginning of the file status in Dir: lines "Key: value" that stay as they are. The
	// runner adds State, Pid, Progress and StatusText.
	View string `json:"view,omitempty"`
	// Stdin is what the run reads as its standard input, then end of file; nil = /dev/null.
	Stdin []byte `json:"stdin,omitempty"`
	// WatchdogMS is how long the run may send nothing to the notify socket before it is stopped as by
	// its time limit, Event.Why being WhyWatchdog; 0 = for ever. Any datagram of the run counts.
	WatchdogMS int64 `json:"watchdog_ms,omitempty"`
}

// WhyWatchdog is Event.Why of a run that was stopped because it was silent (Cause CauseTimeout).
const WhyWatchdog = "watchdog"

// Report is what a run has said of itself so far: the whole of it, so that the newest replaces
// all before. It is not acknowledged: the runner sends those of all live runs again after Welcome,
// and the last one comes with Exited. It changes at most once a second for each run, the first at once.
type Report struct {
	RunID string `json:"run_id,omitempty"` // not in Event.Report
	JobID int64  `json:"job_id,omitempty"`
	Fence uint64 `json:"fence,omitempty"`

	Progress *int            `json:"progress,omitempty"` // 0 to 100, never less than before
	Status   string          `json:"status,omitempty"`   // STATUS=, valid UTF-8, cut at MaxStatus bytes
	Result   json.RawMessage `json:"result,omitempty"`   // valid JSON
	Error    string          `json:"error,omitempty"`    // what went wrong, in the job's own words, cut at MaxStatus bytes
	Retry    string          `json:"retry,omitempty"`    // "never", or the seconds after which another try makes sense
	// Refused is what was wrong with things that the run, or somebody else in its name, has sent, in
	// words, the first MaxRefused of them; RefusedMore counts the others.
	Refused     []string `json:"refused,omitempty"`
	RefusedMore int      `json:"refused_more,omitempty"`
}

// Limits of a Report. A datagram holds at most MaxDatagram bytes; a larger result is a file.
const (
	MaxStatus      = 1024
	MaxDatagram    = 64<<10 + 4<<10
	MaxResult      = 64 << 10 // bytes, in a datagram
	MaxResultFile  = 1 << 20  // bytes of result.json
	MaxResultDepth = 512      // of arrays and objects in each other
	MaxRefused     = 5
	MaxRefusedText = 256
)

// MaxStdin is the largest Start.Stdin in bytes: a job's record, of which params and result have up to 1 MiB each
// and may be several times as long once characters are escaped.
const MaxStdin = 16 << 20

// Lines of a datagram that a run sends to its NOTIFY_SOCKET, KEY=VALUE; others are ignored. See sd_notify(3).
const (
	SaysRun      = "X_QUEUEMGR_RUN_ID"   // who speaks; without it the sender's process decides
	SaysProgress = "X_QUEUEMGR_PROGRESS" // 0 to 100; a fraction is rounded down
	SaysStatus   = "STATUS"
	SaysResult   = "X_QUEUEMGR_RESULT" // JSON
	SaysError    = "X_QUEUEMGR_ERROR"
	SaysRetry    = "X_QUEUEMGR_RETRY" // "never" or seconds
)

// Files in Start.Dir.
const (
	FileParams   = "params.json"
	FileResult   = "result.json" // put there by the run, by rename
	FileStatus   = "status"
	FileProgress = "progress"
	FileCmdline  = "cmdline"
	FilePID      = "pid"
)

// Stop asks for the end of a run's whole process tree. A run that ended before the signal keeps
// its own outcome. A second Stop may shorten the grace or force, never lengthen it.
type Stop struct {
	RunID   string `json:"run_id"`
	Why     string `json:"why"`                // comes back as Event.Why
	GraceMS *int64 `json:"grace_ms,omitempty"` // instead of the run's own
	Force   bool   `json:"force,omitempty"`    // KILL at once
}

// Ack says that every event up to Cursor is committed.
type Ack struct {
	Cursor uint64 `json:"cursor"`
}

// Quit asks the runner to end. It answers Bye and ends when no run is alive; while one is, it
// answers Bye with Running set and stays.
type Quit struct{}

// Bye answers Quit. Unasked, with Stopping set, it says that the runner was told to end by somebody
// else: it stops its runs, refuses every Start and ends with the last run.
type Bye struct {
	Running  int  `json:"running"`
	Stopping bool `json:"stopping,omitempty"`
}

// Kind of an event.
type Kind string

// Kinds of events.
const (
	Started Kind = "started"
	Exited  Kind = "exited"
)

// Cause says what made a run end.
type Cause string

// Causes of an end.
const (
	CauseExit    Cause = "exit"    // by itself: ExitCode or Signal
	CauseStop    Cause = "stop"    // after the stop signal was sent
	CauseTimeout Cause = "timeout" // after the time limit's stop signal was sent
	CauseSpawn   Cause = "spawn"   // never ran: Error, Errno
	CauseLost    Cause = "lost"    // its outcome cannot be known: Error
	CauseRefused Cause = "refused" // never forked, and no fault of the job: Error; it may be started later
)

// Event is something that happened to a run. Seq grows by one with each event of a journal.
type Event struct {
	Seq   uint64    `json:"seq"`
	Kind  Kind      `json:"kind"`
	RunID string    `json:"run_id"`
	JobID int64     `json:"job_id"`
	Fence uint64    `json:"fence"`
	At    time.Time `json:"at"` // when it happened, not when it was seen or sent

	// Of started.
	PID        int    `json:"pid,omitempty"`
	StartTicks uint64 `json:"start_ticks,omitempty"` // field 22 of /proc/PID/stat

	// Of exited.
	Cause    Cause  `json:"cause,omitempty"`
	Why      string `json:"why,omitempty"`       // of CauseStop: Stop.Why
	ExitCode *int   `json:"exit_code,omitempty"` // absent when ended by a signal or unknown
	Signal   int    `json:"signal,omitempty"`
	Core     bool   `json:"core,omitempty"`
	Error    string `json:"error,omitempty"`
	Errno    int    `json:"errno,omitempty"` // of CauseSpawn
	Usage    *Usage `json:"usage,omitempty"`

	Report *Report `json:"report,omitempty"` // the run's last; nil = it said nothing
}

// Usage is what a run consumed, its waited-for descendants included (getrusage(2)).
type Usage struct {
	CPUUserUS   int64 `json:"cpu_user_us"`
	CPUSystemUS int64 `json:"cpu_system_us"`
	MaxRSS      int64 `json:"max_rss"` // bytes; never below what the runner itself had at the fork
	ReadBytes   int64 `json:"read_bytes"`
	WriteBytes  int64 `json:"write_bytes"`
}
