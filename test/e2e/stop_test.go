package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// stubborn is a tree that ignores TERM in the leader, its children, and a process that has left by
// a double fork into a session of its own, which tells the test when all of it is there.
const stubborn = `trap '' TERM INT HUP
sleep 1000 &
(sleep 1001 &)
(setsid sh -c 'trap "" TERM HUP; sleep 1002 & sleep 1003 & echo away >"$ARRIVED"; wait' &) &
while :; do sleep 1; done`

func TestStopLeavesNothingOfAStubbornTree(t *testing.T) {
	t.Parallel()
	for _, verb := range [][]string{{"stop", "--grace", "0.3"}, {"stop", "--force"}, {"delete", "--grace", "0.3"}, {"delete", "--force"}} {
		t.Run(fmt.Sprint(verb), func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.start()
			arrived := newFIFO(h, "arrived")
			mark := "STUBBORN=" + h.Home
			id := h.add("--env", mark, "--env", "ARRIVED="+arrived.path, "--", "sh", "-c", stubborn)
			arrived.line()
			tree, err := harness.ProcessesWith(mark)
			if err != nil || len(tree) < 6 {
				t.Fatalf("the tree has %d processes, want at least 6: %v, %v", len(tree), tree, err)
			}
			follow := h.follow(h.status().Seq)
			want := job.Stopped
			if verb[0] == "delete" {
				want = job.Deleted
			}
			h.must(append(append([]string{"job"}, verb...), fmt.Sprint(id))...)
			if j := h.job(id); j.State != want {
				follow.state(id, want)
			}
			left, err := harness.ProcessesWith(mark)
			if err != nil || len(left) > 0 {
				t.Errorf("survivors: %v, %v", left, err)
			}
		})
	}
}

// TestStopOfAnEndedJobKeepsItsEnd holds that an exit before the stop signal stays what it was.
func TestStopOfAnEndedJobKeepsItsEnd(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	id := h.add("--", "sh", "-c", "exit 4")
	h.wait(id)
	h.refused(4, nil, "job", "stop", fmt.Sprint(id))
	h.wantEnd(id, job.Failed, job.ReasonExit, 4)
}

// TestStoppedJobIsNoSuccess stops a job that tidies up and exits 0.
func TestStoppedJobIsNoSuccess(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	arrived := newFIFO(h, "arrived")
	id := h.add("--", "sh", "-c", fmt.Sprintf("trap 'echo tidy; exit 0' TERM; echo $$ >'%s'; while :; do sleep 0.05; done", arrived.path))
	arrived.line()
	h.must("job", "stop", fmt.Sprint(id))
	if code := h.wait(id); code != 125 {
		t.Errorf("job wait exits %d, want 125", code)
	}
	if j := h.wantEnd(id, job.Stopped, job.ReasonUser, 0); j.Result != nil {
		t.Errorf("its result is %s", j.Result)
	}
	if log := h.logs(id); !strings.HasSuffix(log, "tidy\n") {
		t.Errorf("its log is %q, and does not end as the job did", log)
	}
	if jobs := h.status().Jobs; jobs[job.Completed] != 0 || jobs[job.Stopped] != 1 {
		t.Errorf("the counts are %v", jobs)
	}
}

// TestDeleteForce holds that no grace is given.
func TestDeleteForce(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	arrived := newFIFO(h, "arrived")
	id := h.add("--grace", "600", "--", "sh", "-c", fmt.Sprintf("trap 'echo asked' TERM; echo $$ >'%s'; while :; do sleep 0.05; done", arrived.path))
	pid := arrived.pid()
	h.must("job", "delete", "--force", "--wait", fmt.Sprint(id))
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("process %d lives on", pid)
	}
	if j := h.job(id); j.State != job.Deleted || j.Signal != int(syscall.SIGKILL) {
		t.Errorf("state %s, signal %d; want deleted, 9", j.State, j.Signal)
	}
	if log := h.logs(id); log != "" {
		t.Errorf("it was asked first: %q", log)
	}
}
