package auth

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

const (
	// auditDelay lets entries come together in one write, and additions by the same caller in one
	// entry: many a second must not push everything else out of the audit.
	auditDelay = 250 * time.Millisecond
	// auditRetry is how long a write that failed is not tried again.
	auditRetry = 2 * time.Second
	// auditPending bounds the entries in memory: some seconds of the highest rate.
	auditPending = 50_000
	// auditAge and auditKeep are what is kept, auditPrune how many entries come between two prunings.
	auditAge   = 400 * 24 * time.Hour
	auditKeep  = 500_000
	auditPrune = 1000
	// longestText bounds an action and a target, in bytes.
	longestText = 200
	// Of what was refused or failed so many entries come into the audit at once, then one each
	// failedEvery: whoever sends masses of it must not push everything else out.
	failedAtOnce = 50
	failedEvery  = 10 * time.Second
)

// Recorder writes the audit. Nobody waits for it: entries are written together soon after, and at
// the latest when Run ends.
type Recorder struct {
	store store.Audit
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex
	pending []note
	lost    int64 // entries that there was no room for
	failed  bucket
	untold  int           // failures since the last that was recorded
	wake    chan struct{} // holds a token when something is pending

	writing sync.Mutex // held by who writes
	written int        // since the last pruning; guarded by writing
	failing bool       // guarded by writing
}

// NewRecorder returns a recorder whose Run is to be called.
func NewRecorder(s store.Audit, now func() time.Time, log *slog.Logger) *Recorder {
	return &Recorder{store: s, now: now, log: log, wake: make(chan struct{}, 1), written: auditPrune}
}

// Run writes what is recorded until ctx ends, then what is left.
func (r *Recorder) Run(ctx context.Context) {
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			// An error was logged: there is nobody else to tell.
			_ = r.flush(ctx)
			return
		case <-r.wake:
		}
		pause := auditDelay
		r.writing.Lock()
		if r.failing {
			pause = auditRetry
		}
		r.writing.Unlock()
		wait.Reset(pause)
		select {
		case <-ctx.Done():
			continue
		case <-wait.C:
		}
		if r.flush(ctx) != nil {
			r.nudge()
		}
	}
}

func (r *Recorder) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// note is an entry to write. What it tells of jobs may still grow.
type note struct {
	job.AuditEntry
	jobs span
}

// span is a number of jobs: the first and the last.
type span struct {
	n           int
	first, last int64
}

func spanOf(ids ...int64) (s span) {
	for _, id := range ids {
		s = s.with(span{1, id, id})
	}
	return s
}

func (s span) with(o span) span {
	if s.n == 0 {
		return o
	}
	return span{s.n + o.n, min(s.first, o.first), max(s.last, o.last)}
}

func (s span) String() string {
	switch s.n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("job %d", s.first)
	}
	return fmt.Sprintf("%d jobs, %d to %d", s.n, s.first, s.last)
}

// Record adds an entry; its time is now.
func (r *Recorder) Record(e job.AuditEntry) { r.record(note{AuditEntry: e}) }

func (r *Recorder) record(e note) {
	if r == nil {
		return
	}
	e.Action, e.Target = shorten(e.Action), shorten(e.Target)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.put(e)
}

// fail records what was refused or failed, unless there is too much of it, and reports whether it did.
func (r *Recorder) fail(e note) (told bool) {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed.leak(r.now(), failedEvery); r.failed.n > failedAtOnce-1 {
		r.untold++
		return false
	}
	r.failed.n++
	if e.jobs.n > 0 {
		e.Target, e.jobs = e.jobs.String(), span{}
	}
	e.Action, e.Target = shorten(e.Action), shorten(e.Target)
	if r.untold > 0 {
		e.Target = strings.TrimSpace(fmt.Sprintf("%s (%d more before were not recorded)", e.Target, r.untold))
		r.untold = 0
	}
	r.put(e)
	return true
}

// add records what was done, or what failed with err.
func (r *Recorder) add(e note, err error) {
	if err != nil {
		r.fail(e)
	} else {
		r.record(e)
	}
}

// put adds an entry to those to write. r.mu is held.
func (r *Recorder) put(e note) {
	if n := len(r.pending); n > 0 && r.pending[n-1].grows(e) {
		r.pending[n-1].jobs = r.pending[n-1].jobs.with(e.jobs)
		return
	}
	e.At = r.now().UTC().Truncate(time.Microsecond)
	if len(r.pending) < auditPending {
		r.pending = append(r.pending, e)
	} else {
		r.lost++
	}
	r.nudge()
}

// grows reports whether next says the same as n, of more jobs: both are additions.
func (n *note) grows(next note) bool {
	same := n.AuditEntry
	same.At = time.Time{}
	return n.Action == actionAdd && n.jobs.n > 0 && next.jobs.n > 0 && same == next.AuditEntry
}

const actionAdd = "add"

// shorten bounds a text and makes it valid UTF-8.
func shorten(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= longestText {
		return s
	}
	cut := longestText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// flush writes what is pending.
func (r *Recorder) flush(ctx context.Context) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	notes, lost := r.pending, r.lost
	r.pending, r.lost = nil, 0
	r.mu.Unlock()
	if lost > 0 {
		notes = append(notes, note{AuditEntry: job.AuditEntry{At: r.now().UTC(), Action: "audit", Target: fmt.Sprintf("%d entries", lost), Outcome: "lost"}})
	}
	if len(notes) == 0 {
		return nil
	}
	entries := make([]job.AuditEntry, len(notes))
	for i, n := range notes {
		if entries[i] = n.AuditEntry; n.jobs.n > 0 {
			entries[i].Target = n.jobs.String()
		}
	}
	ctx = context.WithoutCancel(ctx) // a write that was begun is carried out: it must not be done twice
	if err := r.store.AddAudit(ctx, entries); err != nil {
		if !r.failing {
			r.log.Error("the audit can't be written; its entries wait in memory", "error", err)
		}
		r.failing = true
		r.mu.Lock()
		r.pending = append(notes, r.pending...)
		r.mu.Unlock()
		return err
	}
	r.failing = false
	if r.written += len(entries); r.written < auditPrune {
		return nil
	}
	r.written = 0
	for {
		n, err := r.store.PruneAudit(ctx, r.now().Add(-auditAge), auditKeep, auditPrune)
		if err != nil {
			r.log.Warn("prune the audit", "error", err)
		}
		if err != nil || n < auditPrune {
			return nil
		}
	}
}

// Read returns a page of the audit, with all that was recorded before if that can be written.
func (r *Recorder) Read(ctx context.Context, before int64, limit int) ([]job.AuditEntry, error) {
	// An error was logged; what is on record can be read on a full disk, too.
	_ = r.flush(ctx)
	return r.store.Audit(ctx, before, limit)
}

// entry is what c did, for the audit.
func entry(c job.Caller, role job.Role, action, target string, err error) job.AuditEntry {
	e := job.AuditEntry{Who: c.Name, Role: role, Via: c.Via, From: c.From, Action: action, Target: target, Outcome: "done"}
	if e.Via == "" {
		e.Via = job.ViaSocket
	}
	if err != nil {
		e.Outcome = string(job.CodeOf(err))
	}
	return e
}

func (s *Service) audit(c job.Caller, action, target string, err error) {
	s.o.Audit.add(note{AuditEntry: entry(c, s.o.RoleOf(c), action, target, err)}, err)
}

// auditJobs records what was done to jobs.
func (s *Service) auditJobs(c job.Caller, action string, jobs span, err error) {
	s.o.Audit.add(note{AuditEntry: entry(c, s.o.RoleOf(c), action, "", err), jobs: jobs}, err)
}

// auditAct records one line for an action, however many jobs it was done to.
func (s *Service) auditAct(c job.Caller, r job.ActRequest, done job.ActResult, err error) {
	jobs := spanOf(done.Done...)
	if jobs.n == 0 && err == nil {
		if len(done.Failed) == 0 {
			return // nothing was changed and nothing refused
		}
		err = done.Failed[0].Error
		for _, f := range done.Failed {
			jobs = jobs.with(spanOf(f.JobID))
		}
	}
	e := entry(c, s.o.RoleOf(c), string(r.Action), "", err)
	if n := len(done.Failed); n > 0 && len(done.Done) > 0 {
		e.Outcome = fmt.Sprintf("done, %d refused", n)
	}
	s.o.Audit.add(note{AuditEntry: e, jobs: jobs}, err)
}
