package storetest

import (
	"encoding/json"
	"testing"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

func testAdd(t *testing.T, open func(*testing.T) store.Store) {
	t.Run("every field comes back", func(t *testing.T) {
		s := open(t)
		code, progress, umask := 3, 40, uint32(0o27)
		j := &job.Job{Key: "nightly", Name: "Größe <b> & \u2028", Queue: job.DefaultQueue, Type: "resize", State: job.Held, Reason: job.ReasonExit,
			ExitCode: &code, Signal: 9, WaitReason: "held", Priority: -7, Command: []string{"", "a b", "\"\\"}, Params: json.RawMessage(`{"a":[1,2.5]}`),
			Cwd: "/srv/x y", Tags: []string{"t1", "Ü"}, Owner: "ann", Attempt: 2, MaxAttempts: 3, CreatedAt: start, StartAt: minute(1), QueuedAt: minute(2),
			StartedAt: minute(3), FinishedAt: minute(4), Progress: &progress, StatusText: "half", Result: json.RawMessage(`{"ok":true}`),
			Usage: &job.Usage{CPUUser: 1500000000, MaxRSS: 1 << 40}, Error: "oops", After: []int64{4, 5}, Node: "n1", RunID: "r-1", PID: 77,
			Timeout: 90e9, Grace: 5e9, StopSignal: "INT", OnLost: job.OnLostRequeue, Split: true, Umask: &umask, Fence: 1 << 63, UID: 1 << 31, GID: 4294967295,
			Head: -3, Want: job.WantDelete}
		add(t, s, j)
		if j.ID != 1 || j.Rev != 1 || j.EnvID != 0 {
			t.Errorf("the given job has ID %d, Rev %d, EnvID %d; want 1, 1, 0", j.ID, j.Rev, j.EnvID)
		}
		diff(t, "Job", j, get(t, s, 1))
		byKey, err := s.JobByKey(t.Context(), "nightly")
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "JobByKey", j, byKey)
		sound(t, s)
	})

	t.Run("numbers go up in order", func(t *testing.T) {
		s := open(t)
		add(t, s, newJob())
		many := make([]*job.Job, 100)
		for i := range many {
			many[i] = newJob(withPriority(i))
		}
		add(t, s, many...)
		for i, j := range many {
			if j.ID != int64(i+2) {
				t.Fatalf("job %d of the batch has the number %d", i, j.ID)
			}
			diff(t, "job of a batch", j, get(t, s, j.ID))
		}
		sound(t, s)
	})

	t.Run("a job that can't be encoded is named", func(t *testing.T) {
		s := open(t)
		for at, n := range map[int]int{1: 1, 1500: 2000, 2000: 2000} {
			p := store.AddJobs{At: start, Jobs: make([]store.NewJob, n)}
			for i := range p.Jobs {
				p.Jobs[i].Job = newJob()
			}
			p.Jobs[at-1].Job.Params = json.RawMessage("{")
			_, err := s.AddJobs(t.Context(), p)
			if e := refused(t, err, job.Invalid); e.Line != at {
				t.Errorf("line %d, want %d: %v", e.Line, at, err)
			}
		}
		j := newJob()
		if add(t, s, j); j.ID != 1 {
			t.Errorf("after refusals a job has the number %d", j.ID)
		}
		sound(t, s)
	})

	t.Run("what is not there is not found", func(t *testing.T) {
		s := open(t)
		_, err := s.Job(t.Context(), 7)
		refused(t, err, job.NotFound)
		_, err = s.JobByKey(t.Context(), "x")
		refused(t, err, job.NotFound)
	})

	t.Run("all or nothing", func(t *testing.T) {
		s := open(t)
		add(t, s, newJob(withKey("taken")))
		seq := s.Seq()
		cases := []struct {
			name string
			jobs []*job.Job
			code job.Code
			line int
		}{
			{"unknown queue", []*job.Job{newJob(), newJob(inQueue("nowhere"))}, job.NotFound, 2},
			{"a key that is taken", []*job.Job{newJob(), newJob(), newJob(withKey("taken"))}, job.Conflict, 3},
			{"a key given twice", []*job.Job{newJob(withKey("k")), newJob(withKey("k"))}, job.Conflict, 2},
			{"params that are no JSON", []*job.Job{newJob(), newJob(func(j *job.Job) { j.Params = json.RawMessage("{") })}, job.Invalid, 2},
		}
		for _, c := range cases {
			p := store.AddJobs{At: start}
			for _, j := range c.jobs {
				p.Jobs = append(p.Jobs, store.NewJob{Job: j, Env: []string{"A=1"}})
			}
			_, err := s.AddJobs(t.Context(), p)
			if e := refused(t, err, c.code); e.Line != c.line {
				t.Errorf("%s: the error is about line %d, want %d", c.name, e.Line, c.line)
			}
		}
		if s.Seq() != seq {
			t.Errorf("refused additions have left changes: %d, was %d", s.Seq(), seq)
		}
		if j := add(t, s, newJob())[0]; j.ID != 2 {
			t.Errorf("the next job has the number %d, want 2", j.ID)
		}
		sound(t, s)
	})

	t.Run("environments are shared and dropped with the last job", func(t *testing.T) {
		s := open(t)
		env := []string{"HOME=/root", "LANG=de_DE.UTF-8", "MULTI=a\nb", "X="}
		other := []string{"HOME=/home/ann"}
		jobs := []*job.Job{newJob(), newJob(), newJob(), newJob()}
		_, err := s.AddJobs(t.Context(), store.AddJobs{At: start, Jobs: []store.NewJob{
			{Job: jobs[0], Env: env}, {Job: jobs[1], Env: append([]string(nil), env...)}, {Job: jobs[2], Env: other}, {Job: jobs[3]}}})
		if err != nil {
			t.Fatal(err)
		}
		if jobs[0].EnvID == 0 || jobs[0].EnvID != jobs[1].EnvID || jobs[2].EnvID == jobs[0].EnvID || jobs[3].EnvID != 0 {
			t.Fatalf("environments have the numbers %d %d %d %d", jobs[0].EnvID, jobs[1].EnvID, jobs[2].EnvID, jobs[3].EnvID)
		}
		for _, j := range jobs {
			want := map[int64][]string{jobs[0].EnvID: env, jobs[2].EnvID: other}[j.EnvID]
			got, err := s.Env(t.Context(), get(t, s, j.ID).EnvID)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "Env", want, got)
		}
		ended := move(t, s, minute(1), job.Stopped, jobs...)
		purge(t, s, 1)
		if _, err := s.Env(t.Context(), ended[1].EnvID); err != nil {
			t.Errorf("an environment is gone while a job has it: %v", err)
		}
		purge(t, s, 1)
		_, err = s.Env(t.Context(), ended[1].EnvID)
		refused(t, err, job.NotFound)
		sound(t, s)
	})

	t.Run("an environment's number is never used again", func(t *testing.T) {
		s := open(t)
		var last int64
		for _, value := range []string{"A=1", "A=2", "A=1"} {
			j := newJob()
			if _, err := s.AddJobs(t.Context(), store.AddJobs{At: start, Jobs: []store.NewJob{{Job: j, Env: []string{value}}}}); err != nil {
				t.Fatal(err)
			}
			if j.EnvID <= last {
				t.Errorf("%s has the number %d, the one before had %d", value, j.EnvID, last)
			}
			last = j.EnvID
			move(t, s, minute(1), job.Stopped, j)
			purge(t, s, 1)
		}
		sound(t, s)
	})
}

func testAddLimits(t *testing.T, open func(*testing.T) store.Store) {
	batch := func(n int, set ...func(*job.Job)) (p store.AddJobs) {
		p.At = minute(9)
		for range n {
			p.Jobs = append(p.Jobs, store.NewJob{Job: newJob(set...)})
		}
		return p
	}

	t.Run("waiting jobs", func(t *testing.T) {
		s := open(t)
		p := batch(3)
		p.MaxWaiting = 4
		if _, err := s.AddJobs(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		p = batch(2, inState(job.Held))
		p.MaxWaiting = 4
		_, err := s.AddJobs(t.Context(), p)
		if e := refused(t, err, job.Exhausted); e.Line != 2 {
			t.Errorf("the error is about line %d, want 2", e.Line)
		}
		move(t, s, minute(1), job.Starting, get(t, s, 1))
		if _, err := s.AddJobs(t.Context(), p); err != nil {
			t.Errorf("a job has started, but there is no room for another: %v", err)
		}
	})

	t.Run("types", func(t *testing.T) {
		s := open(t)
		old := add(t, s, newJob(ofType("a")), newJob(ofType("a")), newJob(ofType("a")), newJob(ofType("b")))
		finish(t, s, minute(2), job.Failed, old[0])
		finish(t, s, minute(1), job.Completed, old[1])
		finish(t, s, minute(1), job.Completed, old[3])
		p := batch(2, ofType("a"))
		p.TypeLimits = map[string]int64{"a": 4, "c": 1}
		added, err := s.AddJobs(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "evicted", []store.Purged{{ID: 2}}, added.Purged)
		_, err = s.Job(t.Context(), 2)
		refused(t, err, job.NotFound)

		p = batch(3, ofType("a"))
		p.TypeLimits = map[string]int64{"a": 4}
		_, err = s.AddJobs(t.Context(), p)
		if e := refused(t, err, job.Exhausted); e.Line != 2 {
			t.Errorf("the error is about line %d, want 2", e.Line)
		}
		get(t, s, 1) // a refused addition evicts nothing
		p = batch(1, ofType("a"))
		p.TypeLimits = map[string]int64{"a": 0}
		_, err = s.AddJobs(t.Context(), p)
		refused(t, err, job.Exhausted)
		sound(t, s)
	})
}
