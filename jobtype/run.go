package jobtype

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Sizes of results, in bytes of JSON. One that is larger than what a datagram takes goes by a file.
const (
	maxDatagramResult = 64 << 10
	MaxResult         = 1 << 20
)

// Run is one run of a job: what it is, and how it tells of itself. Its methods may be called from
// any goroutine, as often as one likes.
type Run struct {
	ID      string          // the run's own, never used again
	JobID   int64           // 0 where no daemon started it
	Attempt int             // 1 for the first
	Queue   string          // the job runs in
	Params  json.RawMessage // as the job was added with, defaults and secrets included
	Dir     string          // the run's own folder, which goes with it

	reports *reporter
	log     *slog.Logger
	filed   bool // a result went by file: so must all after it, for the file wins
}

// Progress tells how far the job is, in percent from 0 to 100, and what it does now; "" leaves the
// text as it is. It costs less than a microsecond: what is told is sent at most 20 times a second, and
// the last of it always before the job ends. Shown progress never goes back.
func (r *Run) Progress(percent int, status string) {
	r.reports.change(func(m *message) {
		m.progress = min(max(percent, 0), 100)
		if status != "" {
			m.status = status
		}
	})
}

// Status tells what the job does now, in a line of at most 1024 bytes.
func (r *Run) Status(text string) {
	r.reports.change(func(m *message) { m.status = text })
}

// Alive tells that the job is at work, for a job type with a watchdog. Progress and Status do that too.
func (r *Run) Alive() { r.reports.change(func(*message) {}) }

// Result puts v, as JSON, on the job's record; a later one replaces it. Errors: v is no JSON, or
// more than MaxResult bytes of it; the folder of the run can't be written.
func (r *Run) Result(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("the result is no JSON: %w", err)
	}
	if len(text) > MaxResult {
		return fmt.Errorf("the result is %d bytes of JSON and may be %d: put it into a file and name that in the result", len(text), MaxResult)
	}
	r.reports.mu.Lock()
	defer r.reports.mu.Unlock()
	if len(text) > maxDatagramResult || r.filed {
		if r.Dir == "" {
			return fmt.Errorf("the result is %d bytes of JSON, and the run has no folder that takes more than %d", len(text), maxDatagramResult)
		}
		if err := putFile(filepath.Join(r.Dir, "result.json"), text); err != nil {
			return fmt.Errorf("the result can't be written: %w", err)
		}
		r.filed = true
		return nil
	}
	r.reports.now.result = text
	r.reports.changedLocked()
	return nil
}

// putFile puts a file in place as a whole.
func putFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".result-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Logger returns a logger that writes into the job's log.
func (r *Run) Logger() *slog.Logger { return r.log }

// newRun returns the run that the environment tells of.
func newRun(get func(string) string, stderr io.Writer) (*Run, error) {
	r := &Run{ID: get("QUEUEMGR_RUN_ID"), Queue: get("QUEUEMGR_QUEUE"), Dir: get("QUEUEMGR_DIR"),
		reports: newReporter(get("NOTIFY_SOCKET"), get("QUEUEMGR_RUN_ID"), stderr),
		log:     slog.New(slog.NewTextHandler(stderr, nil))}
	r.JobID, _ = strconv.ParseInt(get("QUEUEMGR_JOB_ID"), 10, 64) // none where no daemon started it
	r.Attempt, _ = strconv.Atoi(get("QUEUEMGR_ATTEMPT"))
	file := get("QUEUEMGR_PARAMS")
	if file == "" {
		return r, errors.New("QUEUEMGR_PARAMS is not set: queuemgr does that for a job; to try a job type by hand, put its parameters into a file and set QUEUEMGR_PARAMS to its name")
	}
	var err error
	if r.Params, err = os.ReadFile(file); err != nil {
		return r, fmt.Errorf("the job's parameters can't be read: %w", err)
	}
	return r, nil
}

// lookup returns the value of a variable in environ, the last one winning.
func lookup(environ []string) func(string) string {
	return func(name string) (value string) {
		for _, e := range environ {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				value = v
			}
		}
		return value
	}
}
