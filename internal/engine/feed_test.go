package engine

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// listener reads a feed as fast as it tells, or when it is let.
type listener struct {
	s    *stage
	id   string
	hold chan struct{} // not nil: one token for each update but the first
	stop context.CancelFunc

	mu   sync.Mutex
	got  []job.FeedUpdate
	at   []time.Time
	err  error
	over bool
}

func (s *stage) listen(caller job.Caller, hold chan struct{}) *listener {
	s.t.Helper()
	ctx, stop := context.WithCancel(job.WithCaller(s.t.Context(), caller))
	l := &listener{s: s, hold: hold, stop: stop}
	go func() {
		for u, err := range s.Feed(ctx, job.FeedOptions{}) {
			if u.Feed == "" && hold != nil {
				<-hold
			}
			l.mu.Lock()
			l.got, l.at, l.err = append(l.got, u), append(l.at, time.Now()), err
			l.mu.Unlock()
		}
		l.mu.Lock()
		l.over = true
		l.mu.Unlock()
	}()
	synctest.Wait()
	if got := l.take(); len(got) != 1 || got[0].Feed == "" {
		s.t.Fatalf("the feed began with %d updates: %+v", len(got), got)
	} else {
		l.id = got[0].Feed
	}
	time.Sleep(feedPause) // the round that opened it is over
	synctest.Wait()
	return l
}

// take returns what was read since the last take.
func (l *listener) take() []job.FeedUpdate {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.got
	l.got, l.at = nil, nil
	return got
}

func (l *listener) watch(caller job.Caller, ids ...int64) {
	l.s.t.Helper()
	if err := l.s.WatchFeed(job.WithCaller(l.s.t.Context(), caller), l.id, job.FeedWatch{Jobs: ids}); err != nil {
		l.s.t.Fatal(err)
	}
	time.Sleep(feedPause)
	synctest.Wait()
	l.take()
}

func states(t *testing.T, updates []job.FeedUpdate) map[int64]job.State {
	t.Helper()
	m := map[int64]job.State{}
	for _, u := range updates {
		for _, text := range u.Jobs {
			var j job.Job
			if err := json.Unmarshal(text, &j); err != nil {
				t.Fatal(err)
			}
			m[j.ID] = j.State
		}
	}
	return m
}

var ann, bob = job.Caller{UID: 1001, Name: "ann"}, job.Caller{UID: 1002, Name: "bob"}

// edit changes a job on record without the engine's knowing.
func (s *stage) edit(id int64, name string) {
	s.t.Helper()
	j := s.job(id)
	next := *j
	next.Name = name
	if _, err := s.store.Commit(s.t.Context(), store.Commit{At: time.Now(), Updates: []store.Update{{Job: &next, From: j.State}}}); err != nil {
		s.t.Fatal(err)
	}
}

// TestFeedTellsTenTimesASecond changes a job a thousand times a second: the first change is told at
// once, then ten times a second, and the last one at the end.
func TestFeedTellsTenTimesASecond(t *testing.T) {
	onStage(t, 0, func(t *testing.T, s *stage) {
		held, err := s.AddJob(job.WithCaller(t.Context(), ann), job.Spec{Command: []string{"true"}, Hold: true})
		if err != nil {
			t.Fatal(err)
		}
		l := s.listen(ann, nil)
		l.watch(ann, held.ID)
		begin := time.Now()
		const changes = 1000
		for i := range changes {
			s.edit(held.ID, strings.Repeat("x", 1+i%7)+"!")
			time.Sleep(time.Millisecond)
		}
		s.edit(held.ID, "the last")
		time.Sleep(2 * feedPause)
		synctest.Wait()
		l.mu.Lock()
		first, at := l.at[0], l.at
		l.mu.Unlock()
		for i := 1; i < len(at); i++ {
			if d := at[i].Sub(at[i-1]); d < feedPause {
				t.Errorf("update %d comes %s after the one before", i, d)
			}
		}
		got := l.take()
		if first != begin || len(got) < 10 || len(got) > 12 {
			t.Errorf("%d updates in a second, the first after %s", len(got), first.Sub(begin))
		}
		var j job.Job
		if err := json.Unmarshal(got[len(got)-1].Jobs[0], &j); err != nil || j.Name != "the last" {
			t.Errorf("told last: %+v, %v", j, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, u := range l.take() {
			if u.Machine == nil || len(u.Jobs) > 0 || u.Dirty {
				t.Fatalf("told while nothing happens: %+v", u)
			}
		}
		l.stop()
		synctest.Wait()
	})
}

// TestFeedOfASlowReader merges what comes while the reader does not read: it then gets the last state
// of each job once.
func TestFeedOfASlowReader(t *testing.T) {
	onStage(t, 0, func(t *testing.T, s *stage) {
		ctx := job.WithCaller(t.Context(), ann)
		ids, err := s.AddJobs(ctx, job.Batch{Defaults: job.Spec{Command: []string{"true"}, Hold: true}, Jobs: make([]job.Spec, 3)})
		if err != nil {
			t.Fatal(err)
		}
		paused := true
		if _, err := s.SetQueue(ctx, job.DefaultQueue, job.QueueUpdate{Paused: &paused}); err != nil {
			t.Fatal(err)
		}
		hold := make(chan struct{})
		l := s.listen(ann, hold)
		if err := s.WatchFeed(ctx, l.id, job.FeedWatch{Jobs: ids}); err != nil {
			t.Fatal(err)
		}
		for range 50 {
			for _, a := range []job.Action{job.ActStop, job.ActStart, job.ActHold} {
				if _, err := s.Act(ctx, job.ActRequest{Action: a, Filter: job.Filter{IDs: []job.Range{{From: ids[0], To: ids[1]}}}}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(feedPause)
		}
		if _, err := s.Act(ctx, job.ActRequest{Action: job.ActDelete, Filter: job.Filter{IDs: []job.Range{{From: ids[0], To: ids[0]}}}}); err != nil {
			t.Fatal(err)
		}
		purged, err := s.store.Purge(t.Context(), store.Purge{States: []job.State{job.Deleted}, Limit: 9, At: time.Now()})
		if err != nil || len(purged) != 1 {
			t.Fatal(purged, err)
		}
		time.Sleep(feedPause)
		close(hold)
		synctest.Wait()
		got := l.take()
		if len(got) > 2 { // the one that was in the reader's hand, and what was merged since
			t.Errorf("%d updates for a reader that slept", len(got))
		}
		last := got[len(got)-1]
		want := map[int64]job.State{ids[1]: job.Held}
		if have := states(t, []job.FeedUpdate{last}); !maps.Equal(have, want) || len(last.Gone) != 1 || last.Gone[0] != ids[0] || last.Seq != s.store.Seq() {
			t.Errorf("told %v, gone %v, position %d; want %v, %d, %d", have, last.Gone, last.Seq, want, ids[0], s.store.Seq())
		}
		l.stop()
		synctest.Wait()
	})
}

// TestFeedThatFallsBehind gets a resync where more has changed, or more bytes wait, than it keeps.
func TestFeedThatFallsBehind(t *testing.T) {
	for name, spec := range map[string]struct {
		jobs int
		spec job.Spec
	}{
		"changes": {maxBehind + 1, job.Spec{Command: []string{"true"}, Hold: true}},
		"bytes":   {100, job.Spec{Command: []string{"true", strings.Repeat("x", maxPending/80)}, Hold: true}},
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, 0, func(t *testing.T, s *stage) {
				ctx := job.WithCaller(t.Context(), ann)
				l := s.listen(ann, nil)
				var ids []int64
				for id := range int64(100) {
					ids = append(ids, id+1)
				}
				l.watch(ann, ids...)
				if _, err := s.AddJobs(ctx, job.Batch{Defaults: spec.spec, Jobs: make([]job.Spec, spec.jobs)}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(feedPause)
				synctest.Wait()
				got := l.take()
				if len(got) != 1 || !got[0].Resync || got[0].Seq != s.store.Seq() || len(got[0].Jobs) == len(ids) {
					t.Fatalf("%d updates, the first: resync %v, %d jobs, position %d of %d", len(got), got[0].Resync, len(got[0].Jobs), got[0].Seq, s.store.Seq())
				}
				s.edit(2, "after")
				time.Sleep(feedPause)
				synctest.Wait()
				if got = l.take(); len(got) != 1 || got[0].Resync || len(got[0].Jobs) != 1 {
					t.Errorf("after the resync: %+v", got)
				}
				l.stop()
				synctest.Wait()
			})
		})
	}
}

// TestFeedIsItsCallers lets nobody else choose what a feed watches, and ends with the engine.
func TestFeedIsItsCallers(t *testing.T) {
	onStage(t, 0, func(t *testing.T, s *stage) {
		l := s.listen(ann, nil)
		l.watch(ann, 1)
		err := s.WatchFeed(job.WithCaller(t.Context(), bob), l.id, job.FeedWatch{})
		if job.CodeOf(err) != job.NotFound {
			t.Errorf("bob chooses what ann's feed watches: %v", err)
		}
		if err := s.WatchFeed(t.Context(), l.id, job.FeedWatch{}); job.CodeOf(err) != job.NotFound {
			t.Errorf("nobody chooses: %v", err)
		}
		l.stop()
		synctest.Wait()
		if err := s.WatchFeed(job.WithCaller(t.Context(), ann), l.id, job.FeedWatch{}); job.CodeOf(err) != job.NotFound {
			t.Errorf("a feed that has ended: %v", err)
		}
		other := s.listen(bob, nil)
		if err := s.Shutdown(job.WithCaller(t.Context(), ann), true); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		other.mu.Lock()
		defer other.mu.Unlock()
		if !other.over || job.CodeOf(other.err) != job.Unavailable {
			t.Errorf("over %v with %v", other.over, other.err)
		}
	})
}
