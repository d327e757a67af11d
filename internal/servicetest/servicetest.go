// Package servicetest is the contract of job.Service as a test suite: the engine and a client that
// reaches an engine over HTTP pass the same. It runs real processes.
package servicetest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// limit bounds each case; nothing here takes seconds unless something is wrong.
const limit = time.Minute

// Run holds a service to the contract. open returns a fresh one, with an empty registry, Types and at
// least four slots, that ends with the test.
func Run(t *testing.T, open func(t *testing.T) job.Service) {
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"Add", addCases}, {"Batch", batchCases}, {"List", listCases}, {"Outcome", outcomeCases}, {"Act", actCases},
		{"Logs", logCases}, {"Events", eventCases}, {"Feed", feedCases}, {"Queues", queueCases}, {"Types", typeCases}, {"Daemon", daemonCases}, {"Stats", statsCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(Caller(t.Context()), limit)
					defer cancel()
					c.run(&suite{T: t, Service: open(t), ctx: ctx})
				})
			}
		})
	}
}

type testCase struct {
	name string
	run  func(*suite)
}

// Caller returns a context in which the user of the test asks: what HTTP learns from the socket.
func Caller(ctx context.Context) context.Context {
	uid := uint32(os.Getuid())
	return job.WithCaller(ctx, job.Caller{UID: uid, GID: uint32(os.Getgid()), Name: strconv.FormatUint(uint64(uid), 10)})
}

// suite is one case: the service under test and what is often done with it.
type suite struct {
	*testing.T
	job.Service
	ctx context.Context
}

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// refused checks that err has a code, and names the field unless that is "".
func (s *suite) refused(err error, code job.Code, field string) *job.Error {
	s.Helper()
	e := (*job.Error)(nil)
	if !errors.As(err, &e) {
		s.Fatalf("error %v, want one with code %s", err, code)
	}
	if e.Code != code || field != "" && e.Field != field {
		s.Errorf("code %s, field %q, want %s, %q: %v", e.Code, e.Field, code, field, e)
	}
	if e.Message == "" {
		s.Errorf("the error with code %s says nothing", e.Code)
	}
	return e
}

func (s *suite) add(spec job.Spec) *job.Job {
	s.Helper()
	j, err := s.AddJob(s.ctx, spec)
	s.ok(err)
	return j
}

// held adds a job that waits until it is started.
func (s *suite) held(spec job.Spec) *job.Job {
	s.Helper()
	spec.Hold = true
	if spec.Shell == "" && len(spec.Command) == 0 {
		spec.Command = []string{"true"}
	}
	return s.add(spec)
}

func (s *suite) shell(script string) *job.Job {
	s.Helper()
	return s.add(job.Spec{Shell: script})
}

func (s *suite) wait(id int64) *job.Job {
	s.Helper()
	j, err := s.WaitJob(s.ctx, id)
	s.ok(err)
	return j
}

func (s *suite) job(id int64) *job.Job {
	s.Helper()
	j, err := s.Job(s.ctx, id)
	s.ok(err)
	return j
}

// until waits for the change that brings a job into a state, now or earlier.
func (s *suite) until(id int64, state job.State) {
	s.Helper()
	for c, err := range s.Events(s.ctx, job.EventOptions{After: new(uint64), JobIDs: []int64{id}}) {
		s.ok(err)
		if c.State == state {
			return
		}
		if c.State.Ended() {
			s.Fatalf("job %d is %s, want %s", id, c.State, state)
		}
	}
	s.Fatalf("job %d was never %s: %v", id, state, s.ctx.Err())
}

// act does an action to jobs by number and wants it done.
func (s *suite) act(a job.Action, ids ...int64) {
	s.Helper()
	result, err := s.Act(s.ctx, job.ActRequest{Action: a, Filter: byID(ids...)})
	s.ok(err)
	if !slices.Equal(result.Done, ids) || len(result.Failed) > 0 {
		s.Fatalf("%s %v: %+v", a, ids, result)
	}
}

func byID(ids ...int64) (f job.Filter) {
	for _, id := range ids {
		f.IDs = append(f.IDs, job.Range{From: id, To: id})
	}
	return f
}

func (s *suite) list(f job.Filter) []int64 {
	s.Helper()
	page, err := s.ListJobs(s.ctx, f)
	s.ok(err)
	return ids(page.Jobs)
}

func ids(jobs []*job.Job) []int64 {
	list := []int64{}
	for _, j := range jobs {
		list = append(list, j.ID)
	}
	return list
}

func (s *suite) same(what string, got, want any) {
	s.Helper()
	if diff := diff(want, got); diff != "" {
		s.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// log returns a log to its end.
func (s *suite) log(id int64, o job.LogOptions) string {
	s.Helper()
	r, err := s.Logs(s.ctx, id, o)
	s.ok(err)
	defer r.Close()
	b, err := io.ReadAll(r)
	s.ok(err)
	return string(b)
}

// gate is a named pipe: a job that reads it goes on when the test opens it.
type gate struct {
	s    *suite
	path string
}

func (s *suite) gate() gate {
	s.Helper()
	path := filepath.Join(s.TempDir(), "gate")
	s.ok(syscall.Mkfifo(path, 0o600))
	return gate{s, path}
}

// wait is the shell command that waits for open.
func (g gate) wait() string { return "read x < '" + g.path + "'" }

// open waits for a job to stand at the gate and lets it through.
func (g gate) open() {
	g.s.Helper()
	g.s.ok(os.WriteFile(g.path, []byte("go\n"), 0o600))
}
