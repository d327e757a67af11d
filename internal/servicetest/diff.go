package servicetest

import (
	"time"

	"github.com/google/go-cmp/cmp"
)

// diff compares what is in JSON: an empty list is none, and times are equal when they are the same
// moment.
func diff(want, got any) string {
	return cmp.Diff(want, got, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }))
}
