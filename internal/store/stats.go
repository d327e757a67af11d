package store

import (
	"context"
	"math"
	"time"
)

// Stats is the record of how many jobs ended and how long they had waited, by the minute. Like
// Access it is no change.
type Stats interface {
	// Minutes returns those from since on, the oldest first.
	Minutes(ctx context.Context, since time.Time) ([]Minute, error)
	// PutMinutes records minutes, each in place of what is on record of it, and forgets those before
	// since.
	PutMinutes(ctx context.Context, minutes []Minute, since time.Time) error
}

// Minute is what happened in one minute.
type Minute struct {
	At                         time.Time // its beginning
	Completed, Failed, Stopped int64
	Waits                      Waits
}

// Waits counts durations by their length: Waits[i] is how many took WaitBound(i) at most and more
// than the bound before. The last one counts all that are longer, too.
type Waits [60]uint32

// WaitBound returns the longest duration that Waits[i] counts: a millisecond, and from one to the next
// half as much again or a little less (the square root of 2), up to nine days.
func WaitBound(i int) time.Duration {
	return time.Duration(float64(time.Millisecond) * math.Pow(2, float64(i)/2))
}

// Add counts a duration.
func (w *Waits) Add(d time.Duration) { w[WaitIndex(d)]++ }

// WaitIndex returns the i for which Waits[i] counts d.
func WaitIndex(d time.Duration) int {
	if d <= time.Millisecond {
		return 0
	}
	i := int(math.Ceil(2*math.Log2(float64(d)/float64(time.Millisecond)) - 1e-9))
	return min(i, len(Waits{})-1)
}

// Merge adds the counts of other.
func (w *Waits) Merge(other *Waits) {
	for i, n := range other {
		w[i] += n
	}
}

// Count returns how many durations there are.
func (w *Waits) Count() (n int64) {
	for _, k := range w {
		n += int64(k)
	}
	return n
}

// Quantile returns a duration that the share q of all does not exceed, 0 where there are none. It is
// off by a sixth at most, as far as Waits tells lengths apart.
func (w *Waits) Quantile(q float64) time.Duration {
	rank := max(1, int64(math.Ceil(q*float64(w.Count()))))
	for i, k := range w {
		if rank -= int64(k); rank > 0 {
			continue
		}
		if i == 0 {
			return WaitBound(0) / 2
		}
		return time.Duration(math.Sqrt(float64(WaitBound(i-1)) * float64(WaitBound(i)))) // the middle, where lengths grow by factors
	}
	return 0
}
