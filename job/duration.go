package job

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration takes a number of seconds ("90", "1.5") or Go's form with days added ("1h30m",
// "7d", "2d12h"). Negative durations are refused.
func ParseDuration(s string) (Duration, error) {
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		return fromSeconds(seconds)
	}
	rest, days := s, 0.0
	if head, tail, ok := strings.Cut(s, "d"); ok {
		var err error
		if days, err = strconv.ParseFloat(head, 64); err != nil {
			return 0, durationError(s)
		}
		if rest = tail; rest == "" {
			rest = "0s"
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, durationError(s)
	}
	return fromSeconds(days*24*60*60 + d.Seconds())
}

func fromSeconds(seconds float64) (Duration, error) {
	if !(seconds >= 0) || seconds > math.MaxInt64/float64(time.Second)/2 {
		return 0, durationError(strconv.FormatFloat(seconds, 'g', -1, 64))
	}
	return Duration(math.Round(seconds * float64(time.Second))), nil
}

func durationError(s string) error {
	return &Error{Code: Invalid, Message: fmt.Sprintf("bad duration %q", s),
		Hint: `give seconds ("90") or units ("1h30m", "7d"), not below zero`}
}

// ParseTime takes a time as RFC 3339 has it, or how long before now it was, as ParseDuration takes it.
func ParseTime(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	ago, err := ParseDuration(s)
	if err != nil {
		return time.Time{}, &Error{Code: Invalid, Message: fmt.Sprintf("bad time %q", s),
			Hint: `give a time ("2026-01-02T03:04:05Z") or how long ago ("90", "24h", "7d")`}
	}
	return now.Add(-time.Duration(ago)).UTC(), nil
}
