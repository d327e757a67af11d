package storetest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

func testChanges(t *testing.T, open func(*testing.T) store.Store) {
	t.Run("each write in order, gapless", func(t *testing.T) {
		s := open(t)
		first := s.Seq()
		j := newJob(withKey("k"))
		_, err := s.AddJobs(t.Context(), store.AddJobs{At: minute(1), Jobs: []store.NewJob{{Job: j, Env: []string{"SECRET=hunter2"}}, {Job: newJob()}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.AddQueue(t.Context(), job.Queue{Name: "q", Concurrency: 3}, minute(2)); err != nil {
			t.Fatal(err)
		}
		ended := finish(t, s, minute(3), job.Completed, j)[0]
		if err := s.DeleteQueue(t.Context(), "q", minute(4)); err != nil {
			t.Fatal(err)
		}
		purge(t, s, 1)
		if _, err := s.NextEpoch(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		got := changes(t, s, first)
		want := []job.Change{
			{Kind: job.JobAdded, JobID: 1, State: job.Queued, Queue: "default", At: minute(1)},
			{Kind: job.JobAdded, JobID: 2, State: job.Queued, Queue: "default", At: minute(1)},
			{Kind: job.QueueSet, Queue: "q", At: minute(2)},
			{Kind: job.JobChanged, JobID: 1, State: job.Starting, Was: job.Queued, Queue: "default", At: minute(3)},
			{Kind: job.JobChanged, JobID: 1, State: job.Completed, Was: job.Starting, Queue: "default", At: minute(3)},
			{Kind: job.QueueDeleted, Queue: "q", At: minute(4)},
			{Kind: job.JobPurged, JobID: 1, State: job.Completed, Was: job.Completed, Queue: "default", At: purgedAt},
		}
		if len(got) != len(want) {
			t.Fatalf("%d changes, want %d: %v", len(got), len(want), got)
		}
		for i, c := range got {
			want[i].Seq, want[i].JSON = first+uint64(i)+1, c.JSON
			diff(t, "change", want[i], c)
			if strings.Contains(string(c.JSON), "hunter2") {
				t.Errorf("a change holds the environment: %s", c.JSON)
			}
			parsed, err := job.ParseChange(c.JSON)
			if err != nil {
				t.Fatalf("%s: %v", c.JSON, err)
			}
			c.Was = "" // is no part of its JSON
			diff(t, "parsed change", c, parsed)
		}
		if s.Seq() != first+uint64(len(want)) {
			t.Errorf("Seq is %d", s.Seq())
		}
		inChange, err := got[4].Job()
		if err != nil {
			t.Fatal(err)
		}
		public, err := json.Marshal(ended)
		if err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(inChange)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "the job in its change", string(public), string(again))
		q, err := got[2].QueueConfig()
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "the queue in its change", &job.Queue{Name: "q", Concurrency: 3}, q)
	})

	t.Run("of what a running job reports", func(t *testing.T) {
		s := open(t)
		live := move(t, s, minute(2), job.Running, move(t, s, minute(1), job.Starting, add(t, s, newJob())...)...)[0]
		before, half := s.Seq(), 50
		said, stale := *live, *live
		said.Progress, said.StatusText = &half, "half of it"
		done, err := s.Commit(t.Context(), store.Commit{At: minute(3), Updates: []store.Update{{Job: &said, From: job.Running, Kind: job.JobReported}}})
		if err != nil || len(done.Conflicts) > 0 || said.Rev != live.Rev+1 {
			t.Fatalf("%+v, %v, rev %d after %d", done, err, said.Rev, live.Rev)
		}
		got := changes(t, s, before)
		if len(got) != 1 || got[0].Kind != job.JobReported || got[0].State != job.Running || !strings.Contains(string(got[0].JSON), `"progress":50,"status_text":"half of it"`) {
			t.Errorf("changes: %+v", got)
		}
		diff(t, "on record", &said, get(t, s, live.ID))
		done, err = s.Commit(t.Context(), store.Commit{At: minute(4), Updates: []store.Update{{Job: &stale, From: job.Running, Kind: job.JobReported}}})
		if err != nil || len(done.Conflicts) != 1 {
			t.Errorf("of a record that is not the present one: %+v, %v", done, err)
		}
		diff(t, "on record", &said, get(t, s, live.ID))
		if n := s.Counts().ByQueue["default"][job.Running]; n != 1 {
			t.Errorf("%d are counted as running", n)
		}
	})

	t.Run("pruned ones are refused", func(t *testing.T) {
		s := open(t)
		first := s.Seq()
		for range 10 {
			add(t, s, newJob())
		}
		prune := func(upTo uint64, limit, want int) {
			t.Helper()
			n, err := s.PruneChanges(t.Context(), upTo, limit)
			if err != nil {
				t.Fatal(err)
			}
			if n != want {
				t.Errorf("%d pruned, want %d", n, want)
			}
		}
		prune(first+4, 3, int(first)*0+3)
		prune(first+4, 100, int(first)+1)
		prune(first+4, 100, 0)
		last := s.Seq()
		if n := len(changes(t, s, first+4)); n != 6 {
			t.Errorf("%d changes are left, want 6", n)
		}
		prune(last+100, 100, 6)
		if s.Seq() != last {
			t.Errorf("Seq went from %d to %d", last, s.Seq())
		}
		if c, err := s.Changes(t.Context(), last, 1); err != nil || len(c) != 0 {
			t.Errorf("after the last: %v, %v", c, err)
		}
		_, err := s.Changes(t.Context(), 0, 0)
		refused(t, err, job.Invalid)
		add(t, s, newJob())
		if c := changes(t, s, last); len(c) != 1 || c[0].Seq != last+1 {
			t.Errorf("the next change is %v", c)
		}
		sound(t, s)
	})
}
