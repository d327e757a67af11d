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
