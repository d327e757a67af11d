package job

import "time"

// Queue is a named line of jobs.
type Queue struct {
	Name        string    `json:"name"`
	Concurrency int       `json:"concurrency"` // most jobs live at once; 0 = no limit of its own
	Paused      bool      `json:"paused"`      // starts nothing; what runs goes on
	Start       StartMode `json:"start"`
	CreatedAt   time.Time `json:"created_at"`

	// Counts of its jobs by state, deleted ones left out; filled in when a queue is read.
	Jobs map[State]int64 `json:"jobs,omitempty"`
}

// StartMode says how new jobs of a queue begin.
type StartMode string

// Start modes.
const (
	StartAuto   StartMode = "auto"   // queued at once
	StartManual StartMode = "manual" // held until `job start`
)

// QueueUpdate changes a queue; nil leaves a field as it is.
type QueueUpdate struct {
	Concurrency *int       `json:"concurrency,omitempty"`
	Paused      *bool      `json:"paused,omitempty"`
	Start       *StartMode `json:"start,omitempty"`
}
