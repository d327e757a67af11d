package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

func testList(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	if err := s.AddQueue(t.Context(), job.Queue{Name: "night"}, start); err != nil {
		t.Fatal(err)
	}
	jobs := add(t, s,
		newJob(named("Backup of /home"), tagged("daily", "disk")),       // 1
		newJob(inQueue("night"), ofType("resize"), tagged("daily")),     // 2
		newJob(inState(job.Held), withKey("k4"), ownedBy("bob")),        // 3
		newJob(withKey("k5"), running("convert", "50%_x", "ÄÖÜ.png")),   // 4
		newJob(inState(job.Scheduled), inQueue("night"), tagged("dai")), // 5
		newJob(), newJob(), // 6, 7
	)
	finish(t, s, minute(1), job.Completed, jobs[5])
	move(t, s, minute(2), job.Deleted, jobs[6])

	cases := []struct {
		name string
		f    job.Filter
		want []int64
	}{
		{"overlapping ranges and keys", job.Filter{IDs: []job.Range{{From: 1, To: 4}, {From: 3, To: 5}, {From: 4, To: 4}}, Keys: []string{"k4", "k5"}}, []int64{5, 4, 3, 2, 1}},
		{"queues", job.Filter{Queues: []string{"night", "default", "night"}}, []int64{6, 5, 4, 3, 2, 1}},
		{"queue and state", job.Filter{Queues: []string{"default"}, States: []job.State{job.Held, job.Completed, job.Deleted}}, []int64{7, 6, 3}},
		{"all but deleted, newest first", job.Filter{}, []int64{6, 5, 4, 3, 2, 1}},
		{"oldest first", job.Filter{Oldest: true}, []int64{1, 2, 3, 4, 5, 6}},
		{"by number, deleted too", job.Filter{IDs: []job.Range{{From: 1, To: 2}, {From: 6, To: 60}}}, []int64{7, 6, 2, 1}},
		{"by key", job.Filter{Keys: []string{"k4", "none"}}, []int64{3}},
		{"by number or key", job.Filter{IDs: []job.Range{{From: 1, To: 1}}, Keys: []string{"k5"}}, []int64{4, 1}},
		{"by number and state", job.Filter{IDs: []job.Range{{From: 1, To: 9}}, States: []job.State{job.Held}}, []int64{3}},
		{"last", job.Filter{Last: true}, []int64{6}},
		{"last of a queue", job.Filter{Last: true, Queues: []string{"night"}}, []int64{5}},
		{"a number and last", job.Filter{IDs: []job.Range{{From: 2, To: 2}}, Last: true}, []int64{6, 2}},
		{"a key and last of a queue", job.Filter{Keys: []string{"k5"}, Last: true, Queues: []string{"night"}}, []int64{5}},
		{"last of none", job.Filter{Last: true, Queues: []string{"x"}}, nil},
		{"states", job.Filter{States: []job.State{job.Completed, job.Held}}, []int64{6, 3}},
		{"deleted", job.Filter{States: []job.State{job.Deleted}}, []int64{7}},
		{"deleted and others", job.Filter{States: []job.State{job.Deleted, job.Completed}}, []int64{7, 6}},
		{"queue", job.Filter{Queues: []string{"night"}}, []int64{5, 2}},
		{"type", job.Filter{Types: []string{"resize", "x"}}, []int64{2}},
		{"a whole tag", job.Filter{Tags: []string{"dai"}}, []int64{5}},
		{"all of the tags", job.Filter{Tags: []string{"disk", "daily"}}, []int64{1}},
		{"owner", job.Filter{Owner: "bob"}, []int64{3}},
		{"owner and type", job.Filter{Owner: "bob", Types: []string{"command", "resize"}}, []int64{3}},
		{"owner and a tag", job.Filter{Owner: "bob", Tags: []string{"daily"}}, nil},
		{"a tag and types", job.Filter{Tags: []string{"daily"}, Types: []string{"resize", "command"}}, []int64{2, 1}},
		{"a tag twice", job.Filter{Tags: []string{"daily", "daily"}}, []int64{2, 1}},
		{"by number and tag", job.Filter{IDs: []job.Range{{From: 2, To: 4}, {From: 5, To: 5}}, Tags: []string{"daily"}}, []int64{2}},
		{"name, case ignored", job.Filter{Name: "bACKup OF"}, []int64{1}},
		{"command across arguments", job.Filter{Name: "convert 50%_X äöü"}, []int64{4}},
		{"no wildcards", job.Filter{Name: "con%"}, nil},
		{"several together", job.Filter{Tags: []string{"daily"}, States: []job.State{job.Queued}, Queues: []string{"night"}}, []int64{2}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			page, err := s.ListJobs(t.Context(), c.f)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "page", c.want, ids(page.Jobs))
			if page.NextCursor != "" {
				t.Errorf("there is a next page: %q", page.NextCursor)
			}
			for _, j := range page.Jobs {
				diff(t, "record", get(t, s, j.ID), j)
			}
			if !c.f.Last {
				diff(t, "page by page", c.want, ids(pages(t, s, c.f)))
			}
		})
	}

	t.Run("tags that change", func(t *testing.T) {
		next := *get(t, s, 2)
		next.Tags = []string{`a"b`, "disk"}
		if done := commit(t, s, store.Commit{At: minute(3), Updates: []store.Update{{Job: &next, From: next.State}}}); len(done.Conflicts) > 0 {
			t.Fatal("a conflict")
		}
		for tag, want := range map[string][]int64{"daily": {1}, "disk": {2, 1}, `a"b`: {2}} {
			page, err := s.ListJobs(t.Context(), job.Filter{Tags: []string{tag}})
			if err != nil {
				t.Fatal(err)
			}
			diff(t, tag, want, ids(page.Jobs))
		}
		sound(t, s)
	})

	t.Run("very large selections", func(t *testing.T) {
		for queues, ok := range map[int]bool{100: true, 40_000: false} {
			var f job.Filter
			for i := range 400 {
				f.IDs = append(f.IDs, job.Range{From: int64(i + 1), To: int64(i + 2)})
			}
			for i := range queues - 1 {
				f.Queues = append(f.Queues, fmt.Sprint("queue", i))
			}
			f.Queues = append(f.Queues, "night")
			page, err := s.ListJobs(t.Context(), f)
			if !ok {
				refused(t, err, job.Invalid)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "page", []int64{5, 2}, ids(page.Jobs))
		}
	})

	t.Run("pages do not shift", func(t *testing.T) {
		first, err := s.ListJobs(t.Context(), job.Filter{Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		add(t, s, newJob())
		next, err := s.ListJobs(t.Context(), job.Filter{Limit: 2, Cursor: first.NextCursor})
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "pages", []int64{6, 5, 4, 3}, slices.Concat(ids(first.Jobs), ids(next.Jobs)))
	})

	t.Run("bad requests", func(t *testing.T) {
		page, err := s.ListJobs(t.Context(), job.Filter{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []job.Filter{{Limit: -1}, {Limit: job.MaxLimit + 1}, {Cursor: "x"}, {Cursor: "bi0x"}, {Cursor: page.NextCursor + "A"},
			{Cursor: page.NextCursor, Oldest: true}, {Cursor: "7"}} {
			_, err := s.ListJobs(t.Context(), f)
			refused(t, err, job.Invalid)
		}
	})
}

// pages lists everything two at a time.
func pages(t *testing.T, s store.Store, f job.Filter) (all []*job.Job) {
	t.Helper()
	f.Limit = 2
	for {
		page, err := s.ListJobs(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Jobs...)
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			return all
		}
	}
}
