package engine

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

const (
	// feedPause lies between two rounds of telling: what comes meanwhile is told together.
	feedPause = 100 * time.Millisecond
	// quietPause follows a round that had nothing to tell: a log may be written to and not grow.
	quietPause = 10 * time.Millisecond
	// machinePause is how often the machine is looked at, and problems that come without a change,
	// while there is a feed.
	machinePause = 5 * time.Second
	// maxBehind is how many changes a round reads; beyond them every feed gets a resync.
	maxBehind = 16 * streamPage
)

// feeds merges changes for those who keep a picture of the queue up to date. One goroutine reads the
// changes for all of them, in rounds: the first change after a quiet time makes one at once, the
// next comes feedPause later. So each feed is told ten times a second at most, and what many watch is
// read and encoded once. While there is no feed it sleeps.
type feeds struct {
	e    *Engine
	wake chan struct{} // holds a token when a feed or what it watches has changed
	logs feedLogs      // the goroutine's own

	mu       sync.Mutex
	byID     map[string]*feed
	seq      uint64 // all changes up to here are told
	status   []byte // as it was told last, without what always changes
	again    bool   // it has to be told again
	watchers map[int64]map[*feed]bool
}

func newFeeds(e *Engine) *feeds {
	f := &feeds{e: e, wake: make(chan struct{}, 1), byID: map[string]*feed{}, watchers: map[int64]map[*feed]bool{}}
	f.logs = feedLogs{o: &e.o, byJob: map[int64]*feedLog{}, changed: f.wake}
	return f
}

// open begins a feed and returns its first update.
func (f *feeds) open(ctx context.Context) (*feed, job.FeedUpdate, error) {
	caller, _ := job.CallerFrom(ctx)
	n := &feed{id: rand.Text(), caller: caller, ready: make(chan struct{}, 1), records: map[int64]json.RawMessage{}, gone: map[int64]bool{}}
	f.mu.Lock()
	if len(f.byID) == 0 {
		f.seq = f.e.o.Store.Seq()
	}
	first := job.FeedUpdate{Feed: n.id, Seq: f.seq}
	n.next.Seq = f.seq
	f.byID[n.id] = n
	f.mu.Unlock()
	token(f.wake)

	// After the feed is there, so that nothing falls between the two.
	text, still, err := f.readStatus(ctx)
	if err != nil {
		f.close(n)
		return nil, first, err
	}
	first.Status = text
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.status == nil:
		f.status = still
	case n.next.Status != nil || !bytes.Equal(f.status, still):
		f.again = true // which of the two is the later is not known
	}
	return n, first, nil
}

func (f *feeds) close(n *feed) {
	f.mu.Lock()
	if delete(f.byID, n.id); len(f.byID) == 0 {
		f.status, f.again = nil, false
	}
	f.setWatched(n, job.FeedWatch{})
	f.mu.Unlock()
	token(f.wake) // logs that nobody watches any more
}

func (f *feeds) take(n *feed) job.FeedUpdate {
	f.mu.Lock()
	defer f.mu.Unlock()
	return n.take()
}

func (f *feeds) watch(id string, caller job.Caller, w job.FeedWatch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.byID[id]
	if n == nil || !sameCaller(n.caller, caller) {
		return noFeed(id)
	}
	f.setWatched(n, w)
	token(f.wake)
	if n.next.Dirty {
		n.tell()
	}
	return nil
}

// setWatched replaces what n watches. The lock is held.
func (f *feeds) setWatched(n *feed, w job.FeedWatch) {
	for id := range n.jobs {
		if delete(f.watchers[id], n); len(f.watchers[id]) == 0 {
			delete(f.watchers, id)
		}
	}
	n.watch(w)
	for id := range n.jobs {
		if f.watchers[id] == nil {
			f.watchers[id] = map[*feed]bool{}
		}
		f.watchers[id][n] = true
	}
}

// run tells until ctx ends.
func (f *feeds) run(ctx context.Context) {
	defer f.logs.watch(nil)
	next := f.e.o.Hub.changed()
	var slow <-chan time.Time // nil while there is no feed
	for {
		changed := next
		if slow == nil {
			changed = nil
		}
		look := false
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-f.wake:
		case <-slow:
			look, slow = true, nil
		}
		next = f.e.o.Hub.changed() // before what is on record is read
		there, told := f.round(ctx, look)
		switch {
		case !there:
			slow = nil
		case slow == nil:
			slow = time.After(machinePause)
		}
		pause := feedPause
		if !told {
			pause = quietPause
		}
		if !there {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// news is what one round has to tell.
type news struct {
	to      uint64
	jobs    map[int64]*job.Change // the last of each job
	queues  bool                  // one of them has changed
	resync  bool
	status  json.RawMessage
	logs    map[int64]bool // those that have changed
	machine *job.Machine
}

// round reads what is new and hands it to the feeds. It reports whether there are any, and whether
// one was told something. look asks for what changes without a change on record.
func (f *feeds) round(ctx context.Context, look bool) (there, told bool) {
	f.mu.Lock()
	there = len(f.byID) > 0
	from, wanted, stale := f.seq, map[int64]bool{}, f.again
	for _, n := range f.byID {
		for id := range n.logs {
			wanted[id] = true
		}
	}
	f.mu.Unlock()
	f.logs.watch(wanted)
	if !there {
		return false, false
	}
	n := f.read(ctx, from)
	n.logs = f.logs.read(ctx, n.jobs, look || n.resync)
	var err error
	if look {
		if n.machine, err = f.e.Machine(ctx); err != nil {
			f.e.o.Log.Warn("the machine can't be looked at", "error", err)
		}
	}
	if stale || look || n.to > from {
		if n.status, err = f.newStatus(ctx); err != nil && ctx.Err() == nil {
			f.e.o.Log.Error("a feed can't tell the status", "error", err)
		}
	}
	return true, f.hand(&n)
}

// read reads the changes behind from.
func (f *feeds) read(ctx context.Context, from uint64) news {
	n := news{to: from, jobs: map[int64]*job.Change{}}
	for read := 0; ; {
		changes, err := f.e.o.Store.Changes(ctx, n.to, streamPage)
		if read += len(changes); err != nil || read > maxBehind {
			if ctx.Err() == nil {
				f.e.o.Log.Info("the feeds have to read anew", "behind", read, "error", err)
			}
			return news{to: f.e.o.Store.Seq(), resync: true}
		}
		for i := range changes {
			c := &changes[i]
			if n.to = c.Seq; c.JobID == 0 {
				n.queues = true
				continue
			}
			n.jobs[c.JobID] = c
		}
		if len(changes) < streamPage {
			return n
		}
	}
}

// readStatus returns the status, and the same without what always changes.
func (f *feeds) readStatus(ctx context.Context) (text, still json.RawMessage, err error) {
	s, err := f.e.Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	if text, err = encode(s); err != nil {
		return nil, nil, err
	}
	s.Uptime, s.Seq = 0, 0
	still, err = encode(s)
	return text, still, err
}

// newStatus returns the status where it is another than was told last, nil else.
func (f *feeds) newStatus(ctx context.Context) (json.RawMessage, error) {
	text, still, err := f.readStatus(ctx)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if bytes.Equal(still, f.status) && !f.again {
		return nil, nil
	}
	f.status, f.again = still, false
	return text, nil
}

// hand gives the feeds what is new, and reports whether there was anything for one of them.
func (f *feeds) hand(n *news) (told bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq = max(f.seq, n.to)
	mine := map[*feed]int{} // how many of the changed jobs each feed watches
	var counts map[string]map[job.State]int64
	for id, c := range n.jobs {
		watchers := f.watchers[id]
		if len(watchers) == 0 {
			continue
		}
		var text json.RawMessage
		if c.Kind != job.JobPurged {
			if counts == nil {
				counts = f.e.o.Store.Counts().ByQueue
			}
			text = f.describe(c, counts)
		}
		for w := range watchers {
			if mine[w]++; text == nil {
				w.forget(id)
			} else {
				w.record(id, text)
			}
		}
	}
	for _, w := range f.byID {
		if n.resync {
			w.resync()
		}
		w.next.Seq = max(w.next.Seq, n.to)
		w.next.Dirty = w.next.Dirty || !w.next.Resync && (n.queues || mine[w] < len(n.jobs))
		if n.status != nil {
			w.next.Status = n.status
		}
		if n.machine != nil {
			w.next.Machine = n.machine
		}
		for id, untold := range w.logs {
			// One that is watched since this round began is looked at in the next.
			if g := f.logs.byJob[id]; g != nil && (untold || n.logs[id]) {
				w.log(id, g.now)
			}
		}
		if len(w.records)+len(w.gone) > 0 || !w.next.Empty() {
			told = true
			w.tell()
		}
	}
	return told
}

// describe returns a changed job as it is shown, nil for one that can't be read.
func (f *feeds) describe(c *job.Change, counts map[string]map[job.State]int64) json.RawMessage {
	j, err := c.Job()
	if err == nil {
		if j.State.Waiting() {
			j.WaitReason = f.e.waitReason(j, counts)
		}
		var text json.RawMessage
		if text, err = encode(j); err == nil {
			return text
		}
	}
	f.e.o.Log.Error("a change can't be told to a feed", "job", c.JobID, "seq", c.Seq, "error", err)
	return nil
}

// encode returns v as JSON on one line.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
