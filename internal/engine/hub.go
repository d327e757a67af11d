package engine

import (
	"slices"
	"sync"

	"github.com/queuemgr/queuemgr/job"
)

// Hub tells who waits that something was committed. It holds no changes: readers take those from
// the store, so that a slow reader costs nothing.
type Hub struct {
	mu       sync.Mutex
	next     chan struct{} // closed at the next commit
	watchers map[int64]map[chan struct{}]bool
	onCommit []func()
}

// NewHub returns a hub; its Publish goes into the store's options.
func NewHub() *Hub {
	return &Hub{next: make(chan struct{}), watchers: map[int64]map[chan struct{}]bool{}}
}

// OnCommit has f called after every later commit. It must not block.
func (h *Hub) OnCommit(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.onCommit = append(slices.Clip(h.onCommit), f)
}

// Publish is the store's OnCommit.
func (h *Hub) Publish(changes []job.Change) {
	h.mu.Lock()
	close(h.next)
	h.next = make(chan struct{})
	if len(h.watchers) > 0 {
		for i := range changes {
			for w := range h.watchers[changes[i].JobID] {
				select {
				case w <- struct{}{}:
				default: // it has not looked since the last token
				}
			}
		}
	}
	onCommit := h.onCommit
	h.mu.Unlock()
	for _, f := range onCommit {
		f()
	}
}

// changed returns a channel that is closed at the next commit.
func (h *Hub) changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next
}

// watch returns a channel that gets a token after changes of the job, and what ends the watch.
func (h *Hub) watch(id int64) (<-chan struct{}, func()) {
	w := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers[id] == nil {
		h.watchers[id] = map[chan struct{}]bool{}
	}
	h.watchers[id][w] = true
	return w, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.watchers[id], w)
		if len(h.watchers[id]) == 0 {
			delete(h.watchers, id)
		}
	}
}
