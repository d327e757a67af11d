package hooks

import (
	"context"
	"math"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// start has a command run, or reports that as many run as may.
func (r *receiver) start(ctx context.Context, d *store.Delivery, t target) (full bool, err error) {
	s := r.s
	s.mu.Lock()
	full = r.flying >= perReceiver
	s.mu.Unlock()
	if full {
		return true, nil
	}
	slots := s.limitsOf(d.Hook).commands
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return true, nil
	}
	// The run is on record before it is asked for: whatever dies now, its end is found.
	f := &flight{Delivery: *d, slot: true}
	f.RunID = s.o.NewRunID()
	if err := s.o.Store.SetDeliveries(ctx, []store.DeliveryUpdate{{ID: d.ID, State: d.State, Tries: d.Tries, RunID: f.RunID, LastError: d.LastError}}, s.now()); err != nil {
		<-slots
		return false, err
	}
	s.mu.Lock()
	s.flights[f.RunID] = f
	r.flying++
	s.mu.Unlock()
	err = s.engine.RunHook(ctx, Run{ID: f.RunID, JobID: d.JobID, Delivery: d.ID, Argv: t.Command, AsJob: t.asJob, Timeout: t.Timeout, Stdin: append(d.Doc.Job[:len(d.Doc.Job):len(d.Doc.Job)], '\n'),
		Env: []string{"QUEUEMGR_HOOK_EVENT=" + string(d.Event), "QUEUEMGR_HOOK_DELIVERY=" + s.nameOf(d), "QUEUEMGR_HOOK=" + d.Hook}})
	if err == nil {
		return false, nil
	}
	if ctx.Err() != nil {
		return false, err // whether it was heard the next daemon finds out
	}
	s.mu.Lock()
	delete(s.flights, f.RunID)
	r.flying--
	s.mu.Unlock()
	<-slots
	if job.CodeOf(err) == job.NotFound {
		return false, r.giveUp(ctx, &f.Delivery, d.Tries, "the job is not on record any more, so that nothing tells as whom the command would run")
	}
	giveUp := t.GiveUp
	if job.CodeOf(err) == job.Unavailable {
		giveUp = math.MaxInt64 // the service or the runner ends: the next one may start it
	}
	s.mu.Lock()
	u := s.notRun(&f.Delivery, giveUp, err.Error())
	s.countUndone(&u)
	s.mu.Unlock()
	if u.State == job.DeliveryGivenUp {
		r.note(ctx, &f.Delivery, u.LastError)
	}
	return false, s.o.Store.SetDeliveries(ctx, []store.DeliveryUpdate{u}, s.now())
}

// notRun returns what becomes of a delivery whose command was not run: it is no try of its own, and all the
// same not asked for faster and faster, nor for ever. The caller holds mu.
func (s *Service) notRun(d *store.Delivery, giveUp time.Duration, why string) store.DeliveryUpdate {
	u := store.DeliveryUpdate{ID: d.ID, WasRunID: d.RunID, State: d.State, Tries: d.Tries, LastError: shorten(why)}
	now := s.now()
	if now.Sub(d.Since) >= giveUp {
		u.State = job.DeliveryGivenUp
	} else {
		u.NextTry = now.Add(s.o.Backoff.delay(s.undone[d.ID]+1, s.o.Random()))
	}
	return u
}

// countUndone counts that what notRun has returned was put on record. The caller holds mu.
func (s *Service) countUndone(u *store.DeliveryUpdate) {
	if u.State.Open() {
		s.undone[u.ID]++
	} else {
		delete(s.undone, u.ID)
	}
}

// LiveRuns returns the commands that ran when the daemon before ended, as far as it knew.
func (s *Service) LiveRuns() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sorted(s.flights)
}

// Ended returns what the end of a command makes of its delivery, and whether there is one.
func (s *Service) Ended(end store.RunEnd) (store.DeliveryUpdate, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.flights[end.RunID]
	if f == nil {
		return store.DeliveryUpdate{}, false
	}
	u := store.DeliveryUpdate{ID: f.ID, WasRunID: end.RunID, State: job.DeliveryDone, Tries: f.Tries + 1}
	giveUp := time.Duration(0) // of a hook that is not there any more
	if t, there := s.set.target(f.Hook, f.Doc.Hook); there {
		giveUp = t.GiveUp
	}
	f.undone = end.Undone && !end.Stopped
	switch {
	case end.Stopped: // the next service goes on with it as soon as it can
		u.State, u.Tries, u.LastError = f.State, f.Tries, shorten(end.Problem)
		u.NextTry = s.now().Add(s.o.Backoff.delay(1, s.o.Random()))
	case end.Undone:
		u = s.notRun(&f.Delivery, giveUp, end.Problem)
	case end.Problem != "":
		u = s.failed(&f.Delivery, giveUp, end.Problem)
	}
	f.update = &u
	return u, true
}

// Recorded is told that the ends of commands are on record.
func (s *Service) Recorded(runs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, run := range runs {
		f := s.flights[run]
		if f == nil {
			continue
		}
		if f.undone {
			s.countUndone(f.update)
		} else {
			delete(s.undone, f.ID)
		}
		r := s.receiver(f.Receiver)
		r.flying--
		r.ended = append(r.ended, f)
		delete(s.flights, run)
		if f.slot {
			<-s.limitsOf(f.Hook).commands
		}
		r.nudge()
	}
}
