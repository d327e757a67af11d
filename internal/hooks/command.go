package hooks

import (
	"context"
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
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return true, nil
	}
	// The run is on record before it is asked for: whatever dies now, its end is found.
	f := &flight{Delivery: *d, slot: true}
	f.RunID = s.o.NewRunID()
	if err := s.o.Store.SetDeliveries(ctx, []store.DeliveryUpdate{{ID: d.ID, State: d.State, Tries: d.Tries, RunID: f.RunID, LastError: d.LastError}}, s.now()); err != nil {
		<-s.slots
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
	<-s.slots
	if job.CodeOf(err) == job.NotFound {
		return false, r.giveUp(ctx, &f.Delivery, d.Tries, "the job is not on record any more, so that nothing tells as whom the command would run")
	}
	u := store.DeliveryUpdate{ID: d.ID, WasRunID: f.RunID, State: d.State, Tries: d.Tries, NextTry: s.now().Add(s.o.Backoff.delay(1, s.o.Random())), LastError: shorten(err.Error())}
	return false, s.o.Store.SetDeliveries(ctx, []store.DeliveryUpdate{u}, s.now())
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
	switch {
	case end.Undone:
		u.State, u.Tries, u.LastError = f.State, f.Tries, shorten(end.Problem)
		u.NextTry = s.now().Add(s.o.Backoff.delay(1, s.o.Random()))
	case end.Problem != "":
		giveUp := time.Duration(0) // of a hook that is not there any more
		if t, there := s.set.target(f.Hook, f.Doc.Hook); there {
			giveUp = t.GiveUp
		}
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
		r := s.receiver(f.Receiver)
		r.flying--
		r.ended = append(r.ended, f)
		delete(s.flights, run)
		if f.slot {
			<-s.slots
		}
		r.nudge()
	}
}
