package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// runs has the runner report that a job started and ended at once.
func (s *stage) runs(j *job.Job, at time.Time, ev wire.Event) {
	s.t.Helper()
	now := s.job(j.ID)
	ev.Kind, ev.RunID, ev.JobID, ev.Fence, ev.At = wire.Exited, now.RunID, j.ID, now.Fence, at
	started := ev
	started.Kind = wire.Started
	started.Seq, ev.Seq = s.seq+1, s.seq+2
	s.seq += 2
	s.in.put(received{from: s.conn, events: []wire.Event{started, ev}})
	synctest.Wait()
}

// TestTally looks at what is on record of the minutes: written a minute after it happened, and at the
// daemon's end, in the minute in which it happened.
func TestTally(t *testing.T) {
	onStage(t, 10, func(t *testing.T, s *stage) {
		begun := time.Now()
		recorded := func(what string, want ...store.Minute) {
			t.Helper()
			got, err := s.store.Minutes(t.Context(), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", what, d)
			}
		}
		minute := func(at time.Time) store.Minute { return store.Minute{At: at.Truncate(time.Minute).UTC()} }
		late, ancient, early := s.add(), s.add(), s.add()
		zero := 0
		time.Sleep(8 * 24 * time.Hour) // nobody was there to hear of the ends
		now := time.Now()
		synctest.Wait()
		s.runs(late, now.Add(-time.Hour), wire.Event{ExitCode: &zero})
		s.runs(ancient, begun.Add(time.Second), wire.Event{ExitCode: &zero})
		s.runs(early, now.Add(time.Hour), wire.Event{ExitCode: &zero}) // by a clock that goes wrong
		recorded("before the minute is over")
		time.Sleep(tallyInterval)
		synctest.Wait()
		before, present := minute(now.Add(-time.Hour)), minute(now)
		before.Completed, present.Completed = 1, 1
		before.Waits.Add(now.Add(-time.Hour).Sub(begun))
		present.Waits.Add(now.Add(time.Hour).Sub(begun))
		recorded("a minute later", before, present)

		again, err := newTally(t.Context(), &s.o)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range job.StatsRanges {
			o := job.StatsOptions{Range: r, Buckets: 60}
			if d := cmp.Diff(s.core.done.stats(o), again.stats(o)); d != "" {
				t.Errorf("%s, of the next daemon (-this +next):\n%s", r, d)
			}
		}
		end := s.add()
		s.runs(end, time.Now(), wire.Event{ExitCode: new(int), Cause: wire.CauseStop})
		last := minute(time.Now())
		last.Stopped = 1
		last.Waits.Add(0)
		s.Close()
		recorded("after the end", before, present, last)
	})
}
