package job

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"
)

// Service is everything that can be asked of a queue manager. The engine implements it in the
// daemon and the HTTP client outside of it; one contract suite holds both to the same behaviour.
// All errors that a caller can mend are *Error.
type Service interface {
	JobService
	QueueService
	EventService
	FeedService
	LogSearchService
	DaemonService
	MachineService
	StatsService
	TypeService
}

// JobService is what is done with jobs.
type JobService interface {
	// AddJob adds one job, on disk when it returns. Errors: Invalid (Field), NotFound (queue),
	// Conflict (key), Exhausted (a limit or the disk).
	AddJob(ctx context.Context, s Spec) (*Job, error)
	// AddJobs adds all jobs of b or none and returns their numbers in order. Errors as AddJob,
	// with Line.
	AddJobs(ctx context.Context, b Batch) ([]int64, error)
	// Job returns one job. Errors: NotFound.
	Job(ctx context.Context, id int64) (*Job, error)
	// JobByKey returns the job with the key. Errors: NotFound.
	JobByKey(ctx context.Context, key string) (*Job, error)
	// Attempts returns the earlier attempts of a job, oldest first. Errors: NotFound.
	Attempts(ctx context.Context, id int64) ([]Attempt, error)
	// ListJobs returns one page. Errors: Invalid (cursor, limit).
	ListJobs(ctx context.Context, f Filter) (Page, error)
	// Act does one action to every job that r.Filter selects. A job named by its number, its key or
	// last that is missing or in a wrong state is in ActResult.Failed; others in a wrong state, those
	// of a range too, are passed over and counted in ActResult.Skipped.
	Act(ctx context.Context, r ActRequest) (ActResult, error)
	// WaitJob returns the job when it has ended (or is deleted), or as it is when ctx ends.
	// Errors: NotFound, ctx's error together with the job's last known state.
	WaitJob(ctx context.Context, id int64) (*Job, error)
	// Logs returns what the job wrote. With Follow it goes on until the attempt has ended and all
	// is read. The caller closes it. What is returned without Follow has a method Size() int64 that
	// tells how long the whole log is, where that is known. Errors: NotFound, Invalid.
	Logs(ctx context.Context, id int64, o LogOptions) (io.ReadCloser, error)
}

// Action is something done to a job on record.
type Action string

// Actions.
const (
	ActStart  Action = "start"  // waiting: to the head of its queue; ended: a new attempt
	ActStop   Action = "stop"   // live: stop signal, grace, KILL; waiting: stopped
	ActHold   Action = "hold"   // waiting: not before `job start`
	ActDelete Action = "delete" // as stop where live, then deleted
)

// Actions lists every action.
var Actions = []Action{ActStart, ActStop, ActHold, ActDelete}

// Check returns an error of code Invalid for what is no action.
func (a Action) Check() error {
	if slices.Contains(Actions, a) {
		return nil
	}
	return &Error{Code: Invalid, Field: "action", Message: fmt.Sprintf("unknown action %.80q", string(a)), Hint: fmt.Sprintf("one of %v", Actions)}
}

// ActRequest is an action on all jobs that a filter selects; Limit and Cursor do not count.
type ActRequest struct {
	Action Action    `json:"action"`
	Filter Filter    `json:"filter"`
	Force  bool      `json:"force,omitempty"` // stop, delete: KILL at once
	Grace  *Duration `json:"grace,omitempty"` // stop, delete: instead of the job's own
	DryRun bool      `json:"dry_run,omitempty"`
	// May refuses jobs that the caller may not touch; nil refuses none.
	May func(*Job) error `json:"-"`
}

// ActResult says what an action did.
type ActResult struct {
	Done    []int64      `json:"done"`    // or would be done, in a dry run
	Count   int          `json:"count"`   // how many those are
	Skipped int          `json:"skipped"` // selected by filter, but in no state for it
	Failed  []ActFailure `json:"failed,omitempty"`
}

// ActFailure is one job that an action could not be done to.
type ActFailure struct {
	JobID int64  `json:"job_id,omitempty"` // 0 where a key was not found
	Error *Error `json:"error"`
}

// LogOptions says which part of which log to read.
type LogOptions struct {
	Attempt int    `json:"attempt,omitempty"` // 0 = the newest
	Stream  string `json:"stream,omitempty"`  // "" or "stdout", "stderr" (of a split job)
	Offset  int64  `json:"offset,omitempty"`  // bytes from the beginning
	Tail    int    `json:"tail,omitempty"`    // only the last lines; 0 = all
	Limit   int64  `json:"limit,omitempty"`   // most bytes; 0 = no limit; not with Follow
	Follow  bool   `json:"follow,omitempty"`
}

// QueueService is what is done with queues.
type QueueService interface {
	// Queues returns all queues by name, with the counts of their jobs.
	Queues(ctx context.Context) ([]Queue, error)
	// Queue returns one. Errors: NotFound, with the nearest name.
	Queue(ctx context.Context, name string) (*Queue, error)
	// AddQueue makes a queue. Errors: Invalid, Conflict.
	AddQueue(ctx context.Context, name string, u QueueUpdate) (*Queue, error)
	// SetQueue changes a queue. Errors: Invalid, NotFound.
	SetQueue(ctx context.Context, name string, u QueueUpdate) (*Queue, error)
	// DeleteQueue removes an empty queue: no waiting or live job. Errors: NotFound, WrongState
	// (jobs, or the default queue).
	DeleteQueue(ctx context.Context, name string) error
}

// EventService streams changes.
type EventService interface {
	// Events yields every change after o.After in order, then new ones as they are committed,
	// until ctx ends. Errors: Exhausted when o.After is older than what is kept: read the
	// present state and begin again from Status.Seq.
	Events(ctx context.Context, o EventOptions) iter.Seq2[Change, error]
}

// EventOptions says which changes to stream.
type EventOptions struct {
	After  *uint64 `json:"after,omitempty"` // nil = only new ones
	JobIDs []int64 `json:"job_ids,omitempty"`
	Queue  string  `json:"queue,omitempty"`
}

// DaemonService is about the daemon itself.
type DaemonService interface {
	// Status returns counts and versions in constant time.
	Status(ctx context.Context) (*Status, error)
	// Shutdown begins the daemon's end and returns. Unless keepJobs is set, live jobs are
	// stopped, reason shutdown, within the setting shutdown_timeout.
	Shutdown(ctx context.Context, keepJobs bool) error
	// Reload reads the settings again and the daemon's log is opened anew. Errors: Invalid for
	// settings that are not right, and those in force stay; WrongState where there are none to read.
	Reload(ctx context.Context) (Reloaded, error)
}

// Reloaded says what reading the settings again has changed.
type Reloaded struct {
	Changed []SettingChange `json:"changed"` // in force now
	Restart []SettingChange `json:"restart"` // in force when the daemon is started again
	// Types tells in words which job types are new, changed or gone; Problems which of types_dir can't be
	// used, with file and line.
	Types    []string `json:"types,omitempty"`
	Problems []string `json:"problems,omitempty"`
}

// SettingChange is a setting before and after, as `config show` has it.
type SettingChange struct {
	Key string `json:"key"`
	Old string `json:"old"`
	New string `json:"new"`
}

// Status is the daemon at a glance.
type Status struct {
	Version string          `json:"version"`
	Uptime  Duration        `json:"uptime"`
	PID     int             `json:"pid"`
	Node    string          `json:"node"`
	Seq     uint64          `json:"seq"` // of the last change
	Jobs    map[State]int64 `json:"jobs"`
	Queues  []Queue         `json:"queues"`
	Runner  RunnerStatus    `json:"runner"`
	// Problems are conditions that somebody should mend, in words: a full disk, a runner that
	// does not start.
	Problems []string `json:"problems,omitempty"`
	// ShutdownTimeout is how long a stop of the service gives its jobs to end.
	ShutdownTimeout Duration   `json:"shutdown_timeout"`
	Home            string     `json:"home,omitempty"`
	Web             *WebStatus `json:"web,omitempty"` // nil = no page is served
	StartedAt       time.Time  `json:"started_at"`
}

// RunnerStatus is the runner as the daemon sees it.
type RunnerStatus struct {
	PID     int    `json:"pid"` // 0 = not connected
	Version string `json:"version,omitempty"`
	Running int    `json:"running"` // live jobs
}

// Caller is who asks.
type Caller struct {
	UID  uint32 // NoUID: none of this machine's users
	GID  uint32
	Name string // user name, or the number where the user has none; over TCP the token's or login's name

	// Of a caller over TCP. Over the unix socket all are zero: UID and Name decide there.
	Via       Via
	Role      Role
	From      string    // address
	TokenID   string    // of the token that it has, or that its login was made with
	SessionID string    // of its login
	LoginUID  uint32    // of the user who made its login; NoUID where TokenID says who
	ExpiresAt time.Time // of token or login, at the latest
}

// OverTCP reports whether the caller came over TCP: then Role says what it may do, and its numbers
// mean nothing.
func (c Caller) OverTCP() bool { return c.Via != "" && c.Via != ViaSocket || c.Role != "" }

type callerKey struct{}

// WithCaller returns a context that carries who asks.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns who asks, and whether ctx says so.
func CallerFrom(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}
