package auth

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// A source of failed logins may have failuresAtOnce, then one each failureEvery.
	failuresAtOnce = 10
	failureEvery   = 6 * time.Second
	// All sources together.
	allFailuresAtOnce = 100
	allFailureEvery   = 100 * time.Millisecond
	// throttleSources bounds how many sources are remembered.
	throttleSources = 4096
)

// throttle limits failed logins by where they come from, and all together. Secrets are too long to
// be guessed: this keeps those who try from keeping the service busy and from filling the audit.
type throttle struct {
	mu  sync.Mutex
	by  map[netip.Prefix]*bucket
	all bucket
}

// bucket counts failures, which are forgotten one by one.
type bucket struct {
	n     float64
	since time.Time
}

// leak forgets what is to be forgotten by now.
func (b *bucket) leak(now time.Time, every time.Duration) {
	if passed := now.Sub(b.since); passed > 0 {
		b.n = max(0, b.n-float64(passed)/float64(every))
	}
	b.since = now
}

// source is what counts as one source: an address, or the network that one customer has in IPv6.
func source(from string) netip.Prefix {
	ip, err := netip.ParseAddr(from)
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := ip.Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// wait returns how long a source has to wait before it may try again, 0 for not at all.
func (t *throttle) wait(from string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.leak(now, allFailureEvery)
	wait := time.Duration((t.all.n - allFailuresAtOnce + 1) * float64(allFailureEvery))
	if b := t.by[source(from)]; b != nil {
		b.leak(now, failureEvery)
		wait = max(wait, time.Duration((b.n-failuresAtOnce+1)*float64(failureEvery)))
	}
	return max(0, wait)
}

// fail counts a failure.
func (t *throttle) fail(from string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.leak(now, allFailureEvery)
	t.all.n++
	key := source(from)
	b := t.by[key]
	if b == nil {
		if t.by == nil {
			t.by = map[netip.Prefix]*bucket{}
		}
		if len(t.by) >= throttleSources {
			t.makeRoom(now)
		}
		b = &bucket{since: now}
		t.by[key] = b
	}
	b.leak(now, failureEvery)
	b.n++
}

// makeRoom forgets the sources that may fail as often as ever, or else the one that has failed
// least.
func (t *throttle) makeRoom(now time.Time) {
	var least netip.Prefix
	fewest := -1.0
	for key, b := range t.by {
		if b.leak(now, failureEvery); b.n == 0 {
			delete(t.by, key)
			continue
		}
		if fewest < 0 || b.n < fewest {
			least, fewest = key, b.n
		}
	}
	if len(t.by) >= throttleSources {
		delete(t.by, least)
	}
}
