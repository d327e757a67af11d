package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// crashEnv makes the test binary the process that is killed: its value is the registry's path.
const crashEnv = "QUEUEMGR_TEST_CRASH_DB"

// crashChild writes until it is killed and says on standard output what was acknowledged.
func crashChild(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	failed := make(chan error)
	for c := range 4 {
		go func() { failed <- crashAdd(ctx, s, c, say) }()
	}
	go func() { failed <- crashMove(ctx, s, say) }()
	return <-failed
}

// crashAdd adds batches of 1 to 8 jobs, each batch with a tag and its size on record.
func crashAdd(ctx context.Context, s *sqlite.Store, client int, say func(string, ...any)) error {
	for i := 0; ; i++ {
		n := 1 + (i*7+client*13)%8
		p := store.AddJobs{At: time.Now()}
		for range n {
			j := benchJob()
			j.Tags, j.Name = []string{fmt.Sprintf("%d-%d-%d", os.Getpid(), client, i)}, fmt.Sprint(n)
			p.Jobs = append(p.Jobs, store.NewJob{Job: j, Env: []string{fmt.Sprintf("CLIENT=%d", client)}})
		}
		if _, err := s.AddJobs(ctx, p); err != nil {
			return err
		}
		say("added %d %d", p.Jobs[0].Job.ID, n)
	}
}

// crashMove claims and ends jobs, moves the cursor and purges.
func crashMove(ctx context.Context, s *sqlite.Store, say func(string, ...any)) error {
	for seq := uint64(1); ; seq++ {
		jobs, err := s.Candidates(ctx, job.DefaultQueue, 20)
		if err != nil {
			return err
		}
		live, err := s.LiveJobs(ctx)
		if err != nil {
			return err
		}
		c := store.Commit{At: time.Now(), Vital: true, Cursor: &store.Cursor{Journal: "j", Seq: seq}}
		for _, j := range jobs {
			j.State = job.Starting
			c.Updates = append(c.Updates, store.Update{Job: j, From: job.Queued})
		}
		for _, j := range live {
			j.State = job.Completed
			c.Updates = append(c.Updates, store.Update{Job: j, From: job.Starting})
		}
		if _, err := s.Commit(ctx, c); err != nil {
			return err
		}
		for _, u := range c.Updates {
			say("moved %d %d", u.Job.ID, u.Job.Rev)
		}
		if _, err := s.PruneChanges(ctx, s.Seq()/2, 50); err != nil {
			return err
		}
	}
}

// TestCrash kills a writing process again and again: what was acknowledged is there, no batch in
// part, and nothing contradicts itself.
func TestCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	random := rand.New(rand.NewPCG(1, 2))
	acked := map[string]map[int64]int64{"added": {}, "moved": {}}
	for round := range 6 {
		crashRound(t, path, 20+random.IntN(300), acked)
		s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		verifyCrash(t, s, acked)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acked["added"]) < 10 || len(acked["moved"]) < 20 {
		t.Errorf("only %d additions and %d moves were acknowledged", len(acked["added"]), len(acked["moved"]))
	}
}

// crashRound lets a process write until it has acknowledged a number of writes, and kills it.
func crashRound(t *testing.T, path string, writes int, acked map[string]map[int64]int64) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	var failure strings.Builder
	cmd.Stderr = &failure
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		var what string
		var id, value int64
		if _, err := fmt.Sscan(lines.Text(), &what, &id, &value); err != nil || acked[what] == nil {
			t.Fatalf("the process says %q", lines.Text())
		}
		acked[what][id] = value
		if n == writes {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the process was not killed: %v %s", err, failure.String())
	}
}

func verifyCrash(t *testing.T, s *sqlite.Store, acked map[string]map[int64]int64) {
	t.Helper()
	problems, err := s.Check(t.Context())
	if err != nil || len(problems) > 0 {
		t.Fatalf("Check: %v %v", problems, err)
	}
	revs := map[int64]uint64{}
	batches, sizes := map[string]int{}, map[string]string{}
	f := job.Filter{States: job.States, Oldest: true, Limit: job.MaxLimit}
	for {
		page, err := s.ListJobs(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range page.Jobs {
			revs[j.ID] = j.Rev
			batches[j.Tags[0]]++
			sizes[j.Tags[0]] = j.Name
		}
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			break
		}
	}
	for tag, n := range batches {
		if fmt.Sprint(n) != sizes[tag] {
			t.Fatalf("of the %s jobs of batch %s there are %d", sizes[tag], tag, n)
		}
	}
	for first, n := range acked["added"] {
		for id := first; id < first+n; id++ {
			if revs[id] == 0 {
				t.Fatalf("job %d was acknowledged and is gone", id)
			}
		}
	}
	for id, rev := range acked["moved"] {
		if revs[id] < uint64(rev) {
			t.Fatalf("revision %d of job %d was acknowledged, on record is %d", rev, id, revs[id])
		}
	}
}
