package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// exited makes a job one that has ended.
func exited(code int, reason job.Reason) func(*job.Job) {
	return func(j *job.Job) { j.ExitCode, j.Reason = &code, reason }
}

func madeAt(at time.Time) func(*job.Job) { return func(j *job.Job) { j.CreatedAt = at } }

// testOutcomes selects by how and when jobs ended, and lists by that.
func testOutcomes(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	jobs := add(t, s,
		newJob(exited(1, job.ReasonExit), madeAt(start)),
		newJob(exited(137, job.ReasonSignal), madeAt(start.Add(time.Microsecond))),
		newJob(exited(0, ""), named("Backup"), madeAt(minute(2).Truncate(time.Second))),
		newJob(exited(1, job.ReasonTimeout), named("backup"), madeAt(minute(2).Truncate(time.Second).Add(100*time.Millisecond))),
		newJob(exited(0, job.ReasonUser), madeAt(minute(4))),
		newJob(exited(2, job.ReasonExit), madeAt(minute(5))),
		newJob(madeAt(minute(6))), newJob(inState(job.Held), madeAt(minute(7))), // 7, 8
	)
	finish(t, s, minute(14), job.Failed, jobs[0])
	finish(t, s, minute(13), job.Failed, jobs[1])
	finish(t, s, minute(12), job.Completed, jobs[2])
	finish(t, s, minute(12), job.Failed, jobs[3])
	finish(t, s, minute(11), job.Stopped, jobs[4])
	move(t, s, minute(16), job.Deleted, finish(t, s, minute(10), job.Failed, jobs[5])[0])
	deletedToo := []job.State{job.Deleted, job.Failed, job.Completed}
	second := minute(2).Truncate(time.Second)

	for _, c := range []struct {
		name string
		f    job.Filter
		want []int64
	}{
		{"exit code", job.Filter{ExitCodes: []int{1}}, []int64{4, 1}},
		{"exit codes", job.Filter{ExitCodes: []int{0, 137}}, []int64{5, 3, 2}},
		{"exit code and state", job.Filter{ExitCodes: []int{0}, States: []job.State{job.Stopped, job.Queued}}, []int64{5}},
		{"exit code of waiting jobs", job.Filter{ExitCodes: []int{0}, States: []job.State{job.Queued}}, nil},
		{"exit code, deleted too", job.Filter{ExitCodes: []int{1, 2}, States: deletedToo}, []int64{6, 4, 1}},
		{"no such exit code", job.Filter{ExitCodes: []int{3}}, nil},
		{"reason", job.Filter{Reasons: []job.Reason{job.ReasonExit}}, []int64{1}},
		{"reasons", job.Filter{Reasons: []job.Reason{job.ReasonTimeout, job.ReasonUser}}, []int64{5, 4}},
		{"reason and exit code", job.Filter{Reasons: []job.Reason{job.ReasonTimeout, job.ReasonExit}, ExitCodes: []int{1}}, []int64{4, 1}},
		{"reason of what has completed", job.Filter{Reasons: []job.Reason{job.ReasonExit}, States: []job.State{job.Completed}}, nil},
		{"text", job.Filter{Text: "bACKup"}, []int64{4, 3}},
		{"text and name", job.Filter{Text: "backup", Name: "tar", ExitCodes: []int{0}}, []int64{3}},
		{"since", job.Filter{Since: minute(5)}, []int64{8, 7}},
		{"since, with a fraction", job.Filter{Since: second.Add(time.Microsecond)}, []int64{8, 7, 5, 4}},
		{"since, to the microsecond", job.Filter{Since: second, Until: minute(3)}, []int64{4, 3}},
		{"until", job.Filter{Until: start.Add(time.Microsecond)}, []int64{1}},
		{"since in another zone", job.Filter{Since: minute(7).In(time.FixedZone("", 7200))}, []int64{8}},
		{"ended since", job.Filter{EndedSince: minute(13)}, []int64{2, 1}},
		{"ended until", job.Filter{EndedUntil: minute(13)}, []int64{5, 4, 3}},
		{"ended between", job.Filter{EndedSince: minute(12), EndedUntil: minute(13)}, []int64{4, 3}},
		{"ended since and state", job.Filter{EndedSince: minute(12), States: []job.State{job.Failed}}, []int64{4, 2, 1}},
		{"deletion is an end", job.Filter{EndedSince: minute(15), States: deletedToo}, []int64{6}},
		{"ended since, of what waits", job.Filter{EndedSince: start, States: []job.State{job.Queued, job.Held}}, nil},
		{"by number and end", job.Filter{EndedSince: start, IDs: []job.Range{{From: 3, To: 8}}}, []int64{6, 5, 4, 3}},
		{"queue, exit code and end", job.Filter{Queues: []string{job.DefaultQueue}, ExitCodes: []int{1}, EndedSince: minute(13)}, []int64{1}},
		{"last with an exit code", job.Filter{Last: true, ExitCodes: []int{1}}, []int64{4}},
		{"by number", job.Filter{Sort: job.SortOldest, ExitCodes: []int{1}}, []int64{1, 4}},
		{"newest first", job.Filter{Sort: job.SortNewest, Oldest: true, ExitCodes: []int{1}}, []int64{4, 1}},
		{"last ended first", job.Filter{Sort: job.SortLastEnded}, []int64{1, 2, 4, 3, 5}},
		{"first ended first", job.Filter{Sort: job.SortFirstEnded}, []int64{5, 3, 4, 2, 1}},
		{"last ended of one state", job.Filter{Sort: job.SortLastEnded, States: []job.State{job.Failed}}, []int64{1, 2, 4}},
		{"last ended with an exit code", job.Filter{Sort: job.SortLastEnded, ExitCodes: []int{1}}, []int64{1, 4}},
		{"first ended for reasons", job.Filter{Sort: job.SortFirstEnded, Reasons: []job.Reason{job.ReasonTimeout, job.ReasonExit, job.ReasonUser}}, []int64{5, 4, 1}},
		{"last ended in a time", job.Filter{Sort: job.SortLastEnded, EndedUntil: minute(14), ExitCodes: []int{0, 1}}, []int64{4, 3, 5}},
		{"last ended of these numbers", job.Filter{Sort: job.SortLastEnded, IDs: []job.Range{{From: 2, To: 3}, {From: 5, To: 7}}}, []int64{6, 2, 3, 5}},
		{"last ended of what waits", job.Filter{Sort: job.SortLastEnded, States: []job.State{job.Held}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			page, err := s.ListJobs(t.Context(), c.f)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "page", c.want, ids(page.Jobs))
			if !c.f.Last {
				diff(t, "page by page", c.want, ids(pages(t, s, c.f)))
			}
		})
	}
	t.Run("bad requests", func(t *testing.T) {
		page, err := s.ListJobs(t.Context(), job.Filter{Sort: job.SortLastEnded, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []job.Filter{{Sort: "name"}, {Reasons: []job.Reason{"why"}}, {Cursor: page.NextCursor}, {Sort: job.SortFirstEnded, Cursor: page.NextCursor},
			{Sort: job.SortLastEnded, Cursor: "bDE"}} {
			if _, err := s.ListJobs(t.Context(), f); job.CodeOf(err) != job.Invalid {
				t.Errorf("%s: %v", fmt.Sprint(f), err)
			}
		}
	})
}
