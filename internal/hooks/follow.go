package hooks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

const (
	// batch is how many changes are looked at together.
	batch = 500
	// batchBytes is about how much is written together: a job's parameters may be long.
	batchBytes = 4 << 20
	// followPause is how long nothing is tried after a failure: a full disk, say.
	followPause = 5 * time.Second
	// recordEvery is how many changes without an event may be behind the cursor on record.
	recordEvery = 10_000
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// follow turns changes into deliveries until ctx ends.
func (s *Service) follow(ctx context.Context) {
	for ctx.Err() == nil {
		more, err := s.step(ctx)
		if ctx.Err() != nil {
			break
		}
		s.tell(err)
		pause, stop := (<-chan time.Time)(nil), func() {}
		if err != nil {
			pause, stop = s.o.After(followPause)
		} else if more {
			continue
		}
		select {
		case <-ctx.Done():
		case <-pause:
		case <-s.wake:
			if err != nil { // what failed is not tried again sooner because there is more of it
				select {
				case <-ctx.Done():
				case <-pause:
				}
			}
		}
		stop()
	}
	s.mu.Lock()
	seen, none := s.seen, s.set.none()
	s.mu.Unlock()
	if none {
		return
	}
	// So that the next daemon does not look at the same changes again: where this fails, it does.
	s.writing.Lock()
	defer s.writing.Unlock()
	if seen > s.cursor.Seq {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		to := store.HookCursor{Seq: seen, Since: s.cursor.Since}
		if _, err := s.o.Store.AddDeliveries(end, store.AddDeliveries{From: s.cursor.Seq, Cursor: to, At: s.now()}); err == nil {
			s.cursor = to
		}
	}
}

func (s *Service) tell(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.problem
	if s.problem = ""; err != nil {
		s.problem = fmt.Sprintf("hooks are not told of what happens: %v; jobs go on, and hooks are told later", err)
	}
	if s.problem != "" && was == "" {
		s.o.Log.Error("hooks are not told of what happens", "error", err)
	}
}

// step looks at the next changes and reports whether there may be more.
func (s *Service) step(ctx context.Context) (more bool, err error) {
	s.mu.Lock()
	if s.next != nil && s.seen >= s.next.from {
		s.set, s.next = s.next, nil
	}
	set, next, seen := s.set, s.next, s.seen
	s.mu.Unlock()
	changes, err := s.o.Store.Changes(ctx, seen, batch)
	if job.CodeOf(err) == job.Exhausted {
		s.o.Log.ErrorContext(ctx, "changes are gone that hooks were not told of", "after", seen)
		s.mu.Lock()
		s.seen = s.o.Store.Seq()
		s.mu.Unlock()
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if next != nil { // the present ones are in force up to there
		for len(changes) > 0 && changes[len(changes)-1].Seq > next.from {
			changes = changes[:len(changes)-1]
		}
	}
	var all []store.Delivery
	unread := 0
	more = len(changes) == batch || next != nil
	for i, bytes := 0, 0; i < len(changes); i++ {
		before := len(all)
		told, err := set.deliveries(all, &changes[i])
		if err != nil { // it never reads better: what follows must not wait for it
			s.o.Log.ErrorContext(ctx, "hooks are not told of a change that can't be read", "change", changes[i].Seq, "job", changes[i].JobID, "error", err)
			unread++
		} else {
			all = told
		}
		seen = changes[i].Seq
		if bytes += (len(all) - before) * len(changes[i].JSON); bytes > batchBytes {
			more = true
			break
		}
	}
	if err := s.record(ctx, seen, all, math.MaxUint64); err != nil {
		return false, err
	}
	s.mu.Lock()
	s.seen, s.unread = seen, s.unread+unread
	s.mu.Unlock()
	return more, nil
}

// record writes deliveries with the cursor behind them, and has them made. Without any it writes only
// which hooks are new, and a cursor that is behind by so much.
func (s *Service) record(ctx context.Context, seen uint64, all []store.Delivery, behind uint64) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	to := store.HookCursor{Seq: max(seen, s.cursor.Seq), Since: s.set.since}
	s.mu.Unlock()
	if len(all) == 0 && maps.Equal(to.Since, s.cursor.Since) && to.Seq-s.cursor.Seq < behind {
		return nil
	}
	added, err := s.o.Store.AddDeliveries(ctx, store.AddDeliveries{From: s.cursor.Seq, Cursor: to, Deliveries: all, At: s.now()})
	if job.CodeOf(err) == job.Conflict {
		// A write whose answer was not waited for was carried out.
		if now, readErr := s.o.Store.HookCursor(ctx); readErr == nil {
			s.cursor = now
		}
	}
	if err != nil {
		return err
	}
	s.cursor = to
	names := map[string]bool{}
	for i := range added {
		names[added[i].Receiver] = true
	}
	for name := range names {
		s.nudge(name, false)
	}
	return nil
}

func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Microsecond) }

// deliveries appends what a change has the hooks told of. An error says that the change can't be read.
func (s *settings) deliveries(all []store.Delivery, c *job.Change) ([]store.Delivery, error) {
	if c.Kind != job.JobChanged || c.Was == "" || c.Was.Ended() || c.Was == c.State && c.State != job.Stopping {
		return all, nil // nothing has begun or ended
	}
	if !c.State.Ended() && c.Was != job.Starting && c.Was != job.Stopping {
		return all, nil
	}
	if s.none() && !bytes.Contains(c.JSON, []byte(`"hooks":[{`)) {
		return all, nil
	}
	j, err := store.ParseRecord(c.JSON)
	if err != nil {
		return nil, fmt.Errorf("read change %d: %w", c.Seq, err)
	}
	events, err := eventsOf(c, j)
	if err != nil || len(events) == 0 {
		return all, err
	}
	for _, e := range events {
		doc, err := store.PlainJSON(asItWas(j, e))
		if err != nil {
			return nil, fmt.Errorf("encode job %d: %w", j.ID, err)
		}
		add := func(hook, receiver string, of *job.Hook) {
			all = append(all, store.Delivery{Delivery: job.Delivery{JobID: j.ID, Attempt: e.attempt, Event: e.kind, Seq: c.Seq, Hook: hook, Receiver: receiver},
				Doc: store.DeliveryDoc{Hook: of, At: e.at, Job: doc}})
		}
		for i := range s.hooks {
			h := &s.hooks[i]
			name := ofSettings(h.Name)
			if slices.Contains(h.On, e.kind) && (h.Queue == "" || h.Queue == j.Queue) && (h.Type == "" || h.Type == j.Type) && s.begun(name, c.Seq) {
				add(name, name, nil)
			}
		}
		for i := range s.types[j.Type] {
			h := &s.types[j.Type][i]
			if name := ofType(j.Type, i); h.Wants(e.kind) && s.begun(name, c.Seq) {
				add(name, receiverOf(name, h, j.UID), h)
			}
		}
		for i := range j.Hooks {
			if h := &j.Hooks[i]; h.Wants(e.kind) {
				add(ofJob(i), receiverOf(ofJob(i), h, j.UID), h)
			}
		}
	}
	return all, nil
}

// asItWas returns the job as hooks are shown it: without its own hooks, which are no matter of others,
// and where its start and its end are one change, at its start without what came of it.
func asItWas(j *job.Job, e event) *job.Job {
	shown := *j
	shown.Hooks = nil
	if e.kind == job.HookStart && !j.State.Live() {
		shown.State, shown.Attempt, shown.StartedAt = job.Running, e.attempt, e.at
		shown.Reason, shown.ExitCode, shown.Signal, shown.Error = "", nil, 0, ""
		shown.FinishedAt, shown.Usage = time.Time{}, nil
		shown.Progress, shown.StatusText, shown.Result, shown.Notes = nil, "", nil, nil
	}
	return &shown
}

// event is what happened to a job.
type event struct {
	kind    job.HookEvent
	attempt int
	at      time.Time
}

// eventsOf returns what a change tells, in its order. A start and an end may be one change; a start that is
// told twice is recorded once.
func eventsOf(c *job.Change, j *job.Job) (events []event, err error) {
	began := c.Was == job.Starting || c.Was == job.Stopping
	switch {
	case began && j.State.Waiting(): // given another attempt as it ended
		attempts, err := store.AttemptsOf(c.JSON)
		if err != nil {
			return nil, err
		}
		for i := range attempts {
			if a := &attempts[i]; !a.StartedAt.IsZero() {
				events = append(events, event{job.HookStart, a.Attempt, a.StartedAt})
			}
		}
	case began && !j.StartedAt.IsZero():
		events = append(events, event{job.HookStart, j.Attempt, j.StartedAt})
	}
	end := event{attempt: j.Attempt, at: j.FinishedAt}
	if end.at.IsZero() {
		end.at = c.At
	}
	switch j.State {
	case job.Completed:
		end.kind = job.HookSuccess
	case job.Failed, job.Skipped:
		end.kind = job.HookFailure
	case job.Stopped, job.Deleted:
		end.kind = job.HookStop
	default:
		return events, nil
	}
	return append(events, end), nil
}

// receiverOf returns where a hook of a type or job leads: one address is one receiver whoever names it, for
// jobs of one account. What one account's hooks wait for is no matter of another's.
func receiverOf(name string, h *job.Hook, uid uint32) string {
	if h.URL != "" {
		if name = job.ShownURL(h.URL); name != h.URL {
			sum := sha256.Sum256([]byte(h.URL))
			name += hex.EncodeToString(sum[:4])
		}
	}
	if uid == job.NoUID {
		return name
	}
	return fmt.Sprintf("%s@%d", name, uid)
}

// Position returns up to which change the registry may forget changes: the next daemon begins there.
// It also forgets deliveries that are long over.
func (s *Service) Position(ctx context.Context) uint64 {
	s.prune(ctx)
	s.mu.Lock()
	seen := s.seen
	s.mu.Unlock()
	if err := s.record(ctx, seen, nil, recordEvery); err != nil && ctx.Err() == nil {
		s.o.Log.WarnContext(ctx, "record how far hooks are told", "error", err)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.cursor.Seq
}

func (s *Service) prune(ctx context.Context) {
	for ctx.Err() == nil {
		gone, err := s.o.Store.PruneDeliveries(ctx, s.o.Now().Add(-keepFor), keepMost, pruneBatch)
		if err != nil {
			s.o.Log.WarnContext(ctx, "forget deliveries that are long over", "error", err)
			return
		}
		for _, d := range gone {
			s.o.RemoveLog(d.JobID, d.ID)
		}
		if len(gone) < pruneBatch {
			return
		}
	}
}
