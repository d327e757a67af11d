package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// manyFailures is a registry with n jobs of which seven in ten have failed; among the first of those, which
// a list comes to last, twelve were killed.
func manyFailures(t testing.TB, n int, at time.Time) (*sqlite.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registry.db")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	const step = 5_000
	for from := 0; from < n; from += step {
		p := store.AddJobs{At: at.Add(time.Duration(from) * time.Millisecond)}
		for i := from; i < from+step; i++ {
			j := benchJob()
			code := 1
			switch {
			case i < 12:
				j.State, j.Reason, code = job.Failed, job.ReasonSignal, 137
			case i%10 < 7:
				j.State, j.Reason = job.Failed, job.ReasonExit
			default:
				j.State, code = job.Completed, 0
			}
			j.ExitCode = &code
			p.Jobs = append(p.Jobs, store.NewJob{Job: j, Env: benchEnv})
		}
		if _, err := s.AddJobs(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	return s, path
}

// TestRareOutcome finds what is rare among many failures by its index.
func TestRareOutcome(t *testing.T) {
	s, path := manyFailures(t, 30_000, time.Now())
	soundPath := filled(t) // nothing has failed
	sound := open(t, sqlite.Options{Path: soundPath})
	db := map[*sqlite.Store]*sql.DB{}
	for s, path := range map[*sqlite.Store]string{s: path, sound: soundPath} {
		var err error
		if db[s], err = sql.Open("sqlite", path); err != nil {
			t.Fatal(err)
		}
		defer db[s].Close()
	}
	for _, c := range []struct {
		name  string
		s     *sqlite.Store
		f     job.Filter
		index string
		jobs  int
	}{
		{"rare exit code", s, job.Filter{ExitCodes: []int{137}}, "jobs_exit_code", 12},
		{"no such exit codes", s, job.Filter{ExitCodes: []int{3, 4}}, "jobs_exit_code", 0},
		{"rare reason", s, job.Filter{Reasons: []job.Reason{job.ReasonSignal}}, "jobs_reason", 12},
		{"rare exit code of failed ones", s, job.Filter{States: []job.State{job.Failed}, ExitCodes: []int{137}}, "jobs_exit_code", 12},
		{"common reason, rare exit code", s, job.Filter{Reasons: []job.Reason{job.ReasonExit}, ExitCodes: []int{137}}, "jobs_exit_code", 0},
		{"common exit code", s, job.Filter{ExitCodes: []int{1}}, "jobs_exit_code", 50},
		{"of those stopped", s, job.Filter{States: []job.State{job.Stopped}, ExitCodes: []int{1}}, "jobs_state", 0},
		{"completed ones too", s, job.Filter{ExitCodes: []int{0, 137}}, "jobs_state", 50},
		{"rare one by its end", s, job.Filter{ExitCodes: []int{137}, Sort: job.SortLastEnded}, "jobs_exit_code", 12},
		{"common one by its end", s, job.Filter{ExitCodes: []int{1}, Sort: job.SortLastEnded}, "jobs_ended", 50},
		{"where nothing failed", sound, job.Filter{ExitCodes: []int{137}}, "jobs_state", 0},
		{"of an owner where nothing failed", sound, job.Filter{ExitCodes: []int{137}, Owner: "ann"}, "jobs_state", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			page, err := c.s.ListJobs(t.Context(), c.f)
			if err != nil || len(page.Jobs) != c.jobs {
				t.Errorf("%d jobs %v, want %d", len(page.Jobs), err, c.jobs)
			}
			text, args, err := c.s.Query(t.Context(), c.f)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := db[c.s].QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
			if err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			defer rows.Close()
			var plan []string
			for rows.Next() {
				var detail string
				if err := rows.Scan(new(int), new(int), new(int), &detail); err != nil {
					t.Fatal(err)
				}
				plan = append(plan, detail)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			all := strings.Join(plan, "\n")
			if !strings.Contains(all, "INDEX "+c.index+" (") || strings.Contains(all, "SCAN jobs") {
				t.Errorf("the plan, want %s:\n%s", c.index, all)
			}
		})
	}
	if problems, err := s.Check(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("Check: %q %v", problems, err)
	}
}

// TestNumbersAreTold adds without writing what the registry remembers of its numbers, and has none used
// again when the jobs and changes that told of them are gone.
func TestNumbersAreTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	written := func() (next, seq int64) {
		t.Helper()
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRowContext(t.Context(), "SELECT next_job, last_seq FROM registry_row").Scan(&next, &seq); err != nil {
			t.Fatal(err)
		}
		return next, seq
	}
	again := func() {
		t.Helper()
		next, seq := s.NextID(), s.Seq()
		reader := open(t, sqlite.Options{Path: path, ReadOnly: true})
		if reader.NextID() != next || reader.Seq() != seq {
			t.Errorf("a reader is told %d, %d, want %d, %d", reader.NextID(), reader.Seq(), next, seq)
		}
		if problems, err := s.Check(t.Context()); err != nil || len(problems) > 0 {
			t.Errorf("Check: %q %v", problems, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = sqlite.Open(t.Context(), sqlite.Options{Path: path}); err != nil {
			t.Fatal(err)
		}
		if s.NextID() != next || s.Seq() != seq {
			t.Errorf("opened again the numbers are %d, %d, want %d, %d", s.NextID(), s.Seq(), next, seq)
		}
	}
	p := benchAdd(3)
	for i := range p.Jobs {
		p.Jobs[i].Job.State = job.Skipped
	}
	if _, err := s.AddJobs(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if next, seq := written(); next != 1 || seq != 1 || s.NextID() != 4 || s.Seq() != 4 {
		t.Errorf("written are %d, %d, the numbers %d, %d; want 1, 1 and 4, 4", next, seq, s.NextID(), s.Seq())
	}
	again()
	at := time.Now().Add(time.Hour)
	if gone, err := s.Purge(t.Context(), store.Purge{States: []job.State{job.Skipped}, EndedBefore: at, Limit: 9, At: at}); err != nil || len(gone) != 3 {
		t.Fatalf("purged: %v %v", gone, err)
	}
	again()
	if n, err := s.PruneChanges(t.Context(), s.Seq(), 100); err != nil || n != 7 {
		t.Fatalf("pruned: %d %v", n, err)
	}
	if next, seq := written(); next != 4 || seq != 7 {
		t.Errorf("written are %d, %d, want 4, 7", next, seq)
	}
	again()
	if err := s.SkipIDs(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	again()
	p = benchAdd(1)
	if _, err := s.AddJobs(t.Context(), p); err != nil || p.Jobs[0].Job.ID != 100 || s.Seq() != 8 {
		t.Errorf("the next job is %d, its change %d: %v", p.Jobs[0].Job.ID, s.Seq(), err)
	}
	again()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
