package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

const (
	// keepMinutes is how many minutes are told of: job.LastWeek, which is the longest.
	keepMinutes = 7 * 24 * 60
	// tallyInterval is how long what was counted waits at most before it is written.
	tallyInterval = time.Minute
	// tallyTimeout is how long the daemon's end waits for the last minutes to be written.
	tallyTimeout = 5 * time.Second
)

// tally counts, minute by minute, what the core has committed. It is in memory and written behind:
// a minute in which something happened costs one row, an idle daemon nothing.
type tally struct {
	o *Options

	mu      sync.Mutex
	minutes map[int64]*store.Minute // by minutes since 1970
	unsaved map[int64]bool
	claimed map[int64]time.Time // when jobs that are starting were
	total   Counted             // since the start
	some    chan struct{}       // holds a token while there may be something unsaved
}

func newTally(ctx context.Context, o *Options) (*tally, error) {
	y := &tally{o: o, minutes: map[int64]*store.Minute{}, unsaved: map[int64]bool{},
		claimed: map[int64]time.Time{}, total: Counted{Ends: map[End]int64{}}, some: make(chan struct{}, 1)}
	known, err := o.Store.Minutes(ctx, y.oldest())
	if err != nil {
		return nil, fmt.Errorf("read what was done in the last days: %w", err)
	}
	for i := range known {
		y.minutes[minuteOf(known[i].At)] = &known[i]
	}
	return y, nil
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

func minuteAt(n int64) time.Time { return time.Unix(n*60, 0).UTC() }

// oldest returns when the first minute that is told of begins.
func (y *tally) oldest() time.Time { return minuteAt(minuteOf(y.o.Now()) - keepMinutes + 1) }

// count takes down the starts and ends of a committed step, in the minutes in which they happened:
// that may be long ago, while no daemon lived.
func (y *tally) count(t *tx) {
	if len(t.order) == 0 {
		return
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	now := minuteOf(t.at)
	for _, id := range t.order {
		e := t.edits[id]
		if e == nil {
			continue // a conflict
		}
		if at := startOf(e); !at.IsZero() {
			y.started(e, at, now)
		}
		switch {
		case e.to.State == job.Starting && e.from.State.Waiting():
			y.claimed[id] = t.at
		case e.to.State != job.Starting:
			delete(y.claimed, id)
		}
		if e.to.State.Ended() && !e.from.State.Ended() {
			y.ended(e.to, now)
		}
	}
}

func (y *tally) started(e *edit, at time.Time, now int64) {
	if claimed, ok := y.claimed[e.to.ID]; ok { // by this daemon
		y.total.StartDelay.add(at.Sub(claimed))
	}
	if e.from.QueuedAt.IsZero() {
		return
	}
	wait := at.Sub(e.from.QueuedAt)
	y.total.QueueWait.add(wait)
	if m := y.minute(at, now); m != nil {
		m.Waits.Add(wait)
	}
}

func (y *tally) ended(j *job.Job, now int64) {
	y.total.Ends[End{j.State, j.Reason}]++
	m := y.minute(j.FinishedAt, now)
	if m == nil {
		return
	}
	switch j.State {
	case job.Completed:
		m.Completed++
	case job.Failed:
		m.Failed++
	case job.Stopped:
		m.Stopped++
	}
}

// startOf returns when the process of e's job started, zero where that is nothing new.
func startOf(e *edit) time.Time {
	switch {
	case !e.from.StartedAt.IsZero() || !e.from.State.Live():
		return time.Time{}
	case e.archive != nil: // it started, ended and waits again, all at once
		return e.archive.StartedAt
	}
	return e.to.StartedAt
}

// minute returns that of a time to be changed, the present one for a time that is still to come (a
// clock was set back), nil for one that is not told of any more or no time at all.
func (y *tally) minute(at time.Time, now int64) *store.Minute {
	n := min(minuteOf(at), now)
	if at.IsZero() || n <= now-keepMinutes {
		return nil
	}
	m := y.minutes[n]
	if m == nil {
		m = &store.Minute{At: minuteAt(n)}
		y.minutes[n] = m
	}
	y.unsaved[n] = true
	select {
	case y.some <- struct{}{}:
	default:
	}
	return m
}

// run writes what was counted until ctx ends, and the rest when the core has ended.
func (y *tally) run(ctx context.Context, coreEnded <-chan struct{}) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-y.some:
			wait := time.NewTimer(tallyInterval)
			select {
			case <-ctx.Done():
			case <-wait.C:
				y.save(ctx)
			}
			wait.Stop()
		}
	}
	<-coreEnded
	last, cancel := context.WithTimeout(context.Background(), tallyTimeout)
	defer cancel()
	y.save(last)
}

// save writes the minutes that have changed, and forgets those that are too old. What can't be
// written now is written with the next.
func (y *tally) save(ctx context.Context) {
	minutes, since := y.changed()
	if len(minutes) == 0 {
		return
	}
	err := y.o.Store.PutMinutes(ctx, minutes, since)
	if err == nil {
		return
	}
	if ctx.Err() == nil {
		y.o.Log.Warn("record how much was done", "minutes", len(minutes), "error", err)
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	for i := range minutes {
		y.unsaved[minuteOf(minutes[i].At)] = true
	}
}

func (y *tally) changed() ([]store.Minute, time.Time) {
	y.mu.Lock()
	defer y.mu.Unlock()
	since := y.oldest()
	for n := range y.minutes {
		if n < minuteOf(since) {
			delete(y.minutes, n)
			delete(y.unsaved, n)
		}
	}
	var minutes []store.Minute
	for n := range y.unsaved {
		minutes = append(minutes, *y.minutes[n])
	}
	clear(y.unsaved)
	return minutes, since
}

// Stats implements job.Service. It lets the core finish its step first: an end that somebody was told
// of is counted.
func (e *Engine) Stats(ctx context.Context, o job.StatsOptions) (*job.Stats, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	_ = e.do(ctx, func(*core, *tx) error { return nil }) // where it has ended, nothing is to come
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return e.core.done.stats(o), nil
}

// stats puts the minutes of a range together. Buckets begin at multiples of their length, so that
// what is in one does not change as time goes on.
func (y *tally) stats(o job.StatsOptions) *job.Stats {
	total := int64(o.Range.Duration() / time.Minute)
	step := (total + int64(o.Buckets) - 1) / int64(o.Buckets)
	n := (total + step - 1) / step
	end := (minuteOf(y.o.Now())/step + 1) * step
	begin := end - n*step
	s := &job.Stats{From: minuteAt(begin), To: minuteAt(end), Step: step * 60,
		Throughput: make([]job.StatsEnds, n), Latency: make([]job.StatsWaited, n)}
	y.mu.Lock()
	defer y.mu.Unlock()
	for i := range n {
		ends, waits := &s.Throughput[i], store.Waits{}
		ends.At = minuteAt(begin + i*step)
		for k := begin + i*step; k < begin+(i+1)*step; k++ {
			if m := y.minutes[k]; m != nil {
				ends.Completed += m.Completed
				ends.Failed += m.Failed
				ends.Stopped += m.Stopped
				waits.Merge(&m.Waits)
			}
		}
		s.Latency[i] = job.StatsWaited{At: ends.At, P50: waits.Quantile(0.5).Seconds(), P95: waits.Quantile(0.95).Seconds(), N: waits.Count()}
	}
	return s
}
