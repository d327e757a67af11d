package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/job"
)

// reported is what running jobs say of themselves: see mailbox.putReports.
type reported struct {
	from    sender
	reports map[string]wire.Report // by run id
}

// reportPause is how long the next reports wait for each that was taken: a thousand a second are recorded,
// of which each costs a record and a change. The more jobs report, the less often each is heard; what it said
// last is recorded with its end in any case.
const reportPause = time.Millisecond

// hearReports takes down what runs say of themselves. Nothing of it is vital: the last report of a run
// comes again with its end.
func (c *core) hearReports(t *tx) {
	if c.reports != nil {
		return
	}
	in := c.in.takeReports(c.runner)
	if in == nil {
		return
	}
	changed := 0
	for id := range in.reports {
		r := in.reports[id]
		j := c.current(t, r.JobID)
		if j == nil || !j.State.Live() || j.RunID != id || j.Fence != r.Fence {
			c.o.Log.Debug("report of a run that is over", "job", r.JobID, "run", id)
			continue
		}
		said := *j
		if c.takeReport(&said, &r) {
			*t.report(j).to = said
			changed++
		}
	}
	if changed > 0 {
		c.reports = time.After(time.Duration(changed) * reportPause)
	}
}

// takeReport brings a live job's record in line with what its run has said so far, and tells whether
// that has changed anything.
func (c *core) takeReport(j *job.Job, r *wire.Report) (changed bool) {
	if p := r.Progress; p != nil {
		if now := min(max(*p, 0), 100); j.Progress == nil || now > *j.Progress {
			j.Progress, changed = &now, true
		}
	}
	if r.Status != "" && r.Status != j.StatusText {
		j.StatusText, changed = r.Status, true
	}
	if len(r.Result) > 0 && !bytes.Equal(r.Result, j.Result) {
		result, err := json.Marshal(r.Result) // as it is written on record
		switch {
		case err != nil: // the runner has checked it
			c.o.Log.Warn("the runner sends a result that is not JSON", "job", j.ID, "error", err)
		case !bytes.Equal(result, j.Result):
			j.Result, changed = result, true
		}
	}
	if notes := withRefused(j.Notes, r); !slices.Equal(notes, j.Notes) {
		j.Notes, changed = notes, true
	}
	return changed
}

// moreRefused ends the note that counts what was refused beyond what is told.
const moreRefused = " more of what it sent was refused"

// withRefused returns the notes of a job with what was refused of what it has sent. Others have notes of
// their own there.
func withRefused(notes []string, r *wire.Report) []string {
	if len(r.Refused) == 0 && r.RefusedMore == 0 {
		return notes
	}
	all := slices.DeleteFunc(slices.Clone(notes), func(n string) bool { return strings.HasSuffix(n, moreRefused) })
	for _, text := range r.Refused {
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	if r.RefusedMore > 0 {
		all = append(all, fmt.Sprint(r.RefusedMore)+moreRefused)
	}
	return all
}

// oldRunner says why a job that needs wire.Welcome.Reports waits, "" where the runner has it.
func (c *core) oldRunner(w *wire.Welcome) string {
	if w.Reports {
		return ""
	}
	text := fmt.Sprintf("the runner (pid %d, version %s) is an older one, which can't run jobs with parameters or a watchdog, nor commands of hooks; ", w.PID, or(w.Version, "unknown"))
	if c.replaced {
		return text + fmt.Sprintf("it was started again and is still an older one: install queuemgr-runner of version %s beside queuemgr", or(c.o.Version, "unknown"))
	}
	return text + "it is replaced as soon as no job runs; at once, which stops what runs: queuemgr service stop, then queuemgr service start"
}

// replaceRunner has an older runner end when jobs or commands of hooks wait that it can't run and it has nothing to do: whoever
// starts runners starts one as it is installed now. It is tried once; see oldRunner.
func (c *core) replaceRunner() {
	if !c.waitsForNewer.Load() && !c.hiddenHeld.Load() || c.replaced || c.runner == nil || c.runnerStops || c.shutdown != nil || len(c.live) > 0 {
		return
	}
	c.o.Log.Info("jobs wait for a newer runner: the one that is there is told to end", "pid", c.welcome.PID, "version", c.welcome.Version)
	c.replaced, c.runnerStops = true, true
	c.send(&wire.Message{Quit: &wire.Quit{}})
	c.again = c.again || c.runner == nil
}
