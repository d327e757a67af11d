package runner

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTree(t *testing.T) {
	snap := Snapshot{
		{PID: 1, Session: 1},
		{PID: 10, PPID: 1, Session: 10, Ticks: 5},              // the leader
		{PID: 11, PPID: 10, Session: 10},                       // its child
		{PID: 12, PPID: 11, Session: 12},                       // a grandchild with a session of its own
		{PID: 13, PPID: 1, Session: 10},                        // in the session, orphaned
		{PID: 14, PPID: 1, Session: 14, RunID: "a"},            // double-forked, setsid
		{PID: 15, PPID: 14, Session: 15},                       // its child, environment cleaned
		{PID: 16, PPID: 10, Session: 10, Zombie: true},         // dead
		{PID: 17, PPID: 16, Session: 17},                       // child of a dead one
		{PID: 20, PPID: 1, Session: 20, Ticks: 7},              // known from before
		{PID: 21, PPID: 20, Session: 21},                       // its child
		{PID: 22, PPID: 1, Session: 22, Ticks: 9},              // has a number that was known
		{PID: 30, PPID: 1, Session: 30, RunID: "b"},            // another run
		{PID: 31, PPID: 1, Session: 31, Ticks: 1, RunID: "ab"}, // nor this
	}
	for _, tt := range []struct {
		name    string
		session int
		known   map[int]uint64
		want    []int
	}{
		{"all", 10, map[int]uint64{20: 7, 22: 8}, []int{10, 11, 12, 13, 14, 15, 17, 20, 21}},
		{"leader's pid not held", 0, nil, []int{14, 15}},
		{"nothing known", 10, nil, []int{10, 11, 12, 13, 14, 15, 17}},
	} {
		var got []int
		for _, p := range newIndex(snap).tree("a", tt.session, tt.known) {
			got = append(got, p.PID)
		}
		slices.Sort(got)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	if p, ok := carrier(snap, "a"); !ok || p.PID != 14 {
		t.Errorf("carrier %+v", p)
	}
	if _, ok := carrier(snap, "none"); ok {
		t.Error("a carrier of nothing")
	}
}
