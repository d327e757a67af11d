package jsonl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
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
	im := &importer{o: o, now: o.Now().UTC().Truncate(time.Microsecond), r: r, in: newInput(in),
		empty: r.NextID() == 1, jobs: map[int64]version{}, attempts: map[int64]map[int]job.Attempt{}, queues: map[string]version{}, legacy: map[string]legacyPlace{}, keys: map[string]bool{}}
	if err := im.read(); err != nil {
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
	gone       bool // purged or deleted
	place      place
}

func (v version) newer(than version) bool {
	return v.generation > than.generation || v.generation == than.generation && v.seq >= than.seq
}

// importer is one import.
type importer struct {
	o   ImportOptions
	now time.Time
	r   Registry
	in  *input

	empty      bool   // the registry never had a job: nothing can be in the way
	registry   string // whose lines are read
	generation int
	nextID     int64
	jobs       map[int64]version
	queues     map[string]version
	attempts   map[int64]map[int]job.Attempt // archived ones, by job and number
	legacy     map[string]legacyPlace        // by job_id as it is written

	newQueues []job.Queue
	setQueues []job.Queue
	ours      []int64         // of jobs, those to write
	keys      map[string]bool // theirs, where they matter
	others    []*job.Job      // of legacy, those to write
	summary   Summary
}

// maxNumber is the highest number that is taken over from a file: above it JSON loses digits, and
// no registry gets that far by counting.
const maxNumber = 1 << 53

func (im *importer) warn(line int, format string, args ...any) {
	im.summary.Warnings = append(im.summary.Warnings, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
}

// read takes in the lines.
func (im *importer) read() error {
	torn, err := readLines(im.in.r, im.line)
	if torn {
		im.summary.Unread = 1
	}
	return err
}

func (im *importer) line(n int, offset int64, line []byte) error {
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
		return im.change(n, offset, line)
	case len(kind.JobID) > 0:
		return im.legacyLine(n, offset, line)
	}
	return badLine(n, errors.New("it has neither change, as queuemgr writes it, nor job_id, as the Python service did"))
}

func (im *importer) header(n int, line []byte) error {
	var h header
	if err := json.Unmarshal(line, &h); err != nil {
		return badLine(n, err)
	}
	if h.NextID > maxNumber {
		return badLine(n, fmt.Errorf("next_id is %d: want at most %d", h.NextID, int64(maxNumber)))
	}
	if h.RegistryID != im.registry {
		im.registry = h.RegistryID
		im.generation++
	}
	im.nextID = max(im.nextID, h.NextID)
	return nil
}

func (im *importer) change(n int, offset int64, line []byte) error {
	c, err := job.ParseChange(line)
	if err != nil {
		return badLine(n, err)
	}
	v := version{generation: im.generation, seq: c.Seq, line: n, gone: c.Kind == job.JobPurged || c.Kind == job.QueueDeleted, place: im.in.place(offset, line)}
	switch c.Kind {
	case job.JobAdded, job.JobChanged, job.JobReported, job.JobPurged:
		if c.JobID < 1 || c.JobID > maxNumber {
			return badLine(n, fmt.Errorf("job number %d: want 1 to %d", c.JobID, int64(maxNumber)))
		}
		im.nextID = max(im.nextID, c.JobID+1)
		if v.newer(im.jobs[c.JobID]) {
			im.jobs[c.JobID] = v
		}
		return im.archived(n, c.JobID, line)
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

// archived takes in the attempts that a line tells of.
func (im *importer) archived(n int, id int64, line []byte) error {
	attempts, err := store.AttemptsOf(line)
	if err != nil {
		return badLine(n, err)
	}
	for _, a := range attempts {
		if a.Attempt < 1 {
			return badLine(n, fmt.Errorf("attempt %d of job %d: want 1 or more", a.Attempt, id))
		}
		if im.attempts[id] == nil {
			im.attempts[id] = map[int]job.Attempt{}
		}
		a.JobID = id
		im.attempts[id][a.Attempt] = a
	}
	return nil
}

// attemptsOf returns the archived attempts of a job, oldest first.
func (im *importer) attemptsOf(id int64) []job.Attempt {
	var attempts []job.Attempt
	for _, n := range slices.Sorted(maps.Keys(im.attempts[id])) {
		attempts = append(attempts, im.attempts[id][n])
	}
	return attempts
}

// plan decides what to write and refuses what can't be.
func (im *importer) plan(ctx context.Context) error {
	have, err := im.planQueues(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(im.jobs)) {
		if !im.jobs[id].gone {
			if err := im.planJob(ctx, id, have); err != nil {
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
		if v.gone {
			continue
		}
		q, err := im.queue(v)
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

// queue returns the settings that a line holds.
func (im *importer) queue(v version) (*job.Queue, error) {
	text, err := im.in.text(v.place)
	if err != nil {
		return nil, err
	}
	return job.Change{JSON: text}.QueueConfig()
}

// same reports whether two values are the same as JSON.
func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// record returns one of our own jobs as its line has it.
func (im *importer) record(v version) (*job.Job, error) {
	text, err := im.in.text(v.place)
	if err != nil {
		return nil, badLine(v.line, err)
	}
	j, err := store.ParseRecord(text)
	if err != nil {
		return nil, badLine(v.line, err)
	}
	if _, err := job.ParseState(string(j.State)); err != nil {
		return nil, badLine(v.line, err)
	}
	if err := job.CheckQueueName(j.Queue); err != nil {
		return nil, badLine(v.line, err)
	}
	return j, nil
}

// hold makes a waiting job one that is held, as it arrives.
func hold(j *job.Job) {
	if j.State.Waiting() {
		j.State, j.QueuedAt, j.Head, j.WaitReason = job.Held, time.Time{}, 0, ""
	}
}

// planJob takes one of our own jobs.
func (im *importer) planJob(ctx context.Context, id int64, queues map[string]bool) error {
	v := im.jobs[id]
	j, err := im.record(v)
	if err != nil {
		return err
	}
	original := *j
	hold(j)
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
	if original.State.Waiting() {
		im.summary.Held++
	}
	if err := im.checkKey(ctx, j, v.line); err != nil {
		return err
	}
	if len(im.legacy) > 0 {
		im.keys[j.Key] = true
	}
	im.ours = append(im.ours, id)
	return nil
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

// checkKey refuses a key that is another's on record. A deleted job holds no key.
func (im *importer) checkKey(ctx context.Context, j *job.Job, line int) error {
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
	return nil
}

// records yields what is to be written, and sets line to that of the record it has yielded last.
func (im *importer) records(line *int) iter.Seq2[store.Imported, error] {
	return func(yield func(store.Imported, error) bool) {
		for _, id := range im.ours {
			v := im.jobs[id]
			j, err := im.record(v)
			if err == nil {
				hold(j)
			}
			*line = v.line
			if !yield(store.Imported{Job: j, Attempts: im.attemptsOf(id)}, err) {
				return
			}
		}
		*line = 0
		for _, j := range im.others {
			if !yield(store.Imported{Job: j}, nil) {
				return
			}
		}
	}
}

// write does what was planned. Queues that were made go again when the jobs can't be written.
func (im *importer) write(ctx context.Context) error {
	for i, q := range im.newQueues {
		if err := im.r.AddQueue(ctx, q, im.now); err != nil {
			return errors.Join(fmt.Errorf("import queue %s: %w", q.Name, err), im.undo(ctx, i))
		}
	}
	line := 0
	if err := im.r.ImportJobs(ctx, im.records(&line), im.now); err != nil {
		if e := (*job.Error)(nil); errors.As(err, &e) && e.Line > 0 && line > 0 {
			at := *e
			at.Line, at.Message = line, fmt.Sprintf("line %d: %s; nothing was imported", line, e.Message)
			err = &at
		}
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
	im.summary.Jobs, im.summary.Queues = len(im.ours)+len(im.others), len(im.newQueues)+len(im.setQueues)
	return nil
}

func (im *importer) undo(ctx context.Context, made int) error {
	var errs []error
	for _, q := range im.newQueues[:made] {
		errs = append(errs, im.r.DeleteQueue(ctx, q.Name, im.now))
	}
	return errors.Join(errs...)
}
