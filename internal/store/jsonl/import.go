package jsonl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// ImportOptions of Import.
type ImportOptions struct {
	Now func() time.Time // nil = time.Now
	// Owner, UID and GID own the jobs of the Python service, which knew no owners.
	Owner string
	UID   uint32
	GID   uint32
}

// Summary says what an import did.
type Summary struct {
	Jobs      int      `json:"jobs"`               // records written
	Unchanged int      `json:"unchanged"`          // records that were there already, the same
	Queues    int      `json:"queues"`             // queues made or changed
	Held      int      `json:"held"`               // of Jobs: waiting ones, now held
	Legacy    int      `json:"legacy"`             // of Jobs: those of the Python service
	Unread    int      `json:"unread,omitempty"`   // torn lines at the end that were left out
	Warnings  []string `json:"warnings,omitempty"` // what was odd, with its line
}

// Import reads the lines of registry.jsonl, of Export or of the Python service, also mixed, into a
// registry. All is checked before anything is written: a record of a number that is on record
// otherwise refuses the whole import (job.Conflict), a line that can't be read does (job.Invalid,
// Line). Waiting jobs arrive held, since their environments are not in the file; live ones keep
// their state and run id, and re-attaching to the runner decides about them.
func Import(ctx context.Context, r Registry, in io.Reader, o ImportOptions) (Summary, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	im := &importer{o: o, now: o.Now().UTC().Truncate(time.Microsecond), r: r,
		empty: r.NextID() == 1, jobs: map[int64]version{}, queues: map[string]version{}, legacy: map[string]legacyLine{}}
	if err := im.read(in); err != nil {
		return Summary{}, err
	}
	if err := im.plan(ctx); err != nil {
		return Summary{}, err
	}
	if err := im.write(ctx); err != nil {
		return Summary{}, err
	}
	return im.summary, nil
}

// version is the newest line of a job or queue so far.
type version struct {
	generation int // seqs of different registries can't be compared: the later registry wins
	seq        uint64
	line       int
	change     job.Change
}

func (v version) newer(than version) bool {
	return v.generation > than.generation || v.generation == than.generation && v.seq >= than.seq
}

// importer is one import.
type importer struct {
	o   ImportOptions
	now time.Time
	r   Registry

	empty      bool   // the registry never had a job: nothing can be in the way
	registry   string // whose lines are read
	generation int
	nextID     int64
	jobs       map[int64]version
	queues     map[string]version
	legacy     map[string]legacyLine // by job_id as it is written

	newQueues []job.Queue
	setQueues []job.Queue
	records   []*job.Job
	summary   Summary
}

func (im *importer) warn(line int, format string, args ...any) {
	im.summary.Warnings = append(im.summary.Warnings, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
}

// read takes in the lines.
func (im *importer) read(in io.Reader) error {
	torn, err := readLines(in, im.line)
	if torn {
		im.summary.Unread = 1
	}
	return err
}

func (im *importer) line(n int, line []byte) error {
	var kind struct {
		Change *job.ChangeKind `json:"change"`
		JobID  json.RawMessage `json:"job_id"`
	}
	if err := json.Unmarshal(line, &kind); err != nil {
		return badLine(n, err)
	}
	switch {
	case kind.Change != nil && *kind.Change == snapshotKind:
		return im.header(n, line)
	case kind.Change != nil:
		return im.change(n, line)
	case len(kind.JobID) > 0:
		return im.legacyLine(n, line)
	}
	return badLine(n, errors.New("it has neither change, as queuemgr writes it, nor job_id, as the Python service did"))
}

func (im *importer) header(n int, line []byte) error {
	var h header
	if err := json.Unmarshal(line, &h); err != nil {
		return badLine(n, err)
	}
	if h.RegistryID != im.registry {
		im.registry = h.RegistryID
		im.generation++
	}
	im.nextID = max(im.nextID, h.NextID)
	return nil
}

func (im *importer) change(n int, line []byte) error {
	c, err := job.ParseChange(line)
	if err != nil {
		return badLine(n, err)
	}
	v := version{generation: im.generation, seq: c.Seq, line: n, change: c}
	switch c.Kind {
	case job.JobAdded, job.JobChanged, job.JobPurged:
		if c.JobID < 1 {
			return badLine(n, fmt.Errorf("job number %d", c.JobID))
		}
		im.nextID = max(im.nextID, c.JobID+1)
		if v.newer(im.jobs[c.JobID]) {
			im.jobs[c.JobID] = v
		}
	case job.QueueSet, job.QueueDeleted:
		if err := job.CheckQueueName(c.Queue); err != nil {
			return badLine(n, err)
		}
		if v.newer(im.queues[c.Queue]) {
			im.queues[c.Queue] = v
		}
	default:
		return badLine(n, fmt.Errorf("unknown change %q", c.Kind))
	}
	return nil
}

// plan decides what to write and refuses what can't be.
func (im *importer) plan(ctx context.Context) error {
	have, err := im.planQueues(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(im.jobs)) {
		if v := im.jobs[id]; v.change.Kind != job.JobPurged {
			if err := im.planJob(ctx, v, have); err != nil {
				return err
			}
		}
	}
	return im.planLegacy(ctx)
}

// planQueues returns the names of the queues that there will be.
func (im *importer) planQueues(ctx context.Context) (map[string]bool, error) {
	queues, err := im.r.Queues(ctx)
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, q := range queues {
		have[q.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(im.queues)) {
		v := im.queues[name]
		if v.change.Kind == job.QueueDeleted {
			continue
		}
		q, err := v.change.QueueConfig()
		if err != nil || q == nil {
			return nil, badLine(v.line, errors.Join(errors.New("the queue's settings are missing"), err))
		}
		q.Jobs = nil
		i := slices.IndexFunc(queues, func(q job.Queue) bool { return q.Name == name })
		switch {
		case i < 0:
			im.newQueues, have[name] = append(im.newQueues, *q), true
		case same(queues[i], *q):
		case im.empty:
			im.setQueues = append(im.setQueues, *q)
		default:
			im.warn(v.line, "the queue %s exists with other settings, which stay", name)
		}
	}
	return have, nil
}

// same reports whether two values are the same as JSON.
func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// planJob takes one of our own jobs.
func (im *importer) planJob(ctx context.Context, v version, queues map[string]bool) error {
	j, err := store.ParseRecord(v.change.JSON)
	if err != nil {
		return badLine(v.line, err)
	}
	if _, err := job.ParseState(string(j.State)); err != nil {
		return badLine(v.line, err)
	}
	if err := job.CheckQueueName(j.Queue); err != nil {
		return badLine(v.line, err)
	}
	original := *j
	waits := j.State.Waiting()
	if waits {
		j.State, j.QueuedAt, j.Head = job.Held, time.Time{}, 0
		j.WaitReason = "imported: held until it is started"
	}
	there, err := im.onRecord(ctx, j.ID)
	switch {
	case there == nil && err == nil:
	case err == nil && (same(store.NewRecord(there), store.NewRecord(j)) || same(store.NewRecord(there), store.NewRecord(&original))):
		im.summary.Unchanged++
		return nil
	case err == nil:
		return &job.Error{Code: job.Conflict, Message: fmt.Sprintf("line %d: job %d is on record with other content; nothing was imported", v.line, j.ID),
			Hint: "import into an empty registry: move registry.db away first", Line: v.line, JobID: j.ID}
	default:
		return err
	}
	if !queues[j.Queue] && !j.State.Ended() {
		im.warn(v.line, "the queue %s of job %d is not in the file; it was made with default settings", j.Queue, j.ID)
		im.newQueues = append(im.newQueues, job.Queue{Name: j.Queue, Start: job.StartAuto, CreatedAt: im.now})
		queues[j.Queue] = true
	}
	if waits {
		im.summary.Held++
	}
	return im.take(ctx, j, v.line)
}

// onRecord returns the job of a number, nil for none.
func (im *importer) onRecord(ctx context.Context, id int64) (*job.Job, error) {
	if im.empty {
		return nil, nil
	}
	j, err := im.r.Job(ctx, id)
	if job.CodeOf(err) == job.NotFound {
		return nil, nil
	}
	return j, err
}

// take plans a record; its key must not be another's on record. A deleted job holds no key.
func (im *importer) take(ctx context.Context, j *job.Job, line int) error {
	if j.Key != "" && j.State != job.Deleted && !im.empty {
		there, err := im.r.JobByKey(ctx, j.Key)
		if err == nil {
			return &job.Error{Code: job.Conflict, Message: fmt.Sprintf("line %d: the key %q belongs to job %d; nothing was imported", line, j.Key, there.ID),
				Hint: "import into an empty registry: move registry.db away first", Line: line, JobID: there.ID}
		}
		if job.CodeOf(err) != job.NotFound {
			return err
		}
	}
	im.records = append(im.records, j)
	return nil
}

// write does what was planned. Queues that were made go again when the jobs can't be written.
func (im *importer) write(ctx context.Context) error {
	for i, q := range im.newQueues {
		if err := im.r.AddQueue(ctx, q, im.now); err != nil {
			return errors.Join(fmt.Errorf("import queue %s: %w", q.Name, err), im.undo(ctx, i))
		}
	}
	if err := im.r.ImportJobs(ctx, im.records, im.now); err != nil {
		return errors.Join(fmt.Errorf("import the jobs: %w", err), im.undo(ctx, len(im.newQueues)))
	}
	for _, q := range im.setQueues {
		if err := im.r.SetQueue(ctx, q, im.now); err != nil {
			return fmt.Errorf("import queue %s: %w", q.Name, err)
		}
	}
	if err := im.r.SkipIDs(ctx, im.nextID); err != nil {
		return fmt.Errorf("import the next number: %w", err)
	}
	im.summary.Jobs, im.summary.Queues = len(im.records), len(im.newQueues)+len(im.setQueues)
	return nil
}

func (im *importer) undo(ctx context.Context, made int) error {
	var errs []error
	for _, q := range im.newQueues[:made] {
		errs = append(errs, im.r.DeleteQueue(ctx, q.Name, im.now))
	}
	return errors.Join(errs...)
}
