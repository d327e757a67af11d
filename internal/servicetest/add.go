package servicetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

var addCases = []testCase{
	{"EveryField", addEveryField},
	{"Defaults", addDefaults},
	{"Refused", addRefused},
	{"KeyTaken", addKeyTaken},
	{"ByKey", addByKey},
	{"NotThere", addNotThere},
}

func addEveryField(s *suite) {
	_, err := s.AddQueue(s.ctx, "q1", job.QueueUpdate{})
	s.ok(err)
	priority, umask := -7, uint32(0o027)
	before := time.Now().Add(-time.Second)
	j := s.add(job.Spec{
		Command: []string{"echo", "a b", "", `<&>"\`, "ü\n\x01"}, Queue: "q1", Name: "a name", Key: "a%key+&?#=ü", Priority: &priority,
		Tags: []string{"t1", "t2"}, Params: json.RawMessage(`{"n":12345678901234567890}`), Cwd: "/tmp", Env: map[string]string{"SECRET": "x"}, Umask: &umask,
		Timeout: job.Duration(90 * time.Second), Grace: job.Duration(1500 * time.Millisecond), StopSignal: "INT",
		OnLost: job.OnLostRequeue, Split: true, Hold: true,
	})
	if j.ID < 1 || j.Owner == "" || j.CreatedAt.Before(before) || j.CreatedAt.Location() != time.UTC {
		s.Errorf("id %d, owner %q, created at %s", j.ID, j.Owner, j.CreatedAt)
	}
	s.same("the job", visible(j), &job.Job{
		ID: j.ID, Key: "a%key+&?#=ü", Name: "a name", Queue: "q1", Type: job.TypeCommand, State: job.Held, WaitReason: j.WaitReason, Priority: -7,
		Command: []string{"echo", "a b", "", `<&>"\`, "ü\n\x01"}, Params: json.RawMessage(`{"n":12345678901234567890}`), Cwd: "/tmp", Tags: []string{"t1", "t2"},
		Owner: j.Owner, MaxAttempts: 1, CreatedAt: j.CreatedAt, Timeout: job.Duration(90 * time.Second),
		Grace: job.Duration(1500 * time.Millisecond), StopSignal: "INT", OnLost: job.OnLostRequeue, Split: true, Umask: &umask,
	})
	if j.WaitReason == "" {
		s.Error("a held job does not say why it waits")
	}
	s.same("the job when asked for", visible(s.job(j.ID)), visible(j))
	body, err := json.Marshal(s.job(j.ID))
	s.ok(err)
	if strings.Contains(string(body), "SECRET") {
		s.Errorf("the environment is shown: %s", body)
	}
}

// visible returns what of a job is in its JSON.
func visible(j *job.Job) *job.Job {
	v := *j
	v.Rev, v.UID, v.GID, v.EnvID, v.Head, v.Want = 0, 0, 0, 0, 0, ""
	return &v
}

func addDefaults(s *suite) {
	j := s.held(job.Spec{Shell: "exit 0"})
	if j.Queue != job.DefaultQueue || j.Type != job.TypeShell || j.Attempt != 0 || j.Grace <= 0 || len(j.Command) == 0 {
		s.Errorf("%+v", j)
	}
	next := s.held(job.Spec{})
	if next.ID <= j.ID || next.Type != job.TypeCommand {
		s.Errorf("job %d of type %s after job %d", next.ID, next.Type, j.ID)
	}
}

func addRefused(s *suite) {
	big := strings.Repeat("x", job.MaxArg+1)
	many := make([]string, 40)
	for i := range many {
		many[i] = strings.Repeat("x", 60<<10)
	}
	high, mask := job.MaxPriority+1, uint32(0o1000)
	ok := []string{"true"}
	for _, c := range []struct {
		name  string
		spec  job.Spec
		code  job.Code
		field string
	}{
		{"no command", job.Spec{}, job.Invalid, "command"},
		{"both", job.Spec{Command: ok, Shell: "true"}, job.Invalid, "shell"},
		{"empty program", job.Spec{Command: []string{""}}, job.Invalid, "command[0]"},
		{"NUL", job.Spec{Command: []string{"echo", "a\x00b"}}, job.Invalid, "command[1]"},
		{"no UTF-8", job.Spec{Command: []string{"echo", "\xff"}}, job.Invalid, "command[1]"},
		{"long argument", job.Spec{Command: []string{"echo", big}}, job.Invalid, "command[1]"},
		{"long command line", job.Spec{Command: many}, job.Invalid, "command"},
		{"NUL in script", job.Spec{Shell: "echo \x00"}, job.Invalid, "shell"},
		{"environment", job.Spec{Command: ok, Env: map[string]string{"A=B": "c"}}, job.Invalid, "env"},
		{"unknown queue", job.Spec{Command: ok, Queue: "nosuch"}, job.NotFound, "queue"},
		{"queue's name", job.Spec{Command: ok, Queue: "a/b"}, job.Invalid, "queue"},
		{"key that is a number", job.Spec{Command: ok, Key: "12"}, job.Invalid, "key"},
		{"key that is a range", job.Spec{Command: ok, Key: "1-2"}, job.Invalid, "key"},
		{"key that is a word", job.Spec{Command: ok, Key: "last"}, job.Invalid, "key"},
		{"name", job.Spec{Command: ok, Name: "a\nb"}, job.Invalid, "name"},
		{"tag", job.Spec{Command: ok, Tags: []string{"a", "b c"}}, job.Invalid, "tags[1]"},
		{"tags", job.Spec{Command: ok, Tags: make([]string, job.MaxTags+1)}, job.Invalid, "tags"},
		{"priority", job.Spec{Command: ok, Priority: &high}, job.Invalid, "priority"},
		{"cwd", job.Spec{Command: ok, Cwd: "tmp"}, job.Invalid, "cwd"},
		{"umask", job.Spec{Command: ok, Umask: &mask}, job.Invalid, "umask"},
		{"key that is a step in a path", job.Spec{Command: ok, Key: ".."}, job.Invalid, "key"},
		{"on_lost", job.Spec{Command: ok, OnLost: "ignore"}, job.Invalid, "on_lost"},
		{"stop signal", job.Spec{Command: ok, StopSignal: "NOSUCH"}, job.Invalid, "stop_signal"},
		{"timeout", job.Spec{Command: ok, Timeout: -1}, job.Invalid, "timeout"},
	} {
		_, err := s.AddJob(s.ctx, c.spec)
		if err == nil {
			s.Errorf("%s: added", c.name)
			continue
		}
		if e := s.refused(err, c.code, c.field); e.Line != 0 {
			s.Errorf("%s: a single add names line %d", c.name, e.Line)
		}
	}
	s.same("jobs on record", s.list(job.Filter{}), []int64{})
}

func addKeyTaken(s *suite) {
	first := s.held(job.Spec{Key: "k"})
	_, err := s.AddJob(s.ctx, job.Spec{Command: []string{"true"}, Key: "k"})
	s.refused(err, job.Conflict, "key")
	s.same("jobs on record", s.list(job.Filter{}), []int64{first.ID})
}

func addByKey(s *suite) {
	for _, key := range []string{"plain", "with%2Fpercent", "ü", "...", "a?b#c", "-"} {
		j := s.held(job.Spec{Key: key})
		got, err := s.JobByKey(s.ctx, key)
		if err != nil || got.ID != j.ID {
			s.Errorf("key %q: %v, %v; want job %d", key, got, err, j.ID)
		}
	}
}

func addNotThere(s *suite) {
	_, err := s.Job(s.ctx, 4711)
	s.refused(err, job.NotFound, "")
	_, err = s.Job(s.ctx, -1)
	s.refused(err, job.NotFound, "")
	for _, key := range []string{"nosuch", "", "7", "a/b", "..", "all"} {
		_, err = s.JobByKey(s.ctx, key)
		s.refused(err, job.NotFound, "")
	}
	_, err = s.Attempts(s.ctx, 4711)
	s.refused(err, job.NotFound, "")
	_, err = s.WaitJob(s.ctx, 4711)
	s.refused(err, job.NotFound, "")
	_, err = s.Logs(s.ctx, 4711, job.LogOptions{})
	s.refused(err, job.NotFound, "")
}

var batchCases = []testCase{
	{"Order", batchOrder},
	{"Defaults", batchDefaults},
	{"Empty", batchEmpty},
	{"AllOrNothing", batchAtomic},
}

func batchOrder(s *suite) {
	var b job.Batch
	b.Defaults.Hold = true
	for i := range 2000 {
		b.Jobs = append(b.Jobs, job.Spec{Command: []string{"echo", fmt.Sprint(i)}})
	}
	added, err := s.AddJobs(s.ctx, b)
	s.ok(err)
	if len(added) != len(b.Jobs) {
		s.Fatalf("%d numbers for %d jobs", len(added), len(b.Jobs))
	}
	for i, id := range added {
		if i > 0 && id != added[i-1]+1 {
			s.Fatalf("job %d follows job %d", id, added[i-1])
		}
	}
	for _, i := range []int{0, 999, 1999} {
		if got := s.job(added[i]).Command[1]; got != fmt.Sprint(i) {
			s.Errorf("job %d says %s, want %d", added[i], got, i)
		}
	}
}

func batchDefaults(s *suite) {
	p5, p6 := 5, 6
	added, err := s.AddJobs(s.ctx, job.Batch{
		Defaults: job.Spec{Shell: "exit 3", Priority: &p5, Tags: []string{"d"}, Env: map[string]string{"A": "1", "B": "1"}, Hold: true},
		Jobs: []job.Spec{
			{},
			{Command: []string{"sh", "-c", `echo "$A$B"`}, Priority: &p6, Tags: []string{"own"}, Env: map[string]string{"B": "2"}, Name: "second"},
		},
	})
	s.ok(err)
	one, two := s.job(added[0]), s.job(added[1])
	if one.Type != job.TypeShell || one.Priority != 5 || one.Tags[0] != "d" || one.State != job.Held {
		s.Errorf("the defaults alone: %+v", one)
	}
	if two.Type != job.TypeCommand || two.Priority != 6 || two.Tags[0] != "own" || two.Name != "second" {
		s.Errorf("over the defaults: %+v", two)
	}
	s.act(job.ActStart, added...)
	if j := s.wait(added[0]); j.ExitCode == nil || *j.ExitCode != 3 {
		s.Errorf("the defaults' script: %+v", j)
	}
	s.wait(added[1])
	s.same("environment over the defaults'", s.log(added[1], job.LogOptions{}), "12\n")
}

func batchEmpty(s *suite) {
	added, err := s.AddJobs(s.ctx, job.Batch{})
	if err != nil || added == nil || len(added) != 0 {
		s.Errorf("%v, %v", added, err)
	}
}

func batchAtomic(s *suite) {
	taken := s.held(job.Spec{Key: "taken"})
	good := job.Spec{Command: []string{"true"}}
	for _, c := range []struct {
		name  string
		third job.Spec
		code  job.Code
		field string
	}{
		{"invalid", job.Spec{Shell: "true", Cwd: "relative"}, job.Invalid, "cwd"},
		{"no UTF-8", job.Spec{Shell: "echo \xfe"}, job.Invalid, "shell"},
		{"nothing to run", job.Spec{Name: "nothing"}, job.Invalid, "command"},
		{"unknown queue", job.Spec{Shell: "true", Queue: "nosuch"}, job.NotFound, "queue"},
		{"key on record", job.Spec{Shell: "true", Key: "taken"}, job.Conflict, "key"},
		{"key in the batch", job.Spec{Shell: "true", Key: "twice"}, job.Conflict, "key"},
	} {
		second := good
		second.Key = "twice"
		_, err := s.AddJobs(s.ctx, job.Batch{Jobs: []job.Spec{good, second, c.third, good}})
		if e := s.refused(err, c.code, c.field); e.Line != 3 {
			s.Errorf("%s: line %d, want 3: %v", c.name, e.Line, err)
		}
	}
	s.same("jobs on record", s.list(job.Filter{}), []int64{taken.ID})
	if _, err := s.JobByKey(s.ctx, "twice"); !errors.As(err, new(*job.Error)) {
		s.Errorf("a key of a refused batch: %v", err)
	}
}
