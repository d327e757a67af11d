package jsonl

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// legacyType is the type of the jobs of the Python service: its job classes cannot run here.
const legacyType = "legacy"

// legacyStates are the Python service's states by number.
var legacyStates = []string{"PENDING", "RUNNING", "COMPLETED", "ERROR", "STOPPED", "DELETED"}

// legacyJob is a line of the Python service's registry.jsonl.
type legacyJob struct {
	JobID       json.RawMessage `json:"job_id"` // string or number
	Status      json.RawMessage `json:"status"` // name or number
	Progress    json.RawMessage `json:"progress"`
	Description json.RawMessage `json:"description"`
	Result      json.RawMessage `json:"result"`
	CreatedAt   json.RawMessage `json:"created_at"`
	UpdatedAt   json.RawMessage `json:"updated_at"`
	StartedAt   json.RawMessage `json:"started_at"`
	CompletedAt json.RawMessage `json:"completed_at"`
}

// legacyPlace is the newest line of a job: the service appended one for each change.
type legacyPlace struct {
	n     int
	place place
}

// legacyLine is a line with its number.
type legacyLine struct {
	n   int
	job legacyJob
}

func (im *importer) legacyLine(n int, offset int64, line []byte) error {
	var l legacyJob
	if err := json.Unmarshal(line, &l); err != nil {
		return badLine(n, err)
	}
	id, err := text(l.JobID)
	if err != nil || id == "" {
		return badLine(n, fmt.Errorf("job_id is %s: want a string or a number", l.JobID))
	}
	im.legacy[id] = legacyPlace{n: n, place: im.in.place(offset, line)}
	return nil
}

// legacyJob reads a job's newest line.
func (im *importer) legacyJob(id string) (*legacyLine, error) {
	p := im.legacy[id]
	text, err := im.in.text(p.place)
	if err != nil {
		return nil, badLine(p.n, err)
	}
	l := &legacyLine{n: p.n}
	if err := json.Unmarshal(text, &l.job); err != nil {
		return nil, badLine(p.n, err)
	}
	return l, nil
}

// planLegacy takes the jobs of the Python service, in the order of their newest lines.
func (im *importer) planLegacy(ctx context.Context) error {
	if len(im.legacy) == 0 {
		return nil
	}
	imported, err := im.importedBefore(ctx)
	if err != nil {
		return err
	}
	ids := slices.SortedFunc(maps.Keys(im.legacy), func(a, b string) int { return im.legacy[a].n - im.legacy[b].n })
	for _, id := range ids {
		l, err := im.legacyJob(id)
		if err != nil {
			return err
		}
		j, err := im.legacyRecord(id, l)
		if err != nil {
			return err
		}
		if there := imported[j.Name]; there != nil {
			j.ID = there.ID
			if same(store.NewRecord(there), store.NewRecord(j)) {
				im.summary.Unchanged++
				continue
			}
			j.ID = 0
		}
		if j.Key != "" && im.keys[j.Key] {
			im.warn(l.n, "the key %q of job_id %s is another job's; it was left out", j.Key, id)
			j.Key = ""
		}
		im.keys[j.Key] = true
		if err := im.checkKey(ctx, j, l.n); err != nil {
			return err
		}
		im.others = append(im.others, j)
		im.summary.Legacy++
		if j.State == job.Held {
			im.summary.Held++
		}
	}
	return nil
}

// importedBefore returns the jobs that an earlier import has left, by name.
func (im *importer) importedBefore(ctx context.Context) (map[string]*job.Job, error) {
	byName := map[string]*job.Job{}
	if len(im.r.Counts().ByType[legacyType]) == 0 {
		return byName, nil
	}
	f := job.Filter{Types: []string{legacyType}, States: job.States, Limit: job.MaxLimit}
	for {
		page, err := im.r.ListJobs(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, j := range page.Jobs {
			byName[j.Name] = j
		}
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			return byName, nil
		}
	}
}

// legacyRecord makes a record of a line.
func (im *importer) legacyRecord(id string, l *legacyLine) (*job.Job, error) {
	j := &job.Job{Name: "job_id " + id, Queue: job.DefaultQueue, Type: legacyType, MaxAttempts: 1, Owner: im.o.Owner, UID: im.o.UID, GID: im.o.GID}
	if j.Owner == "" {
		j.UID, j.GID = uint32(os.Getuid()), uint32(os.Getgid())
		j.Owner = strconv.Itoa(os.Getuid())
	}
	im.legacyKey(j, id, l.n)
	state, err := legacyState(l.job.Status)
	if err != nil {
		return nil, badLine(l.n, err)
	}
	im.legacyTimes(j, l)
	legacyOutcome(j, state)
	im.legacyProgress(j, l)
	if !null(l.job.Description) {
		if j.StatusText, err = text(l.job.Description); err != nil {
			j.StatusText = string(l.job.Description)
		}
	}
	if !null(l.job.Result) {
		j.Result = l.job.Result
	}
	return j, nil
}

// legacyKey makes the job_id the key. A number, which would be read as a job's number, gets a
// prefix; what can't be a key is only in the name.
func (im *importer) legacyKey(j *job.Job, id string, line int) {
	key := id
	if _, err := strconv.ParseFloat(id, 64); err == nil {
		key = "job_id-" + id
	}
	if job.CheckKey(key) == nil {
		j.Key = key
		return
	}
	j.Name = fmt.Sprintf("job_id %q", id) // quoted, as it may hold control characters
	im.warn(line, "job_id %q can't be a key; it is in the name only", id)
}

func legacyState(status json.RawMessage) (string, error) {
	s, err := text(status)
	if err != nil || s == "" {
		return "", fmt.Errorf("status is %s: want one of %v or 0 to 5", status, legacyStates)
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n < len(legacyStates) {
		return legacyStates[n], nil
	}
	name := strings.ToUpper(s[strings.LastIndexByte(s, '.')+1:]) // "JobStatus.PENDING" too
	if !slices.Contains(legacyStates, name) {
		return "", fmt.Errorf("status is %s: want one of %v or 0 to 5", status, legacyStates)
	}
	return name, nil
}

// legacyOutcome says what has become of a job. Its exit code was never recorded and is not guessed.
func legacyOutcome(j *job.Job, state string) {
	switch state {
	case "PENDING":
		j.State = job.Held
	case "RUNNING":
		j.State, j.Reason = job.Failed, job.ReasonLost
		j.Error = "it was running when the Python service's file was written; what became of it is not known"
	case "COMPLETED":
		j.State = job.Completed
	case "ERROR":
		j.State = job.Failed
	case "STOPPED":
		j.State, j.Reason = job.Stopped, job.ReasonUser
	case "DELETED":
		j.State = job.Deleted
	}
	if j.State != job.Held {
		j.Attempt = 1
	}
}

func (im *importer) legacyTimes(j *job.Job, l *legacyLine) {
	created, updated := im.legacyTime(l, "created_at", l.job.CreatedAt), im.legacyTime(l, "updated_at", l.job.UpdatedAt)
	j.StartedAt, j.FinishedAt = im.legacyTime(l, "started_at", l.job.StartedAt), im.legacyTime(l, "completed_at", l.job.CompletedAt)
	for _, t := range []time.Time{created, j.StartedAt, updated, j.FinishedAt} {
		if !t.IsZero() {
			j.CreatedAt = t
			break
		}
	}
	if j.CreatedAt.IsZero() {
		im.warn(l.n, "no time is known; created_at is the time of the import")
		j.CreatedAt = im.now
	}
	if state, err := legacyState(l.job.Status); err == nil && j.FinishedAt.IsZero() && state != "PENDING" {
		j.FinishedAt = updated
	}
}

// legacyLayouts are what Python's isoformat and str write; without a zone the time is UTC.
var legacyLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999"}

// legacyTime reads a time: ISO 8601, or seconds since 1970.
func (im *importer) legacyTime(l *legacyLine, field string, raw json.RawMessage) time.Time {
	if null(raw) {
		return time.Time{}
	}
	s, err := text(raw)
	if err == nil {
		if seconds, err := strconv.ParseFloat(s, 64); err == nil && seconds >= 0 && seconds < 1e11 {
			return time.UnixMicro(int64(math.Round(seconds * 1e6))).UTC()
		}
		for _, layout := range legacyLayouts {
			if t, err := time.Parse(layout, s); err == nil {
				return t.UTC().Truncate(time.Microsecond)
			}
		}
	}
	im.warn(l.n, "%s is %s, which is no time; it was left out", field, raw)
	return time.Time{}
}

func (im *importer) legacyProgress(j *job.Job, l *legacyLine) {
	if null(l.job.Progress) {
		return
	}
	s, err := text(l.job.Progress)
	p, err2 := strconv.ParseFloat(s, 64)
	if err != nil || err2 != nil || !(p >= 0 && p <= 100) {
		im.warn(l.n, "progress is %s, which is not from 0 to 100; it was left out", l.job.Progress)
		return
	}
	progress := int(p)
	j.Progress = &progress
}

func null(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// text returns a JSON string or number as it reads.
func text(raw json.RawMessage) (string, error) {
	if len(raw) > 0 && raw[0] == '"' {
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	}
	var n json.Number
	if err := json.Unmarshal(raw, &n); err != nil {
		return "", err
	}
	return n.String(), nil
}
