package e2e

import (
	"fmt"
	"testing"

	"github.com/queuemgr/queuemgr/internal/crashpoint"
	"github.com/queuemgr/queuemgr/test/harness"
)

// TestLogsOfPurgedJobsGoAfterACrash lets the daemon die when a job's record is purged and its log is
// not removed yet. The next daemon removes that log, and no other.
func TestLogsOfPurgedJobsGoAfterACrash(t *testing.T) {
	t.Parallel()
	for _, point := range crashpoint.Retention {
		h := newHome(t)
		h.Bin = crashBinaries
		h.write("config.toml", "cleanup_interval = 1\n[retention]\nfailed = \"0.1s\"\n")
		h.Env = []string{"QUEUEMGR_CRASH=" + point}
		h.start()
		victim, err := h.DaemonPID()
		if err != nil {
			t.Fatal(err)
		}
		kept := h.add("--", "echo", "kept")
		h.wait(kept)
		g := newGates(h)
		running := h.add("--", "sh", "-c", "echo running; "+g.script("true"))
		g.arrived.line()
		purged := h.add("--", "sh", "-c", "echo purged; exit 1")
		if err := harness.WaitPID(h.ctx, victim); err != nil {
			t.Fatalf("%s was never reached: %v", point, err)
		}
		if logs := h.logFiles(purged); len(logs) != 1 {
			t.Fatalf("the daemon died at %s and left %v", point, logs)
		}

		h.Env = nil
		h.start()
		h.refused(3, nil, "job", "status", fmt.Sprint(purged))
		follow := h.follow(h.status().Seq)
		follow.purged(h.add("--", "sh", "-c", "echo the next; exit 1")) // retention begins when the sweep has ended
		if logs := h.logFiles(purged); len(logs) > 0 {
			t.Errorf("still there: %v", logs)
		}
		g.gate.release(1)
		h.wait(running)
		for id, want := range map[int64]string{kept: "kept\n", running: "running\n"} {
			if got := h.logs(id); got != want {
				t.Errorf("the log of job %d is %q, want %q", id, got, want)
			}
		}
	}
}
