package cli

import (
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

func TestPrintDone(t *testing.T) {
	many := make([]int64, 25)
	for i := range many {
		many[i] = int64(i + 1)
	}
	other := map[int64]string{2: "is being stopped", 3: "completed before it was stopped"}
	for _, test := range []struct {
		name string
		done []int64
		want string
	}{
		{"few", []int64{1, 2, 3}, "job 1 is stopped\njob 2 is being stopped\njob 3 completed before it was stopped\n"},
		{"many", many, "1 job completed before it was stopped\n1 job is being stopped\n23 jobs: each is stopped\n"},
	} {
		a, out := testApp()
		if err := a.printDone(actOptions{action: job.ActStop}, deedOf(job.ActStop), job.ActResult{Done: test.done}, other); err != nil {
			t.Fatal(err)
		}
		if out.String() != test.want {
			t.Errorf("%s:\n%swant\n%s", test.name, out, test.want)
		}
	}
}

func TestPassOver(t *testing.T) {
	failed := func() []job.ActFailure {
		return []job.ActFailure{{JobID: 5, Error: &job.Error{Code: job.WrongState}}, {JobID: 6, Error: &job.Error{Code: job.WrongState}},
			{JobID: 7, Error: &job.Error{Code: job.NotFound}}}
	}
	for _, test := range []struct {
		name            string
		filter          job.Filter
		failed, skipped int
	}{
		{"a range", job.Filter{IDs: []job.Range{{From: 5, To: 7}}}, 1, 2},
		{"a range and one of it by itself", job.Filter{IDs: []job.Range{{From: 5, To: 7}, {From: 6, To: 6}}}, 2, 1},
		{"a range and a key, which may be of any", job.Filter{IDs: []job.Range{{From: 5, To: 7}}, Keys: []string{"k"}}, 3, 0},
	} {
		r := job.ActResult{Failed: failed()}
		passOver(test.filter, &r)
		if len(r.Failed) != test.failed || r.Skipped != test.skipped {
			t.Errorf("%s: %d failed, %d passed over, want %d and %d", test.name, len(r.Failed), r.Skipped, test.failed, test.skipped)
		}
	}
}
