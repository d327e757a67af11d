package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

func testConcurrency(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	const clients, each = 8, 40
	var wg sync.WaitGroup
	failures := make(chan error, 2*clients)
	run := func(f func() error) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := f(); err != nil {
				failures <- err
			}
		}()
	}
	ctx := t.Context()
	numbers := make([][]int64, clients)
	for c := range clients {
		run(func() error { // adds; each second addition is refused and must not take others with it
			for i := range each {
				p := store.AddJobs{At: start, Jobs: []store.NewJob{{Job: newJob(withKey(fmt.Sprintf("c%d-%d", c, i)))}}}
				if _, err := s.AddJobs(ctx, p); err != nil {
					return err
				}
				numbers[c] = append(numbers[c], p.Jobs[0].Job.ID)
				bad := store.AddJobs{At: start, Jobs: []store.NewJob{{Job: newJob(withKey(fmt.Sprintf("c%d-%d", c, i)))}}}
				if _, err := s.AddJobs(ctx, bad); job.CodeOf(err) != job.Conflict {
					return fmt.Errorf("a key used twice: %w", errors.Join(err, errors.New("want a conflict")))
				}
			}
			return nil
		})
		run(func() error { // claims in competition with the others
			for range each {
				got, err := s.Candidates(ctx, job.DefaultQueue, 3)
				if err != nil {
					return err
				}
				var up store.Commit
				up.At = minute(1)
				for _, j := range got {
					j.State, j.Node = job.Starting, fmt.Sprint("n", c)
					up.Updates = append(up.Updates, store.Update{Job: j, From: job.Queued})
				}
				done, err := s.Commit(ctx, up)
				if err != nil {
					return err
				}
				lost := map[int64]bool{}
				for _, id := range done.Conflicts {
					lost[id] = true
				}
				for _, j := range got {
					now, err := s.Job(ctx, j.ID)
					if err != nil {
						return err
					}
					if !lost[j.ID] && (now.Node != j.Node || now.Rev != j.Rev) {
						return fmt.Errorf("job %d was claimed by %s and is %s's", j.ID, j.Node, now.Node)
					}
				}
			}
			return nil
		})
	}
	wg.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	seen := map[int64]bool{}
	for _, list := range numbers {
		for _, id := range list {
			if seen[id] {
				t.Errorf("the number %d was given twice", id)
			}
			seen[id] = true
		}
	}
	if len(seen) != clients*each || !seen[1] || !seen[clients*each] {
		t.Errorf("%d numbers, want 1 to %d", len(seen), clients*each)
	}
	last := uint64(0)
	for _, c := range changes(t, s, 0) {
		if c.Seq != last+1 {
			t.Errorf("change %d follows %d", c.Seq, last)
		}
		last = c.Seq
	}
	sound(t, s)
}
