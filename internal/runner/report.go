package runner

import (
	"strconv"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// voice is what a run has said of itself; only runs that speak have one.
type voice struct {
	report wire.Report
	heard  time.Time // of its last datagram
	shown  time.Time // when the daemon, and the run's folder, were told last; zero = never
	fresh  bool      // there is something to tell
	final  bool      // the result is that of the file, which wins over any message
	due    *deadline // when that may be
}

// tellPause is the least time between two Reports of one run, and between two versions of its files.
const tellPause = time.Second

// speaker implements books.
func (c *Core) speaker(runID string) (uid uint32, known, alive bool) {
	c.ledger.RLock()
	defer c.ledger.RUnlock()
	r := c.runs[runID]
	if r == nil || r.closed {
		return 0, false, false
	}
	if r.UID == nil {
		return 0, false, true
	}
	return *r.UID, true, true
}

// leader implements books.
func (c *Core) leader(pid int) (runID string, ok bool) {
	c.ledger.RLock()
	defer c.ledger.RUnlock()
	r := c.kids[pid]
	if r == nil {
		return "", false
	}
	return r.Intent.RunID, true
}

// account implements books.
func (c *Core) account(uid uint32) bool {
	c.ledger.RLock()
	defer c.ledger.RUnlock()
	return c.uids[uid] > 0
}

// HandleSaid takes word that runs have said something.
func (c *Core) HandleSaid(runIDs []string) {
	for _, id := range runIDs {
		if r := c.runs[id]; r != nil && r.Exited == nil {
			c.listen(r, false)
			c.tellOf(r)
		}
	}
}

// listen takes what r has said. With last, nothing more is heard of it.
func (c *Core) listen(r *run, last bool) {
	if s, any := c.sys.Said(r.id(), r.proc, last); any {
		c.takeIn(r, &s)
	}
}

// takeIn adds to what r has said.
func (c *Core) takeIn(r *run, s *Said) {
	if r.voice == nil {
		r.voice = &voice{report: wire.Report{RunID: r.id(), JobID: r.Intent.JobID, Fence: r.Intent.Fence}}
	}
	if s.Heard.After(r.voice.heard) {
		r.voice.heard = s.Heard
	}
	if r.voice.final {
		s.Result = nil
	}
	if s.add(&r.voice.report) {
		r.voice.fresh = true
	}
}

// tellOf tells the daemon, and who reads the run's folder, what is new of r, now or when it may.
func (c *Core) tellOf(r *run) {
	v := r.voice
	if v == nil || !v.fresh || v.due != nil {
		return
	}
	now := c.sys.Now()
	if at := v.shown.Add(tellPause); !v.shown.IsZero() && at.After(now) {
		c.timers.set(&v.due, at, atReport, r)
		return
	}
	v.shown, v.fresh = now, false
	c.staged.report(&v.report)
	c.show(r)
}

// report adds rep to the messages for the daemon.
func (s *staged) report(rep *wire.Report) {
	size := reportSize(rep)
	n := len(s.out)
	if n > 0 && s.out[n-1].Reports != nil && len(s.out[n-1].Reports) < maxEvents && s.outSize+size <= maxEventSize {
		s.out[n-1].Reports = append(s.out[n-1].Reports, *rep)
		s.outSize += size
		return
	}
	s.outSize = size
	s.out = append(s.out, &wire.Message{Reports: []wire.Report{*rep}})
}

// reportSize is at least the size of rep in a message, in bytes.
func reportSize(rep *wire.Report) int {
	if rep == nil {
		return 0
	}
	const fixed = 256
	n := fixed + len(rep.Result) + 6*(len(rep.RunID)+len(rep.Status)+len(rep.Error)+len(rep.Retry))
	for _, why := range rep.Refused {
		n += 6*len(why) + 3
	}
	return n
}

// lastWords puts into e all that r has said, now that its leader has ended: what was sent before that is
// off the socket already (see poller), and a result that is a file is final.
func (c *Core) lastWords(r *run, e *wire.Event, last bool) {
	c.listen(r, last)
	if r.Intent.Dir != "" && r.Started != nil && !r.collected {
		r.collected = true
		if result, wrong := c.sys.Result(c.folder(r)); result != nil || wrong != "" {
			s := Said{Result: result}
			if wrong != "" {
				s.refuse("refused: " + wrong)
			}
			c.takeIn(r, &s)
			r.voice.final = result != nil
		}
	}
	if r.voice != nil {
		rep := r.voice.report
		rep.RunID, rep.JobID, rep.Fence = "", 0, 0
		e.Report = &rep
	}
}

// folder is the run's folder.
func (c *Core) folder(r *run) Folder {
	f := Folder{Dir: r.Intent.Dir}
	if r.UID != nil {
		f.UID = *r.UID
	}
	return f
}

// show writes what r's folder shows of it.
func (c *Core) show(r *run) {
	if r.Intent.Dir == "" || r.Started == nil || r.Exited != nil {
		return
	}
	files := map[string]string{wire.FileStatus: r.view()}
	if r.voice != nil && r.voice.report.Progress != nil {
		files[wire.FileProgress] = strconv.Itoa(*r.voice.report.Progress) + "\n"
	}
	if err := c.sys.Show(c.folder(r), files); err != nil && !r.unshown {
		r.unshown = true
		c.log.Warn("write the view of a job", "run", r.id(), "folder", r.Intent.Dir, "error", err)
	}
}

// view is the file status in the run's folder.
func (r *run) view() string {
	var b strings.Builder
	b.WriteString(r.Intent.View)
	if v := r.Intent.View; v != "" && !strings.HasSuffix(v, "\n") {
		b.WriteByte('\n')
	}
	state := "running"
	if r.stop != nil {
		state = "stopping"
	}
	b.WriteString("State: " + state + "\n")
	if r.Started != nil {
		b.WriteString("Pid: " + strconv.Itoa(r.Started.PID) + "\n")
	}
	if r.voice != nil {
		if p := r.voice.report.Progress; p != nil {
			b.WriteString("Progress: " + strconv.Itoa(*p) + "\n")
		}
		if s := r.voice.report.Status; s != "" {
			b.WriteString("StatusText: " + s + "\n")
		}
	}
	return b.String()
}

// watch begins to wait for signs of life of r, if it has to give some.
func (c *Core) watch(r *run) {
	if r.Intent.WatchdogMS > 0 && r.stop == nil {
		c.timers.set(&r.watchAt, c.sys.Now().Add(r.watchdog()), atWatchdog, r)
	}
}

func (r *run) watchdog() time.Duration { return time.Duration(r.Intent.WatchdogMS) * time.Millisecond }

// silent is called when r may have been silent for too long: what it sent may still wait to be read, so
// that is asked for first. While nothing can be read nobody is stopped for silence.
func (c *Core) silent(r *run) {
	if r.Status != nil || r.stop != nil {
		return
	}
	c.listen(r, false)
	if c.spoke(r) {
		return
	}
	c.mute = append(c.mute, r)
	c.sys.Hear()
}

// spoke waits on if r has spoken within its time.
func (c *Core) spoke(r *run) bool {
	if r.voice == nil {
		return false
	}
	at := r.voice.heard.Add(r.watchdog())
	if !at.After(c.sys.Now()) {
		return false
	}
	c.timers.set(&r.watchAt, at, atWatchdog, r)
	return true
}

// HandleHeard takes word that everything is read that was sent before Hear was called.
func (c *Core) HandleHeard() {
	mute := c.mute
	c.mute = nil
	for _, r := range mute {
		if r.Exited != nil || r.Status != nil || r.stop != nil {
			continue
		}
		c.listen(r, false)
		if c.spoke(r) {
			c.tellOf(r)
			continue
		}
		c.stopRun(r, stopRequest{cause: wire.CauseTimeout, why: wire.WhyWatchdog})
	}
	deaf := c.deaf
	c.deaf = nil
	for _, r := range deaf {
		if r.proc != nil && r.Status == nil {
			c.leaderEnded(r)
		}
	}
}
