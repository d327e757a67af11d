package sqlite

import (
	"bytes"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// row is a job ready to be written. It is made by the caller's goroutine, so that the writer does
// not encode, and shares no memory with the caller's job.
type row struct {
	id       int64
	rev      int64 // of the record it replaces
	state    job.State
	queue    string
	typ      string
	priority int64
	head     int64
	key      driver.Value // nil = none
	owner    string
	tags     driver.Value // nil = none
	search   string
	ended    int64 // of an imported record: when it ended, 0 = not known
	doc      string
	archived []archived // attempts that are archived with it
}

// archived is an attempt ready to be written.
type archived struct {
	attempt int64
	doc     string
}

func newArchived(a *job.Attempt) (archived, error) {
	doc, err := json.Marshal(a)
	if err != nil {
		return archived{}, fmt.Errorf("encode attempt %d of job %d: %w", a.Attempt, a.JobID, err)
	}
	return archived{attempt: int64(a.Attempt), doc: string(doc)}, nil
}

// changeDoc returns the record as its change has it: with the attempts that are archived with it.
func (r *row) changeDoc() string {
	if len(r.archived) == 0 {
		return r.doc
	}
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(r.doc, "}"))
	for i := range r.archived {
		b.WriteString([]string{`,"attempts":[`, ","}[min(i, 1)])
		b.WriteString(r.archived[i].doc)
	}
	b.WriteString("]}")
	return b.String()
}

// archive writes the attempts that are archived with r.
func (r *row) archive(t *tx) error {
	for i := range r.archived {
		if _, err := t.conn.exec("INSERT INTO attempts (job_id, attempt, doc) VALUES (?, ?, ?)", r.id, r.archived[i].attempt, r.archived[i].doc); err != nil {
			return err
		}
	}
	return nil
}

// noID is how the JSON of a job without a number begins: the number is put in by whoever reads.
const noID = `{"id":0,`

// newRow makes the row of a job.
func newRow(j *job.Job) (row, error) {
	r, err := newColumns(j)
	if err == nil {
		r.doc, err = encodeJob(j)
	}
	return r, err
}

// newColumns makes the row of a job, but for its doc.
func newColumns(j *job.Job) (row, error) {
	r := row{id: j.ID, rev: int64(j.Rev), state: j.State, queue: j.Queue, typ: j.Type, priority: int64(j.Priority),
		head: j.Head, owner: j.Owner, search: searchText(j)}
	if j.Key != "" && j.State != job.Deleted { // a deleted job's key is free again
		r.key = j.Key
	}
	if len(j.Tags) > 0 {
		tags, err := json.Marshal(j.Tags)
		if err != nil {
			return row{}, fmt.Errorf("encode the tags of job %s: %w", nameOf(j), err)
		}
		r.tags = string(tags)
	}
	return r, nil
}

// encodeJob makes the doc of a job's row.
func encodeJob(j *job.Job) (string, error) {
	c := *j
	c.ID = 0
	body, err := json.Marshal(store.NewRecord(&c))
	if err != nil {
		return "", &job.Error{Code: job.Invalid, Message: fmt.Sprintf("the job %s can't be encoded: %v", nameOf(j), err),
			Hint: "params and result must be JSON", JobID: j.ID, Err: err}
	}
	if !bytes.HasPrefix(body, []byte(noID)) {
		return "", fmt.Errorf("encode job: its JSON begins with %.20s and not with its number", body)
	}
	body = body[len(noID)-1:]
	body[0] = '{'
	return string(body), nil
}

// searchText is what Filter.Name is looked for in.
func searchText(j *job.Job) string {
	return strings.ToLower(j.Name + "\n" + strings.Join(j.Command, " "))
}

func nameOf(j *job.Job) string {
	if j.ID != 0 {
		return fmt.Sprint(j.ID)
	}
	return fmt.Sprintf("%q", j.Name)
}

// jobColumns are what scanJob reads.
const jobColumns = "id, rev, env_id, doc"

// newJob makes a job of its columns.
func newJob(id, rev, envID int64, doc []byte) (*job.Job, error) {
	j, err := store.ParseRecord(doc)
	if err != nil {
		return nil, fmt.Errorf("read the record of job %d: %w", id, err)
	}
	j.ID, j.Rev, j.EnvID = id, uint64(rev), envID
	return j, nil
}

// scanJob reads jobColumns.
func scanJob(scan func(...any) error) (*job.Job, error) {
	var id, rev, envID int64
	var doc []byte
	if err := scan(&id, &rev, &envID, &doc); err != nil {
		return nil, err
	}
	return newJob(id, rev, envID, doc)
}

// micros is a time as its column holds it.
func micros(t time.Time) int64 { return t.UnixMicro() }

// env is a captured environment ready to be written; nil is the empty one.
type env struct {
	hash [sha256.Size]byte
	text []byte
}

func newEnv(entries []string) *env {
	if len(entries) == 0 {
		return nil
	}
	var b bytes.Buffer
	for _, e := range entries {
		b.WriteString(e)
		b.WriteByte(0)
	}
	return &env{hash: sha256.Sum256(b.Bytes()), text: b.Bytes()}
}

func (e *env) entries() []string {
	return strings.Split(strings.TrimSuffix(string(e.text), "\x00"), "\x00")
}
