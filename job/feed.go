package job

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strconv"
)

// FeedService serves who keeps a picture of the queue up to date, as a page does: the latest state
// of what it watches, not each change on the way there.
type FeedService interface {
	// Feed opens a feed and yields what has become of what it watches, at most ten times a second and
	// the last state always, until ctx ends. The first update has Feed and Status. What comes while the
	// reader does not read is merged; a feed that fell behind yields Resync.
	Feed(ctx context.Context, o FeedOptions) iter.Seq2[FeedUpdate, error]
	// WatchFeed replaces what a feed of the same caller watches. What has changed of a job since it
	// was read and before it was watched is told by Dirty. Errors: NotFound for a feed that has
	// ended or is another's, Invalid for too many.
	WatchFeed(ctx context.Context, id string, w FeedWatch) error
}

// FeedOptions says how a feed is read.
type FeedOptions struct {
	// Beat is after how long without anything to tell an empty update is yielded; 0 = never.
	Beat Duration `json:"-"`
}

// Bounds of FeedWatch.
const (
	MaxFeedJobs = 2000
	MaxFeedLogs = 20
)

// FeedWatch is what a feed watches: jobs by number, and those whose logs' length is told too.
type FeedWatch struct {
	Jobs []int64 `json:"jobs,omitempty"`
	Logs []int64 `json:"logs,omitempty"`
}

// Check refuses what is too much. Errors: Invalid.
func (w *FeedWatch) Check() error {
	for _, l := range []struct {
		field string
		n     int
		limit int
	}{{"jobs", len(w.Jobs), MaxFeedJobs}, {"logs", len(w.Logs), MaxFeedLogs}} {
		if l.n > l.limit {
			return invalid(l.field, "a feed can't watch "+strconv.Itoa(l.n)+" "+l.field, "at most "+strconv.Itoa(l.limit)+": those that are shown now")
		}
	}
	return nil
}

// FeedUpdate is what has changed since the update before. Its records are JSON, made once for all
// feeds that get them.
type FeedUpdate struct {
	Feed    string            // in the first update: the feed's id, for WatchFeed; hard to guess
	Resync  bool              // something was left out: read anew what is shown
	Seq     uint64            // all changes up to here are in it
	Status  json.RawMessage   // a Status; nil where only its uptime and Seq have changed
	Jobs    []json.RawMessage // the present Job of each that is watched and has changed
	Gone    []int64           // watched jobs that are no longer on record
	Dirty   bool              // something that is not watched has changed: lists may be out of date
	Logs    map[int64]FeedLog // by job
	Machine *Machine          // now and then
}

// FeedLog is how much there is to read of a job's newest log.
type FeedLog struct {
	Attempt    int   `json:"attempt"`               // 0 before the first
	Size       int64 `json:"size"`                  // bytes
	StderrSize int64 `json:"stderr_size,omitempty"` // of a split job
	Complete   bool  `json:"complete,omitempty"`    // the attempt has ended
}

// Empty reports whether u tells nothing but its position.
func (u *FeedUpdate) Empty() bool {
	return u.Feed == "" && !u.Resync && u.Status == nil && len(u.Jobs)+len(u.Gone)+len(u.Logs) == 0 && !u.Dirty && u.Machine == nil
}

// AppendJSON appends u as one JSON object without line breaks.
func (u *FeedUpdate) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	if u.Feed != "" {
		b = append(strconv.AppendQuote(append(b, `"feed":`...), u.Feed), ',') // ASCII
	}
	if u.Resync {
		b = append(b, `"resync":true,`...)
	}
	b = strconv.AppendUint(append(b, `"seq":`...), u.Seq, 10)
	if u.Status != nil {
		b = append(append(b, `,"status":`...), u.Status...)
	}
	for i, j := range u.Jobs {
		b = append(append(b, separator(i, `,"jobs":[`)...), j...)
	}
	b = closeList(b, len(u.Jobs))
	for i, id := range u.Gone {
		b = strconv.AppendInt(append(b, separator(i, `,"gone":[`)...), id, 10)
	}
	b = closeList(b, len(u.Gone))
	if u.Dirty {
		b = append(b, `,"dirty":true`...)
	}
	if len(u.Logs) > 0 {
		b = u.appendLogs(append(b, `,"logs":{`...))
	}
	if u.Machine != nil {
		b = append(append(b, `,"machine":`...), mustJSON(u.Machine)...)
	}
	return append(b, '}')
}

func separator(i int, first string) string {
	if i == 0 {
		return first
	}
	return ","
}

func closeList(b []byte, n int) []byte {
	if n == 0 {
		return b
	}
	return append(b, ']')
}

func (u *FeedUpdate) appendLogs(b []byte) []byte {
	for i, id := range slices.Sorted(maps.Keys(u.Logs)) {
		b = append(append(b, separator(i, "")...), '"')
		b = append(strconv.AppendInt(b, id, 10), `":`...)
		b = append(b, mustJSON(u.Logs[id])...)
	}
	return append(b, '}')
}

// mustJSON encodes a value of plain numbers, which cannot fail.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// MarshalJSON returns what AppendJSON appends.
func (u FeedUpdate) MarshalJSON() ([]byte, error) { return u.AppendJSON(nil), nil }

// UnmarshalJSON reads what AppendJSON writes.
func (u *FeedUpdate) UnmarshalJSON(b []byte) error {
	var f struct {
		Feed    string
		Resync  bool
		Seq     uint64
		Status  json.RawMessage
		Jobs    []json.RawMessage
		Gone    []int64
		Dirty   bool
		Logs    map[int64]FeedLog
		Machine *Machine
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*u = FeedUpdate(f)
	return nil
}
