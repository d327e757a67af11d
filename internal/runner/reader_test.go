package runner

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// ledger is books with one run, which has an account and no leader; it counts how often it is asked for leaders.
type ledger struct {
	uid   uint32
	asked int
}

func (l *ledger) speaker(id string) (uint32, bool, bool) { return l.uid, true, id == "known" }
func (l *ledger) leader(int) (string, bool)              { l.asked++; return "", false }
func (l *ledger) account(uid uint32) bool                { return uid == l.uid }

// sleeper is a process that leads no session, with env as its environment.
func sleeper(t *testing.T, env ...string) int {
	t.Helper()
	cmd := exec.Command("/bin/sleep", "1000")
	cmd.Env = env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has not ended before
		_ = cmd.Wait()         // nor ended well
	})
	return cmd.Process.Pid
}

// TestStrangersCostNothing: for a sender whose account no run has, nothing is looked at; who belongs to no run is looked at
// once; of a huge environment little is read.
func TestStrangersCostNothing(t *testing.T) {
	books := &ledger{uid: 4242}
	h := &hearing{own: 4343, books: books, uids: map[string]uint32{}} // without proc: looking would panic
	r := newReader(h)
	t.Cleanup(func() { close(r.do); r.run() })
	me := os.Getpid()
	if id, unborn := r.whose(sender{pid: me, uid: 4444}); id != "" || unborn || books.asked != 0 {
		t.Errorf("a stranger is %q %t, and %d leaders were looked at", id, unborn, books.asked)
	}
	h.uids["forking"] = 4444
	if !h.mayBeOurs(4444) || !h.mayBeOurs(4242) || !h.mayBeOurs(4343) || !h.mayBeOurs(0) || h.mayBeOurs(4445) {
		t.Error("whom the runner listens to: runs, those that are forked now, itself, root")
	}
	h.proc = new(procfs)
	if err := h.proc.init(); err != nil {
		t.Fatal(err)
	}
	// This process is no child of its own, and so belongs to no run for certain.
	if id, _ := r.whose(sender{pid: me, uid: 4242}); id != "" || books.asked < 2 {
		t.Errorf("%q after %d leaders", id, books.asked)
	}
	books.asked = 0
	if id, _ := r.whose(sender{pid: me, uid: 4242}); id != "" || books.asked != 1 || len(r.others) != 1 {
		t.Errorf("%q: looked at again, %d leaders, %d remembered", id, books.asked, len(r.others))
	}
	small := sleeper(t, "A=1", "QUEUEMGR_RUN_ID=known")
	large := "A=" + strings.Repeat("x", 100<<10)
	huge := sleeper(t, "QUEUEMGR_RUN_ID=known", large, "B"+large, "C"+large)
	if id, _ := r.whose(sender{pid: small, uid: 4242}); id != "known" {
		t.Errorf("by its environment: %q", id)
	}
	if id, _ := r.whose(sender{pid: huge, uid: 4242}); id != "" {
		t.Errorf("by a huge environment: %q", id)
	}
	if len(r.kin) != 1 || len(r.others) != 1 { // a child of this process may belong to a run that is being forked
		t.Errorf("remembered: %+v %+v", r.kin, r.others)
	}
}

// TestAccountsOfRuns: an account is known from the start of its first run to the end of its last, also by the
// next runner.
func TestAccountsOfRuns(t *testing.T) {
	c := newCoreTest(t)
	uid := uint32(4242)
	c.opts.Drops = true
	c.tell(starts("a", "b"))
	for i, s := range c.sys.spawned {
		if c.account(uid) != (i > 0) {
			t.Errorf("with %d runs: %t", i, c.account(uid))
		}
		c.HandleSpawned(Spawned{RunID: s.RunID, At: c.sys.now, Process: &Process{PID: 100 + i, Ticks: 1, Child: true, FD: -1, UID: uid}})
		c.Flush()
	}
	c.end("a", 0)
	if !c.account(uid) || c.account(uid+1) {
		t.Errorf("while one of two runs: %v", c.uids)
	}
	c.restart()
	if !c.account(uid) {
		t.Errorf("to the next runner: %v", c.uids)
	}
	c.tell(&wire.Message{})
	for _, r := range c.orderedRuns() {
		if r.Exited == nil {
			c.ended(r, r.event(wire.Exited, c.sys.now))
		}
	}
	if len(c.uids) > 0 {
		t.Errorf("after the last one: %v", c.uids)
	}
}

// TestEarlyWordsOfAnother: what was said before a fork is answered is the run's, unless it was said before its
// process began: an earlier one had the pid.
func TestEarlyWordsOfAnother(t *testing.T) {
	now := ticksNow()
	for ticks, want := range map[uint64]bool{now - 1: true, now: true, now + 1000: false} {
		h := &hearing{own: 4343, runs: map[string]*heardRun{}, unborn: map[int]*heardRun{}}
		d, _ := parseDatagram([]byte("STATUS=early"))
		h.keep(&d, "", sender{pid: 77, uid: 4242}, time.Now())
		s, any := h.said("run", &Process{PID: 77, UID: 4242, Ticks: ticks}, true)
		if any != want || any && *s.Status != "early" || len(h.unborn) > 0 {
			t.Errorf("begun %d ticks from now: %+v", int64(ticks-now), s)
		}
	}
}
