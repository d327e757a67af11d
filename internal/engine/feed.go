package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// maxPending is how many bytes of records wait for a feed's reader; beyond them it gets a resync.
const maxPending = 8 << 20

// feed is one reader's picture. The feeds' lock guards it.
type feed struct {
	id     string
	caller job.Caller
	ready  chan struct{} // holds a token when there may be something to take

	jobs map[int64]bool // watched
	logs map[int64]bool // watched; true = what is known of it is still to be told

	next    job.FeedUpdate            // what waits, but for
	records map[int64]json.RawMessage // the latest of each job
	gone    map[int64]bool
	bytes   int
}

// Feed implements job.Service.
func (e *Engine) Feed(ctx context.Context, o job.FeedOptions) iter.Seq2[job.FeedUpdate, error] {
	return func(yield func(job.FeedUpdate, error) bool) {
		f, first, err := e.feeds.open(ctx)
		if err != nil {
			yield(first, err)
			return
		}
		defer e.feeds.close(f)
		if !yield(first, nil) {
			return
		}
		var beat <-chan time.Time
		if o.Beat > 0 {
			ticker := time.NewTicker(time.Duration(o.Beat))
			defer ticker.Stop()
			beat = ticker.C
		}
		for {
			idle := false
			select {
			case <-f.ready:
			case <-beat:
				idle = true
			case <-ctx.Done():
				return
			case <-e.done:
				yield(job.FeedUpdate{}, errStopping())
				return
			}
			u := e.feeds.take(f)
			if (idle || !u.Empty()) && !yield(u, nil) {
				return
			}
		}
	}
}

// WatchFeed implements job.Service.
func (e *Engine) WatchFeed(ctx context.Context, id string, w job.FeedWatch) error {
	if err := w.Check(); err != nil {
		return err
	}
	caller, _ := job.CallerFrom(ctx)
	return e.feeds.watch(id, caller, w)
}

// sameCaller reports whether two requests come from the same one: by number over the socket, by
// name elsewhere.
func sameCaller(a, b job.Caller) bool { return a.UID == b.UID && a.Name == b.Name }

func noFeed(id string) error {
	return &job.Error{Code: job.NotFound, Field: "id", Message: fmt.Sprintf("there is no feed %.40q", id), Hint: "open one: GET /api/feed; it lives as long as its connection"}
}

// record keeps the latest record of a job for the reader.
func (f *feed) record(id int64, text json.RawMessage) {
	f.bytes += len(text) - len(f.records[id])
	f.records[id] = text
	if f.bytes > maxPending {
		f.resync()
	}
}

// forget keeps that a job is no longer on record.
func (f *feed) forget(id int64) {
	f.bytes -= len(f.records[id])
	delete(f.records, id)
	f.gone[id] = true
}

// resync replaces what waits by the advice to read all anew.
func (f *feed) resync() {
	f.next.Resync, f.next.Dirty, f.bytes = true, false, 0
	clear(f.records)
	clear(f.gone)
}

// watch replaces what is watched. What waits of jobs that no longer are is told as dirt.
func (f *feed) watch(w job.FeedWatch) {
	f.jobs, f.logs = set(w.Jobs), set(w.Logs)
	clear(f.next.Logs)
	for id, text := range f.records {
		if !f.jobs[id] {
			f.bytes -= len(text)
			delete(f.records, id)
			f.next.Dirty = true
		}
	}
	for id := range f.gone {
		if !f.jobs[id] {
			delete(f.gone, id)
			f.next.Dirty = true
		}
	}
}

// log keeps what is known of a log for the reader.
func (f *feed) log(id int64, now job.FeedLog) {
	if f.next.Logs == nil {
		f.next.Logs = map[int64]job.FeedLog{}
	}
	f.next.Logs[id], f.logs[id] = now, false
}

// take returns what waits.
func (f *feed) take() job.FeedUpdate {
	u := f.next
	for _, id := range slices.Sorted(maps.Keys(f.records)) {
		u.Jobs = append(u.Jobs, f.records[id])
	}
	u.Gone = slices.Sorted(maps.Keys(f.gone))
	f.next, f.bytes = job.FeedUpdate{Seq: u.Seq}, 0
	clear(f.records)
	clear(f.gone)
	return u
}

// tell wakes the reader.
func (f *feed) tell() { token(f.ready) }

// token puts one into a channel that holds one, unless it is there.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func set(ids []int64) map[int64]bool {
	m := make(map[int64]bool, len(ids))
	for _, id := range ids {
		m[id] = true
	}
	return m
}
