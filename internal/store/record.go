package store

import (
	"bytes"
	"encoding/json"

	"github.com/queuemgr/queuemgr/job"
)

// Record is a job as registry.jsonl and the registry's own table hold it: the public fields, and
// those that a job's JSON leaves out elsewhere but without which it cannot be rebuilt. Only Rev
// and EnvID are not in it: they mean nothing in another registry.
type Record struct {
	*job.Job
	UID  uint32   `json:"uid"`
	GID  uint32   `json:"gid"`
	Head int64    `json:"head,omitempty"`
	Want job.Want `json:"want,omitempty"`

	WantForce bool          `json:"want_force,omitempty"`
	WantGrace *job.Duration `json:"want_grace,omitempty"`
}

// AttemptsOf reads the archived attempts that the JSON of a job's change or snapshot tells of: a
// change has those that were archived with it, a snapshot all.
func AttemptsOf(text []byte) ([]job.Attempt, error) {
	if !bytes.Contains(text, []byte(`"attempts":`)) { // nearly always
		return nil, nil
	}
	var c struct {
		Attempts []job.Attempt `json:"attempts"`
	}
	err := json.Unmarshal(text, &c)
	return c.Attempts, err
}

// NewRecord returns the record of j, which it shares.
func NewRecord(j *job.Job) Record {
	return Record{Job: j, UID: j.UID, GID: j.GID, Head: j.Head, Want: j.Want, WantForce: j.WantForce, WantGrace: j.WantGrace}
}

// ParseRecord reads a job from the JSON of its record, or of a change of it.
func ParseRecord(text []byte) (*job.Job, error) {
	r := Record{Job: new(job.Job)}
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, err
	}
	r.Job.UID, r.Job.GID, r.Job.Head = r.UID, r.GID, r.Head
	r.Job.Want, r.Job.WantForce, r.Job.WantGrace = r.Want, r.WantForce, r.WantGrace
	return r.Job, nil
}
