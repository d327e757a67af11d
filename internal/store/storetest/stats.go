package storetest

import (
	"math"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
)

func testStats(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	before := s.Seq()
	first := start.Truncate(time.Minute)
	at := func(n int) time.Time { return first.Add(time.Duration(n) * time.Minute) }
	want := func(what string, since time.Time, minutes ...store.Minute) {
		t.Helper()
		got, err := s.Minutes(t.Context(), since)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, what, minutes, got)
	}
	put := func(since time.Time, minutes ...store.Minute) {
		t.Helper()
		if err := s.PutMinutes(t.Context(), minutes, since); err != nil {
			t.Fatal(err)
		}
	}
	want("of an empty registry", time.Time{})
	a, b, c := store.Minute{At: at(0), Completed: 1}, store.Minute{At: at(1), Failed: 1 << 40, Stopped: 3}, store.Minute{At: at(9)}
	a.Waits[0], a.Waits[7] = 1, 300
	for i := range c.Waits {
		c.Waits[i] = math.MaxUint32
	}
	put(at(0), c, a)
	put(at(0), b)
	want("the oldest first", time.Time{}, a, b, c)
	want("from a time on", at(1), b, c)
	want("from a time within a minute on", at(1).Add(time.Second), c)
	a.Completed, a.Waits = 2, store.Waits{}
	put(at(0), a)
	want("after it was put again", at(0), a, b, c)
	put(at(1))
	want("after the first was forgotten", time.Time{}, b, c)
	put(at(9), a) // too old by now
	want("after an old one was put", time.Time{}, c)
	if s.Seq() != before {
		t.Error("minutes are among the changes")
	}
	sound(t, s)
}
