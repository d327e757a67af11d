package job

import (
	"fmt"
	"slices"
	"strings"
)

// State is where a job stands. The legal moves between states are in the table below and nowhere else.
type State string

// States of a job.
const (
	Held      State = "held"      // waits for `job start`
	Scheduled State = "scheduled" // waits for its time
	Blocked   State = "blocked"   // waits for other jobs
	Queued    State = "queued"    // waits for a free slot
	Starting  State = "starting"  // claimed; its process may exist already
	Running   State = "running"   // its process lives
	Paused    State = "paused"    // its process is stopped for a while and keeps its slot
	Stopping  State = "stopping"  // the stop signal is on its way or sent
	Completed State = "completed" // ended with exit code 0
	Failed    State = "failed"    // ended otherwise; see Reason
	Stopped   State = "stopped"   // ended because it was asked to; see Reason
	Skipped   State = "skipped"   // never ran: a job it needed failed
	Deleted   State = "deleted"   // a record only, until retention takes it
)

// States lists every state in the order of a job's life.
var States = []State{Held, Scheduled, Blocked, Queued, Starting, Running, Paused, Stopping, Completed, Failed, Stopped, Skipped, Deleted}

// moves is the one table of legal moves. Starting may go straight to an end: a short job has
// started and ended before its start is on record.
var moves = map[State][]State{
	Held:      {Scheduled, Blocked, Queued, Stopped, Deleted},
	Scheduled: {Held, Queued, Stopped, Deleted},
	Blocked:   {Held, Scheduled, Queued, Skipped, Stopped, Deleted},
	Queued:    {Held, Scheduled, Starting, Stopped, Deleted},
	Starting:  {Running, Stopping, Queued, Completed, Failed, Stopped, Deleted},
	Running:   {Paused, Stopping, Queued, Completed, Failed, Stopped, Deleted},
	Paused:    {Running, Stopping, Queued, Completed, Failed, Stopped, Deleted},
	Stopping:  {Queued, Completed, Failed, Stopped, Deleted},
	Completed: {Queued, Deleted},
	Failed:    {Scheduled, Queued, Deleted},
	Stopped:   {Queued, Deleted},
	Skipped:   {Blocked, Queued, Deleted},
	Deleted:   {},
}

// Moves returns the states that a job in state s may move to.
func (s State) Moves() []State { return slices.Clone(moves[s]) }

// CanMove reports whether a job may go from s to next.
func (s State) CanMove(next State) bool { return slices.Contains(moves[s], next) }

// Waiting reports whether the job has no process and will get one.
func (s State) Waiting() bool {
	return s == Held || s == Scheduled || s == Blocked || s == Queued
}

// Live reports whether the job holds a slot: a process of it exists or may exist.
func (s State) Live() bool {
	return s == Starting || s == Running || s == Paused || s == Stopping
}

// Ended reports whether no process will run for the job unless it is started again.
func (s State) Ended() bool {
	return s == Completed || s == Failed || s == Stopped || s == Skipped || s == Deleted
}

// ParseState returns the state called name.
func ParseState(name string) (State, error) {
	if s := State(name); slices.Contains(States, s) {
		return s, nil
	}
	return "", &Error{Code: Invalid, Field: "state", Message: fmt.Sprintf("unknown state %q", name),
		Hint: "the states are " + joined(States)}
}

func joined[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

// Reason says why a job failed or was stopped.
type Reason string

// Reasons of Failed, then of Stopped.
const (
	ReasonExit    Reason = "exit"    // a non-zero exit code
	ReasonSignal  Reason = "signal"  // killed by a signal
	ReasonTimeout Reason = "timeout" // its time limit passed
	ReasonOOM     Reason = "oom"     // killed for its memory
	ReasonSpawn   Reason = "spawn"   // it could not be started
	ReasonLost    Reason = "lost"    // its outcome cannot be known

	ReasonUser     Reason = "user"     // somebody stopped it
	ReasonShutdown Reason = "shutdown" // the service or the machine was stopped
)

// Reasons lists every reason.
var Reasons = []Reason{ReasonExit, ReasonSignal, ReasonTimeout, ReasonOOM, ReasonSpawn, ReasonLost, ReasonUser, ReasonShutdown}
