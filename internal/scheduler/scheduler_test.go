package scheduler

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDecideTakesTurnsFromTheQueueAfterTheLastServed(t *testing.T) {
	s := State{MaxLive: 5, Live: 1, Last: "a", Queues: []Queue{
		{Name: "a", Waiting: []int64{1, 2, 3}},
		{Name: "b", Waiting: []int64{4, 5}, Limit: 1},
		{Name: "c", Waiting: []int64{6}, Paused: true},
		{Name: "d", Waiting: []int64{7}},
	}}
	got := Decide(s)
	if diff := cmp.Diff(Decision{Start: []int64{4, 7, 1, 2}, Last: "a"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestDecideKeepsEveryLimitAndFillsEverySlot holds Decide to what must be true of any decision.
func TestDecideKeepsEveryLimitAndFillsEverySlot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := State{MaxLive: rapid.IntRange(0, 12).Draw(t, "max"), Last: rapid.SampledFrom([]string{"", "a", "c", "z"}).Draw(t, "last")}
		next := int64(1)
		for _, name := range []string{"a", "b", "c", "d"} {
			q := Queue{Name: name, Limit: rapid.IntRange(0, 5).Draw(t, "limit"), Live: rapid.IntRange(0, 3).Draw(t, "live"),
				Paused: rapid.Bool().Draw(t, "paused")}
			for range rapid.IntRange(0, 6).Draw(t, "waiting") {
				q.Waiting = append(q.Waiting, next)
				next++
			}
			s.Live += q.Live
			s.Queues = append(s.Queues, q)
		}
		before := s
		d := Decide(s)

		total := before.Live
		for i := range before.Queues {
			q := before.Queues[i]
			var started []int64
			for _, id := range d.Start {
				if slices.Contains(q.Waiting, id) {
					started = append(started, id)
				}
			}
			if !slices.Equal(started, q.Waiting[:len(started)]) {
				t.Fatalf("queue %s: started %v out of the order %v", q.Name, started, q.Waiting)
			}
			if len(started) > 0 && (q.Paused || q.Limit > 0 && q.Live+len(started) > q.Limit) {
				t.Fatalf("queue %s: %d started over its limit or while paused", q.Name, len(started))
			}
			total += len(started)
		}
		if len(d.Start) > 0 && before.MaxLive > 0 && total > before.MaxLive {
			t.Fatalf("%d live, limit %d", total, before.MaxLive)
		}
		after := before
		after.Live = total
		for i := range before.Queues {
			q := before.Queues[i]
			n := 0
			for _, id := range d.Start {
				if slices.Contains(q.Waiting, id) {
					n++
				}
			}
			q.Live += n
			if n < len(q.Waiting) && after.Free(&q) > 0 {
				t.Fatalf("queue %s: a free slot and a waiting job are left", q.Name)
			}
		}
	})
}
