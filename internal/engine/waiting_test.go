package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/job"
)

// TestWaitingForAJobThatEndsWithTheEngine has the job's end and then that of the engine come between
// the waiters' look at the record and their waiting: its end is on record, so they learn it.
func TestWaitingForAJobThatEndsWithTheEngine(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		j := s.add()
		s.tell(j.ID, wire.Event{Kind: wire.Started, PID: 7})
		s.seq++
		run, code := s.job(j.ID), 3
		s.store.onJob = func() { <-s.done }

		const waiters = 16 // each would be wrong half of the time
		ended := make(chan *job.Job, waiters)
		given := make(chan struct{}, waiters) // tokens of logs whose follower was sent away
		for range waiters {
			go func() {
				j, err := s.WaitJob(t.Context(), j.ID)
				if err != nil {
					t.Errorf("wait: %v", err)
				}
				ended <- j
			}()
			done := s.attemptDone(t.Context(), func() { given <- struct{}{} }, j.ID, 1)
			s.wg.Go(func() {
				select {
				case <-done:
				case <-time.After(time.Hour):
					t.Error("the follower of a log is not told that the job has ended")
				}
			})
		}
		synctest.Wait()
		s.in.put(received{from: s.conn, events: []wire.Event{{Kind: wire.Exited, Seq: s.seq, RunID: run.RunID, JobID: j.ID, Fence: run.Fence,
			At: time.Now(), Cause: wire.CauseExit, ExitCode: &code}}})
		s.in.put(call{f: func(c *core, t *tx) error { c.beginShutdown(t, true); return nil }, reply: make(chan error, 1)})
		for range waiters {
			if j := <-ended; j.State != job.Failed {
				t.Errorf("waited until the job is %s", j.State)
			}
		}
		if len(given) > 0 {
			t.Errorf("%d followers of the log were sent away", len(given))
		}
	})
}
