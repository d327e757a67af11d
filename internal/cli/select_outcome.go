package cli

import (
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// timeFlags are the flags that select by time, in the order of selection.times.
var timeFlags = [4]string{"since", "until", "ended-since", "ended-until"}

// outcome reads the flags on how and when jobs ended.
func (s *selection) outcome(f *job.Filter) error {
	for _, word := range splitCommas(s.reason) {
		if !slices.Contains(job.Reasons, job.Reason(word)) {
			return usage("--reason: unknown reason \""+word+"\"", didYouMean(word, "the reasons are", reasonNames()))
		}
		f.Reasons = append(f.Reasons, job.Reason(word))
	}
	now := time.Now()
	for i, to := range []*time.Time{&f.Since, &f.Until, &f.EndedSince, &f.EndedUntil} {
		if s.times[i] == "" {
			continue
		}
		t, err := job.ParseTime(s.times[i], now)
		if err != nil {
			return usage("--"+timeFlags[i]+": "+err.Error(), "")
		}
		*to = t
	}
	return nil
}

func reasonNames() []string {
	names := make([]string, len(job.Reasons))
	for i, r := range job.Reasons {
		names[i] = string(r)
	}
	return names
}
