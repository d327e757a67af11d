package engine

import (
	"sync"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// mailbox hands inputs to the core in order. It never blocks a sender: what the runner has sent
// must be taken off the socket whatever the core is doing, or both could wait for each other. Its
// length is bounded by what the runner has not been acknowledged and by the callers that wait.
type mailbox struct {
	mu    sync.Mutex
	items []input
	ready chan struct{} // holds a token while items may be waiting

	said     *reported     // nil = nothing
	saidMore chan struct{} // holds a token while it may be something
}

func newMailbox() *mailbox {
	return &mailbox{ready: make(chan struct{}, 1), saidMore: make(chan struct{}, 1)}
}

func (m *mailbox) put(in input) {
	m.mu.Lock()
	m.items = append(m.items, in)
	m.mu.Unlock()
	m.wake()
}

// putReports hands over what runs say of themselves. The newest of each replaces what waits of it, so
// that no more waits than there are runs.
func (m *mailbox) putReports(from sender, reports []wire.Report) {
	m.mu.Lock()
	if m.said == nil || m.said.from != from {
		m.said = &reported{from: from, reports: make(map[string]wire.Report, len(reports))}
	}
	for i := range reports {
		m.said.reports[reports[i].RunID] = reports[i]
	}
	m.mu.Unlock()
	token(m.saidMore)
}

// takeReports returns what waits of them from a connection, nil for nothing. What another has brought stays:
// the core may be about to learn of that one.
func (m *mailbox) takeReports(from sender) *reported {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.said == nil || m.said.from != from {
		return nil
	}
	said := m.said
	m.said = nil
	return said
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
