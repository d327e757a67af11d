package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// killsARound is how often the daemon is killed while a round's jobs are added and run.
const killsARound = 5

// effect is what every job of the chaos does: it leaves a line in a file of its own and exits with
// the code it is told.
const effect = `echo run >>"$1/$QUEUEMGR_JOB_ID"; sleep 0.05; exit "$2"`

// TestSIGKILLUnderLoad kills the daemon again and again while clients add and jobs wait and run.
// No acknowledged job may be lost, end with another code than its own, or run twice.
func TestSIGKILLUnderLoad(t *testing.T) {
	rounds := 3
	if chaos {
		rounds = 20
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds {
		t.Run(fmt.Sprintf("round %d", round+1), func(t *testing.T) {
			h := newHome(t, "QUEUEMGR_MAX_CONCURRENT_JOBS=4")
			h.start()
			newAdders(h).round(random)
		})
	}
}

// adders are clients that add jobs and remember what they were told.
type adders struct {
	h       *home
	effects string

	underway atomic.Int32 // additions that clients have begun and that have not ended

	mu    sync.Mutex
	codes map[int64]int // of every acknowledged job
}

func newAdders(h *home) *adders {
	h.t.Helper()
	a := &adders{h: h, effects: h.Path("effects"), codes: map[int64]int{}}
	if err := os.Mkdir(a.effects, 0o700); err != nil {
		h.t.Fatal(err)
	}
	return a
}

func (a *adders) round(random *rand.Rand) {
	h, t := a.h, a.h.t
	a.bulk(300)
	ctx, stop := context.WithCancel(h.ctx)
	defer stop()
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() { a.keepAdding(ctx, i) })
	}
	defer wg.Wait()
	acked := a.acknowledged()
	for k := range killsARound {
		// The moment is to be a random one: this is no wait for anything.
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
		h.untilStatus("clients to add, 100 jobs to wait and 2 to run", func(s *job.Status) bool {
			return s.Jobs[job.Queued] >= 100 && s.Jobs[job.Running] >= 2 && a.acknowledged() > acked && a.underway.Load() > 0
		})
		h.kill()
		acked = a.acknowledged()
		h.start()
		if s := h.status(); s.Jobs[job.Queued] < 100 {
			t.Errorf("kill %d: only %d jobs waited", k+1, s.Jobs[job.Queued])
		}
	}
	stop()
	wg.Wait()
	h.untilAllEnded(nil)
	a.check()
}

// bulk adds n jobs in one file.
func (a *adders) bulk(n int) {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"command":["sh","-c",%q,"sh",%q,"%d"]}`, effect, a.effects, i%5)
	}
	for i, id := range a.h.addFile(lines...) {
		a.codes[id] = i % 5
	}
}

// keepAdding is a shell loop's work. An addition that fails is tried no second time: whether it
// was carried out is unknown to the client, and must then have happened at most once.
func (a *adders) keepAdding(ctx context.Context, i int) {
	for ; ctx.Err() == nil; i++ {
		a.underway.Add(1)
		r, err := a.h.Run(a.h.ctx, "job", "add", "-q", "--", "sh", "-c", effect, "sh", a.effects, strconv.Itoa(i%5))
		a.underway.Add(-1)
		id, parseErr := strconv.ParseInt(strings.TrimSpace(r.Stdout), 10, 64)
		if err == nil && r.Code == 0 && parseErr == nil {
			a.mu.Lock()
			a.codes[id] = i % 5
			a.mu.Unlock()
		}
	}
}

func (a *adders) acknowledged() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.codes)
}

// check holds every acknowledged job against its record, every record against its command and its
// effect, and registry.jsonl against all of them.
func (a *adders) check() {
	t, h := a.h.t, a.h
	jobs := h.jobs()
	for id, want := range a.codes {
		j := jobs[id]
		if j == nil {
			t.Errorf("acknowledged job %d is not on record", id)
			continue
		}
		if told := j.Command[len(j.Command)-1]; told != strconv.Itoa(want) {
			t.Errorf("job %d was told to exit with %s, want %d", id, told, want)
		}
	}
	h.must("daemon", "stop") // what is committed is written by then
	last := followed(t, h.read(h.Path("lib", "registry.jsonl")))
	for id, j := range jobs {
		want := j.Command[len(j.Command)-1]
		if codeOf(j) != want || (j.State == job.Completed) != (want == "0") || j.Attempt != 1 {
			t.Errorf("job %d: %s (%s), exit code %s, attempt %d, error %q; want %s", id, j.State, j.Reason, codeOf(j), j.Attempt, j.Error, want)
		}
		text, err := os.ReadFile(a.effects + "/" + strconv.FormatInt(id, 10))
		if err != nil || string(text) != "run\n" {
			t.Errorf("job %d (%s) left %q, %v; want one line", id, j.State, text, err)
		}
		if last[id] != j.State {
			t.Errorf("job %d is %s, and %q in registry.jsonl", id, j.State, last[id])
		}
	}
	effects, err := os.ReadDir(a.effects)
	if err != nil || len(effects) != len(jobs) {
		t.Errorf("%d jobs have run, %d are on record: %v", len(effects), len(jobs), err)
	}
	t.Logf("%d jobs acknowledged, %d on record", len(a.codes), len(jobs))
}
