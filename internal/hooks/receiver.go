package hooks

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// receiver makes the deliveries of one receiver. One goroutine owns it, but for what says otherwise.
type receiver struct {
	s    *Service
	name string
	wake chan struct{} // holds a token when there may be something to do
	now  atomic.Bool   // asked for in spite of a pause; set by others

	flying int       // commands that run; guarded by Service.mu
	ended  []*flight // whose ends are on record and not yet dealt with; guarded by Service.mu

	fails int       // rounds in a row in which it could not be reached
	until time.Time // nothing is sent before
}

// nudge says that there may be something to do. Anybody may call it.
func (r *receiver) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// page is how many deliveries are read together.
const page = 64

// run makes deliveries until there is nothing left to do.
func (r *receiver) run(ctx context.Context) {
	for ctx.Err() == nil {
		r.noteEnded(ctx)
		next, err := r.round(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			r.s.o.Log.Error("deliver to hooks", "receiver", r.name, "error", err)
			r.until = r.s.now().Add(followPause)
			next = r.until
		}
		if next.IsZero() && r.end() {
			return
		}
		timer, stop := (<-chan time.Time)(nil), func() {}
		if !next.IsZero() {
			timer, stop = r.s.o.After(max(next.Sub(r.s.now()), 0))
		}
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-timer:
		}
		stop()
	}
}

// end takes r off the list and reports whether it could: somebody may just have nudged it.
func (r *receiver) end() bool {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if len(r.wake) > 0 || r.flying > 0 || len(r.ended) > 0 {
		return false
	}
	delete(r.s.receivers, r.name)
	delete(r.s.trouble, r.name)
	return true
}

// noteEnded puts on jobs' records which commands were given up.
func (r *receiver) noteEnded(ctx context.Context) {
	r.s.mu.Lock()
	ended := r.ended
	r.ended = nil
	r.s.mu.Unlock()
	for _, f := range ended {
		if f.update != nil && f.update.State == job.DeliveryGivenUp {
			r.note(ctx, &f.Delivery, f.update.LastError)
		}
	}
}

// note puts on the job's record that an event was given up.
func (r *receiver) note(ctx context.Context, d *store.Delivery, why string) {
	text := fmt.Sprintf("hook %s was not told of %s: %s; to try again: queuemgr hook retry %d", d.Hook, d.Event, why, d.ID)
	r.s.o.Log.WarnContext(ctx, "a hook was given up", "hook", d.Hook, "job", d.JobID, "event", d.Event, "delivery", d.ID, "error", why)
	if err := r.s.engine.Note(ctx, d.JobID, text); err != nil && ctx.Err() == nil {
		r.s.o.Log.WarnContext(ctx, "note on a job's record that a hook was given up", "job", d.JobID, "delivery", d.ID, "error", err)
	}
}

// round makes what is due and returns when there is more, zero for nothing that time alone brings.
func (r *receiver) round(ctx context.Context) (time.Time, error) {
	if r.now.Swap(false) {
		r.until = time.Time{}
	}
	if now := r.s.now(); now.Before(r.until) {
		return r.until, nil
	}
	limit := page
	if r.fails > 0 {
		limit = 1 // whether it is back one of them tells
	}
	due, err := r.s.o.Store.DueDeliveries(ctx, r.name, limit)
	if err != nil || len(due) == 0 {
		return time.Time{}, err
	}
	r.s.mu.Lock()
	set := r.s.set
	if next := r.s.next; next != nil {
		set = next // for what is made now, not for what has happened
	}
	r.s.mu.Unlock()
	p := &posting{r: r, slots: make(chan struct{}, perReceiver)}
	next := time.Time{}
	for i := range due {
		d := &due[i]
		if d.NextTry.After(r.s.now()) {
			next = d.NextTry
			break
		}
		t, there := set.target(d.Hook, d.Doc.Hook)
		switch {
		case !there:
			err = r.giveUp(ctx, d, d.Tries, "it is not in the settings any more")
		case t.URL != "":
			if !p.begin(ctx, d, t) {
				p.wait()
				return r.settle(ctx, p)
			}
			continue
		default:
			var full bool
			if full, err = r.start(ctx, d, t); full {
				p.wait()
				_, err = r.settle(ctx, p)
				return time.Time{}, err // the end of one wakes us
			}
		}
		if err != nil {
			p.wait()
			return time.Time{}, err
		}
	}
	p.wait()
	if at, err := r.settle(ctx, p); err != nil || !at.IsZero() {
		return at, err
	}
	if next.IsZero() { // all of them were due: there may be more
		next = r.s.now()
	}
	return next, nil
}

// giveUp ends a delivery. The note goes first: after it a crash has it noted once more at worst.
func (r *receiver) giveUp(ctx context.Context, d *store.Delivery, tries int, why string) error {
	r.note(ctx, d, why)
	r.s.mu.Lock()
	delete(r.s.undone, d.ID)
	r.s.mu.Unlock()
	return r.s.o.Store.SetDeliveries(ctx, []store.DeliveryUpdate{{ID: d.ID, WasRunID: d.RunID, State: job.DeliveryGivenUp, Tries: tries, LastError: why}}, r.s.now())
}

// failed returns what a failed try makes of a delivery.
func (s *Service) failed(d *store.Delivery, giveUp time.Duration, why string) store.DeliveryUpdate {
	u := store.DeliveryUpdate{ID: d.ID, WasRunID: d.RunID, State: job.DeliveryFailed, Tries: d.Tries + 1, LastError: shorten(why)}
	now := s.now()
	if now.Sub(d.Since) >= giveUp {
		u.State = job.DeliveryGivenUp
	} else {
		u.NextTry = now.Add(s.o.Backoff.delay(u.Tries, s.o.Random()))
	}
	return u
}

// shorten makes one line of bounded length of what is put on record.
func shorten(text string) string {
	const most = 300
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "\uFFFD")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// posting is what is sent in one round.
type posting struct {
	r     *receiver
	slots chan struct{}
	wg    sync.WaitGroup

	mu      sync.Mutex
	failed  []failure // that were not recorded yet
	arrived bool
	down    string // why the receiver can't be reached, "" = it can
	err     error  // of the first that could not be recorded
}

type failure struct {
	d      *store.Delivery
	giveUp time.Duration
	outcome
}

// begin sends d beside the others and reports whether it did: not when the receiver is found to be
// out of reach.
func (p *posting) begin(ctx context.Context, d *store.Delivery, t target) bool {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	p.mu.Lock()
	stop := p.down != "" || p.err != nil
	p.mu.Unlock()
	if stop {
		<-p.slots
		return false
	}
	p.wg.Go(func() {
		defer func() { <-p.slots }()
		p.take(ctx, d, t, p.r.s.post(ctx, d, t))
	})
	return true
}

// take records at once what has arrived; of a failure what follows depends on the others of the round.
func (p *posting) take(ctx context.Context, d *store.Delivery, t target, o outcome) {
	if ctx.Err() != nil {
		return // broken off: it is sent again
	}
	var err error
	switch {
	case o.problem == "":
		err = p.r.s.o.Store.SetDeliveries(ctx, []store.DeliveryUpdate{{ID: d.ID, State: job.DeliveryDone, Tries: d.Tries + 1}}, p.r.s.now())
	case o.gone:
		err = p.r.giveUp(ctx, d, d.Tries+1, o.problem)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	switch {
	case o.problem == "":
		p.arrived = true
	case !o.gone:
		p.failed = append(p.failed, failure{d, t.GiveUp, o})
		if o.down {
			p.down = o.problem
		}
	}
}

func (p *posting) wait() { p.wg.Wait() }

// settle records the failures of a round. Where the receiver was out of reach, it returns when it is
// tried again.
func (r *receiver) settle(ctx context.Context, p *posting) (time.Time, error) {
	if p.err != nil || ctx.Err() != nil {
		return time.Time{}, p.err
	}
	switch {
	case p.down != "":
		r.fails++
		r.until = r.s.now().Add(r.s.o.Backoff.delay(r.fails, r.s.o.Random()))
		if r.fails == 1 {
			r.s.o.Log.WarnContext(ctx, "a hook's receiver can't be reached", "receiver", r.name, "error", p.down)
		}
	case p.arrived:
		if r.fails > 0 {
			r.s.o.Log.InfoContext(ctx, "a hook's receiver is reached again", "receiver", r.name)
		}
		r.fails, r.until = 0, time.Time{}
	}
	r.s.mu.Lock()
	if delete(r.s.trouble, r.name); p.down != "" {
		r.s.trouble[r.name] = trouble{shorten(p.down), r.until}
	}
	r.s.mu.Unlock()
	var updates []store.DeliveryUpdate
	for _, f := range p.failed {
		u := r.s.failed(f.d, f.giveUp, f.problem)
		if u.State == job.DeliveryGivenUp {
			r.note(ctx, f.d, u.LastError)
		} else if f.down {
			u.NextTry = r.until
		}
		updates = append(updates, u)
	}
	if err := r.s.o.Store.SetDeliveries(ctx, updates, r.s.now()); err != nil || p.down == "" {
		return time.Time{}, err
	}
	return r.until, r.expire(ctx, p.down)
}

// expire gives up what has waited too long for a receiver that can't be reached: one try of each would
// take for ever.
func (r *receiver) expire(ctx context.Context, why string) error {
	for {
		due, err := r.s.o.Store.DueDeliveries(ctx, r.name, page)
		if err != nil {
			return err
		}
		r.s.mu.Lock()
		set := r.s.set
		r.s.mu.Unlock()
		gone := 0
		for i := range due {
			t, there := set.target(due[i].Hook, due[i].Doc.Hook)
			if !there || r.s.now().Sub(due[i].Since) < t.GiveUp {
				continue
			}
			if err := r.giveUp(ctx, &due[i], due[i].Tries, shorten("its receiver can't be reached: "+why)); err != nil {
				return err
			}
			gone++
		}
		if gone == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
