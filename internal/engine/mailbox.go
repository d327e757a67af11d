package engine

import "sync"

// mailbox hands inputs to the core in order. It never blocks a sender: what the runner has sent
// must be taken off the socket whatever the core is doing, or both could wait for each other. Its
// length is bounded by what the runner has not been acknowledged and by the callers that wait.
type mailbox struct {
	mu    sync.Mutex
	items []input
	ready chan struct{} // holds a token while items may be waiting
}

func newMailbox() *mailbox { return &mailbox{ready: make(chan struct{}, 1)} }

func (m *mailbox) put(in input) {
	m.mu.Lock()
	m.items = append(m.items, in)
	m.mu.Unlock()
	m.wake()
}

// wake makes the core take a step even without an input.
func (m *mailbox) wake() {
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// take returns all inputs that wait, oldest first.
func (m *mailbox) take() []input {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = nil
	return items
}
