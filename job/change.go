package job

import (
	"encoding/json"
	"strconv"
	"time"
)

// ChangeKind says what a change did.
type ChangeKind string

// Kinds of changes.
const (
	JobAdded     ChangeKind = "added"
	JobChanged   ChangeKind = "changed"
	JobReported  ChangeKind = "reported" // nothing but what the running job says of itself has changed
	JobPurged    ChangeKind = "purged"   // the record is gone: retention
	QueueSet     ChangeKind = "queue_set"
	QueueDeleted ChangeKind = "queue_deleted"
)

// Change is one change of the registry in commit order. Its JSON is one flat object: seq, at and
// change, followed by the job's fields as they are after it, or by "queue_config" for a queue.
// It is what registry.jsonl holds and what the event stream sends.
type Change struct {
	Seq   uint64     // grows by one with each change of a registry
	At    time.Time  // of the commit
	Kind  ChangeKind //
	JobID int64      // 0 for a queue's change
	State State      // the job's, after the change
	Was   State      // the job's before it, "" where it was not on record; not part of JSON
	Queue string     // the job's queue, or the queue that changed
	JSON  json.RawMessage
}

// MarshalJSON returns the flat object.
func (c Change) MarshalJSON() ([]byte, error) { return c.JSON, nil }

// changeFields are the fields of a change's JSON that are no job's.
type changeFields struct {
	Seq         uint64     `json:"seq"`
	At          time.Time  `json:"at"`
	Kind        ChangeKind `json:"change"`
	ID          int64      `json:"id"`
	State       State      `json:"state"`
	Queue       string     `json:"queue"`
	QueueConfig *Queue     `json:"queue_config"`
}

// ParseChange reads a change from its JSON.
func ParseChange(line []byte) (Change, error) {
	var f changeFields
	if err := json.Unmarshal(line, &f); err != nil {
		return Change{}, err
	}
	c := Change{Seq: f.Seq, At: f.At, Kind: f.Kind, JobID: f.ID, State: f.State, Queue: f.Queue, JSON: json.RawMessage(line)}
	if f.QueueConfig != nil {
		c.Queue = f.QueueConfig.Name
	}
	return c, nil
}

// Job returns the job's record in the change, nil for a change of a queue.
func (c Change) Job() (*Job, error) {
	if c.JobID == 0 {
		return nil, nil
	}
	j := new(Job)
	if err := json.Unmarshal(c.JSON, j); err != nil {
		return nil, err
	}
	return j, nil
}

// QueueConfig returns the queue in the change, nil for a change of a job.
func (c Change) QueueConfig() (*Queue, error) {
	var f changeFields
	if err := json.Unmarshal(c.JSON, &f); err != nil {
		return nil, err
	}
	return f.QueueConfig, nil
}

// NewQueueChange makes the change that leaves a queue as q.
func NewQueueChange(seq uint64, at time.Time, kind ChangeKind, q *Queue) (Change, error) {
	c := *q
	c.Jobs = nil
	body, err := json.Marshal(struct {
		QueueConfig *Queue `json:"queue_config"`
	}{&c})
	if err != nil {
		return Change{}, err
	}
	b := make([]byte, 0, 512)
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"at":"`...)
	b = at.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","change":"`...)
	b = append(b, kind...)
	b = append(b, `",`...)
	return Change{Seq: seq, At: at, Kind: kind, Queue: q.Name, JSON: append(b, body[1:]...)}, nil
}
