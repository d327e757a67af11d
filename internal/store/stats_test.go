package store_test

import (
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
)

func TestWaits(t *testing.T) {
	for i := range len(store.Waits{}) {
		bound := store.WaitBound(i)
		if got := store.WaitIndex(bound); got != i {
			t.Errorf("%s is counted at %d, want %d", bound, got, i)
		}
		if got, want := store.WaitIndex(bound+bound/100), min(i+1, 59); got != want {
			t.Errorf("%s is counted at %d, want %d", bound+bound/100, got, want)
		}
	}
	for _, d := range []time.Duration{-time.Hour, 0, 1} {
		if i := store.WaitIndex(d); i != 0 {
			t.Errorf("%s is counted at %d", d, i)
		}
	}
	if i := store.WaitIndex(1 << 62); i != 59 {
		t.Errorf("a century is counted at %d", i)
	}
	var w store.Waits
	if w.Quantile(0.5) != 0 || w.Count() != 0 {
		t.Errorf("of nothing: %s", w.Quantile(0.5))
	}
	for i := range 100 {
		w.Add(time.Duration(i+1) * time.Second)
	}
	var twice store.Waits
	twice.Merge(&w)
	twice.Merge(&w)
	if twice.Count() != 200 {
		t.Errorf("%d are counted", twice.Count())
	}
	for q, want := range map[float64]time.Duration{0.01: time.Second, 0.5: 50 * time.Second, 0.95: 95 * time.Second, 1: 100 * time.Second} {
		if got := twice.Quantile(q); got < want*83/100 || got > want*120/100 {
			t.Errorf("quantile %v is %s, want %s or so", q, got, want)
		}
	}
}
