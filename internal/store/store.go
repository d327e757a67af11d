// Package store says what a registry is: the durable record of all jobs and queues. Store is one
// interface in domain terms; internal/store/sqlite implements it and internal/store/storetest is
// the conformance suite that every implementation passes.
//
// Writes are compare-and-set on Job.Rev, so that no writer overwrites what it has not seen, and a
// write is on disk when it returns. Time comes in as a parameter.
package store

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// Store is a registry. Its methods are safe for concurrent use. A write that has begun is carried
// out even when its context is cancelled; the caller then learns only that it stopped waiting.
type Store interface {
	Jobs
	Queues
	Changes
	Retention
	Node
	Access
	Stats
	Hooks
	io.Closer
}

// Jobs is the record of jobs.
type Jobs interface {
	// AddJobs adds all or none and numbers them in order. It sets ID, Rev and EnvID of the given
	// jobs. Errors: job.NotFound (queue), job.Conflict (key), job.Exhausted (limit, disk), all
	// with Line.
	AddJobs(ctx context.Context, p AddJobs) (Added, error)
	// Commit applies updates, each by itself, in one transaction with the runner's cursor.
	Commit(ctx context.Context, c Commit) (Committed, error)

	// Job returns one job. Errors: job.NotFound.
	Job(ctx context.Context, id int64) (*job.Job, error)
	// JobByKey returns the job with the key, which is free again once its job is deleted. Errors:
	// job.NotFound.
	JobByKey(ctx context.Context, key string) (*job.Job, error)
	// ListJobs returns one page by keyset cursor. Errors: job.Invalid (cursor, limit).
	ListJobs(ctx context.Context, f job.Filter) (job.Page, error)
	// Candidates returns the first n queued jobs of a queue in the order they shall start:
	// Head descending, Priority descending, ID ascending. Its cost does not grow with the backlog.
	Candidates(ctx context.Context, queue string, n int) ([]*job.Job, error)
	// LiveJobs returns every job that is Starting, Running, Paused or Stopping.
	LiveJobs(ctx context.Context) ([]*job.Job, error)
	// OnRecord returns which of the numbers from from to to are those of jobs on record, ascending.
	OnRecord(ctx context.Context, from, to int64) ([]int64, error)
	// Env returns a captured environment, KEY=VALUE sorted by key; none for id 0. An id never comes to
	// stand for another environment, also when its own was dropped with its last job.
	Env(ctx context.Context, id int64) ([]string, error)
	// Attempts returns the archived attempts of a job, oldest first.
	Attempts(ctx context.Context, id int64) ([]job.Attempt, error)
	// ImportJobs writes records as they are, numbers included, all or none; ID 0 takes the next
	// number, which is then above every one imported. It asks for the records one by one while it
	// writes, so that they need not be in memory together, and sets ID, Rev and EnvID of each job.
	// Errors: job.Conflict (a number or key that is taken, or given twice), job.NotFound (queue),
	// job.Invalid (number), all with Line; and the first error that jobs yields.
	ImportJobs(ctx context.Context, jobs iter.Seq2[Imported, error], at time.Time) error
	// NextID returns the number that the next job gets.
	NextID() int64
	// SkipIDs makes next the number of the next job where it is higher than that: a registry that
	// is rebuilt must not give out numbers of jobs that were purged.
	SkipIDs(ctx context.Context, next int64) error
}

// Imported is a record to write as it is.
type Imported struct {
	Job      *job.Job
	Attempts []job.Attempt // the archived ones, oldest first
}

// NewJob is a job to add: every field but ID, Rev and EnvID is set by the caller.
type NewJob struct {
	Job *job.Job
	Env []string // KEY=VALUE sorted by key; stored once for all jobs that share it
}

// AddJobs is an atomic addition.
type AddJobs struct {
	Jobs []NewJob
	At   time.Time
	// MaxWaiting is the most waiting jobs that may be on record afterwards; 0 = no limit.
	MaxWaiting int64
	// TypeLimits is how many jobs of a type may be on record afterwards. Ended ones are purged,
	// oldest first, to make room; where that is not enough the addition is refused.
	TypeLimits map[string]int64
}

// Added is the outcome of AddJobs.
type Added struct {
	Purged []Purged // evicted by TypeLimits: the caller removes their logs
}

// Update replaces one job's record.
type Update struct {
	// Job is the record as it shall be. Its Rev is that of the record it replaces; on success
	// Commit raises it by one. A different Rev on record is a conflict; so is a queue that has
	// been deleted meanwhile, unless the job is ended.
	Job *job.Job
	// From is the state on record; the move to Job.State must be legal or no move.
	From job.State
	// Archive keeps the attempt that Job's new one replaces.
	Archive *job.Attempt
	// Kind is what the change is called; "" = job.JobChanged. With job.JobReported nothing but what the
	// running job says of itself has changed: no field that jobs are selected, ordered or counted by.
	Kind job.ChangeKind
}

// Commit is a group of updates on disk together.
type Commit struct {
	Updates []Update
	Cursor  *Cursor // the runner's events accounted for by these updates
	// Deliveries are those of hooks whose commands' ends are among the events: see Hooks.SetDeliveries.
	Deliveries []DeliveryUpdate
	At         time.Time
	// Vital marks what must be recorded even on a full disk (exits): it is never grouped with
	// additions and may use the room kept in reserve. While that is in use, a commit that is not
	// vital is refused: job.Exhausted.
	Vital bool
}

// Committed is the outcome of Commit.
type Committed struct {
	Conflicts []int64 // jobs whose update was not applied: read again and decide anew
}

// Queues is the record of queues. The queue job.DefaultQueue always exists.
type Queues interface {
	// Queues returns all by name, without counts.
	Queues(ctx context.Context) ([]job.Queue, error)
	// AddQueue records a new queue. Errors: job.Conflict.
	AddQueue(ctx context.Context, q job.Queue, at time.Time) error
	// SetQueue replaces a queue's settings. Errors: job.NotFound.
	SetQueue(ctx context.Context, q job.Queue, at time.Time) error
	// DeleteQueue removes a queue without waiting or live jobs. Errors: job.NotFound, job.WrongState.
	DeleteQueue(ctx context.Context, name string, at time.Time) error
	// Counts returns the counters, in constant time and consistent with each other.
	Counts() Counts
}

// Counts is how many jobs there are, kept with every write.
type Counts struct {
	ByQueue map[string]map[job.State]int64
	ByType  map[string]map[job.State]int64
}

// Changes is the one stream of changes in commit order. OnCommit of the implementation's options
// tells when there are new ones.
type Changes interface {
	// Seq returns the number of the last committed change, 0 for none.
	Seq() uint64
	// Changes returns up to limit changes with Seq > after, oldest first. Errors: job.Exhausted
	// when some of them are pruned already.
	Changes(ctx context.Context, after uint64, limit int) ([]job.Change, error)
	// PruneChanges forgets up to limit changes with Seq <= upTo and returns how many went.
	PruneChanges(ctx context.Context, upTo uint64, limit int) (int, error)
}

// Retention takes records away for good. Live and waiting jobs are never taken.
type Retention interface {
	// Purge removes up to p.Limit ended jobs, those that ended first going first.
	Purge(ctx context.Context, p Purge) ([]Purged, error)
}

// Purge says which ended jobs to remove.
type Purge struct {
	States      []job.State // ended states
	EndedBefore time.Time   // zero = at any time
	// Keep is how many jobs in States stay whatever their age; used with a zero EndedBefore.
	Keep  int64
	Limit int
	At    time.Time
}

// Purged is a record that is gone; what else belongs to it (logs) is the caller's to remove.
type Purged struct {
	ID       int64
	Attempts int     // its logs are those of the attempts 1 to Attempts
	Hooks    []int64 // and those of these deliveries, where they were commands
}

// Cursor is how far the runner's events are accounted for.
type Cursor struct {
	Journal string // identity of the runner's journal
	BootID  string // of the boot in which the runner wrote it
	Seq     uint64
}

// Node is what one machine's daemon remembers.
type Node interface {
	// RegistryID returns the registry's random identity, made with it.
	RegistryID() string
	// NextEpoch makes the epoch one higher than it was, and higher than above, and returns it.
	NextEpoch(ctx context.Context, above uint64) (uint64, error)
	// Cursor returns the last committed cursor, zero for none.
	Cursor(ctx context.Context) (Cursor, error)
}
