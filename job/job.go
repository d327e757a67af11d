// Package job holds the domain of queuemgr: jobs, queues, their states and the one table of legal
// moves, filters and selectors, errors, changes, and the Service interfaces that the engine and
// the HTTP client both implement. It imports the standard library only.
package job

import (
	"encoding/json"
	"time"
)

// Names that are always there.
const (
	DefaultQueue = "default"
	TypeCommand  = "command" // Command is run as it is
	TypeShell    = "shell"   // Command is a shell with the script
)

// Job is one piece of work on record. Absent in JSON means not known (yet). Times are UTC with
// microseconds.
type Job struct {
	ID          int64           `json:"id"` // > 0, never reused
	Key         string          `json:"key,omitempty"`
	Name        string          `json:"name,omitempty"`
	Queue       string          `json:"queue"`
	Type        string          `json:"type"`
	State       State           `json:"state"`
	Reason      Reason          `json:"reason,omitempty"`
	ExitCode    *int            `json:"exit_code,omitempty"`
	Signal      int             `json:"signal,omitempty"` // number of the signal that killed it
	WaitReason  string          `json:"wait_reason,omitempty"`
	Priority    int             `json:"priority"` // higher runs first
	Command     []string        `json:"command,omitempty"`
	Params      json.RawMessage `json:"params,omitempty"`
	Cwd         string          `json:"cwd,omitempty"`
	Tags        []string        `json:"tags,omitempty"`
	Owner       string          `json:"owner,omitempty"` // user name, or the number where the user has none
	User        string          `json:"user,omitempty"`  // account that it runs as, "" = the service's own
	Attempt     int             `json:"attempt"`         // 0 until first claimed
	MaxAttempts int             `json:"max_attempts"`
	CreatedAt   time.Time       `json:"created_at"`
	StartAt     time.Time       `json:"start_at,omitzero"`
	QueuedAt    time.Time       `json:"queued_at,omitzero"`
	StartedAt   time.Time       `json:"started_at,omitzero"`
	FinishedAt  time.Time       `json:"finished_at,omitzero"`
	Progress    *int            `json:"progress,omitempty"` // 0..100
	StatusText  string          `json:"status_text,omitempty"`
	Result      json.RawMessage `json:"result,omitempty"`
	Notes       []string        `json:"notes,omitempty"` // what was refused of what the job sent, hooks that failed
	Usage       *Usage          `json:"usage,omitempty"`
	Error       string          `json:"error,omitempty"`
	After       []int64         `json:"after,omitempty"`
	Node        string          `json:"node,omitempty"`
	RunID       string          `json:"run_id,omitempty"`
	PID         int             `json:"pid,omitempty"` // of the running process

	Timeout    Duration `json:"timeout,omitempty"`     // 0 = none
	Grace      Duration `json:"grace,omitempty"`       // between stop signal and KILL
	StopSignal string   `json:"stop_signal,omitempty"` // "" = TERM
	OnLost     OnLost   `json:"on_lost,omitempty"`     // "" = fail
	Split      bool     `json:"split,omitempty"`       // stderr has a log of its own
	Umask      *uint32  `json:"umask,omitempty"`

	Watchdog     Duration `json:"watchdog,omitempty"`      // silence after which it is stopped; 0 = none
	SuccessCodes []int    `json:"success_codes,omitempty"` // exit codes besides 0 that count as completed

	Hooks []Hook `json:"hooks,omitempty"` // told of the job's events, beside those of settings and type

	// Fence grows with each claim of the job; the write of an older claim is refused.
	Fence uint64 `json:"fence,omitempty"`

	// Rev grows with each change of the record: the token of compare-and-set.
	Rev uint64 `json:"-"`
	// UID and GID are the owner's numbers.
	UID uint32 `json:"-"`
	GID uint32 `json:"-"`
	// EnvID names the captured environment in the registry; 0 is the empty one. The environment
	// itself is never part of a job's JSON.
	EnvID int64 `json:"-"`
	// Head orders a queue before priority: `job start` sets it above every other; 0 is normal.
	Head int64 `json:"-"`
	// Want is what was asked of a live job: "", WantStop, WantShutdown or WantDelete.
	Want Want `json:"-"`
	// WantForce and WantGrace say how: by KILL at once, or with another grace than Grace.
	WantForce bool      `json:"-"`
	WantGrace *Duration `json:"-"`
}

// Want is an end that was asked for while the job was live.
type Want string

// Ends that can be asked for. A later, stronger one replaces an earlier one: delete beats stop
// beats shutdown.
const (
	WantShutdown Want = "shutdown"
	WantStop     Want = "stop"
	WantDelete   Want = "delete"
)

// OnLost says what happens to a job whose outcome cannot be known.
type OnLost string

// Choices of OnLost.
const (
	OnLostFail    OnLost = "fail"    // failed, reason lost: never rerun unasked
	OnLostRequeue OnLost = "requeue" // queued again: for work that may safely run twice
)

// Usage is what an attempt consumed, with all descendants it waited for.
type Usage struct {
	CPUUser    Duration `json:"cpu_user"`
	CPUSystem  Duration `json:"cpu_system"`
	MaxRSS     int64    `json:"max_rss"` // bytes; the kernel counts from the runner's own size at the fork
	ReadBytes  int64    `json:"read_bytes"`
	WriteBytes int64    `json:"write_bytes"`
}

// Attempt is one ended run of a job that was run again since.
type Attempt struct {
	JobID      int64     `json:"job_id"`
	Attempt    int       `json:"attempt"`
	RunID      string    `json:"run_id"`
	State      State     `json:"state"`
	Reason     Reason    `json:"reason,omitempty"`
	ExitCode   *int      `json:"exit_code,omitempty"`
	Signal     int       `json:"signal,omitempty"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	Usage      *Usage    `json:"usage,omitempty"`
	Error      string    `json:"error,omitempty"`
	Progress   *int      `json:"progress,omitempty"`
	StatusText string    `json:"status_text,omitempty"`
}

// Duration is a time.Duration that is a number of seconds in JSON.
type Duration time.Duration

// MarshalJSON returns d as a number of seconds.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).Seconds()) }

// UnmarshalJSON takes a number of seconds, or a string like "1h30m".
func (d *Duration) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		v, err := ParseDuration(s)
		*d = v
		return err
	}
	var seconds float64
	if err := json.Unmarshal(b, &seconds); err != nil {
		return err
	}
	v, err := fromSeconds(seconds)
	*d = v
	return err
}

func (d Duration) String() string { return time.Duration(d).String() }
