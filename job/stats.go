package job

import (
	"context"
	"fmt"
	"time"
)

// StatsService tells what was done in the last days.
type StatsService interface {
	// Stats returns how many jobs ended and how long they had waited, from counters that are kept
	// as it happens: its cost does not grow with the jobs on record. Errors: Invalid (range, buckets).
	Stats(ctx context.Context, o StatsOptions) (*Stats, error)
}

// StatsRange is how far back statistics go.
type StatsRange string

// Ranges.
const (
	LastHour StatsRange = "1h"
	LastDay  StatsRange = "24h"
	LastWeek StatsRange = "7d"
)

// StatsRanges lists every range.
var StatsRanges = []StatsRange{LastHour, LastDay, LastWeek}

// Duration returns how long r is, 0 for no range.
func (r StatsRange) Duration() time.Duration {
	return map[StatsRange]time.Duration{LastHour: time.Hour, LastDay: 24 * time.Hour, LastWeek: 7 * 24 * time.Hour}[r]
}

// MaxBuckets is the most buckets of statistics, DefaultBuckets how many there are when nobody says.
const (
	MaxBuckets     = 1000
	DefaultBuckets = 60
)

// StatsOptions says which statistics.
type StatsOptions struct {
	Range   StatsRange `json:"range,omitempty"`   // "" = LastHour
	Buckets int        `json:"buckets,omitempty"` // at most so many; 0 = DefaultBuckets
}

// Check refuses what is not offered, and puts in what is left out.
func (o *StatsOptions) Check() error {
	if o.Range == "" {
		o.Range = LastHour
	}
	if o.Range.Duration() == 0 {
		return &Error{Code: Invalid, Field: "range", Message: fmt.Sprintf("there are no statistics of %q", o.Range), Hint: "one of 1h, 24h, 7d"}
	}
	if o.Buckets < 0 || o.Buckets > MaxBuckets {
		return &Error{Code: Invalid, Field: "buckets", Message: fmt.Sprintf("%d buckets can't be made", o.Buckets), Hint: fmt.Sprintf("give a number from 1 to %d", MaxBuckets)}
	}
	if o.Buckets == 0 {
		o.Buckets = DefaultBuckets
	}
	return nil
}

// Stats is what was done in the time from From to To, in buckets of Step seconds, which are whole
// minutes. The last bucket is not over yet.
type Stats struct {
	From       time.Time     `json:"from"`
	To         time.Time     `json:"to"`
	Step       int64         `json:"step"`
	Throughput []StatsEnds   `json:"throughput"`
	Latency    []StatsWaited `json:"latency"`
}

// StatsEnds is how many jobs ended in a bucket.
type StatsEnds struct {
	At        time.Time `json:"at"` // the beginning
	Completed int64     `json:"completed"`
	Failed    int64     `json:"failed"`
	Stopped   int64     `json:"stopped"`
}

// StatsWaited is how many seconds the jobs that started in a bucket had been queued: half of them P50
// at most, 95 of a hundred P95.
type StatsWaited struct {
	At  time.Time `json:"at"`
	P50 float64   `json:"p50"`
	P95 float64   `json:"p95"`
	N   int64     `json:"n"` // how many started
}
