package servicetest

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

var feedCases = []testCase{
	{"Hello", feedHello},
	{"LastState", feedLastState},
	{"Dirty", feedDirty},
	{"Status", feedStatus},
	{"Logs", feedLogs},
	{"LogsOfAttempts", feedLogsOfAttempts},
	{"Refused", feedRefused},
	{"Secrets", feedSecrets},
}

// picture is what somebody who reads a feed knows.
type picture struct {
	s      *suite
	id     string
	next   func() (job.FeedUpdate, error, bool)
	seq    uint64
	status job.Status
	jobs   map[int64]*job.Job
	logs   map[int64]job.FeedLog
	dirty  bool
	text   strings.Builder // all that was said
}

// feed opens a feed, which ends with the case.
func (s *suite) feed(jobs, logs []int64) *picture {
	s.Helper()
	next, stop := iter.Pull2(s.Feed(s.ctx, job.FeedOptions{}))
	s.Cleanup(stop)
	p := &picture{s: s, next: next, jobs: map[int64]*job.Job{}, logs: map[int64]job.FeedLog{}}
	u := p.read()
	if p.id = u.Feed; len(p.id) < 20 {
		s.Errorf("the feed's id is %q", p.id)
	}
	if u.Status == nil {
		s.Errorf("the first update has no status: %+v", u)
	}
	if len(jobs)+len(logs) > 0 {
		s.ok(s.WatchFeed(s.ctx, p.id, job.FeedWatch{Jobs: jobs, Logs: logs}))
	}
	return p
}

func (p *picture) read() job.FeedUpdate {
	p.s.Helper()
	u, err, more := p.next()
	p.s.ok(err)
	if !more {
		p.s.Fatalf("the feed ended: %v", p.s.ctx.Err())
	}
	text, err := json.Marshal(u)
	p.s.ok(err)
	p.text.Write(text)
	if u.Seq < p.seq {
		p.s.Errorf("position %d follows %d", u.Seq, p.seq)
	}
	p.seq = u.Seq
	if u.Status != nil {
		p.status = job.Status{}
		p.s.ok(json.Unmarshal(u.Status, &p.status))
	}
	for _, text := range u.Jobs {
		j := new(job.Job)
		p.s.ok(json.Unmarshal(text, j))
		p.jobs[j.ID] = j
	}
	for id, l := range u.Logs {
		p.logs[id] = l
	}
	p.dirty = p.dirty || u.Dirty
	return u
}

// until reads until the picture is right.
func (p *picture) until(what string, right func() bool) {
	p.s.Helper()
	for !right() {
		if p.s.ctx.Err() != nil {
			p.s.Fatalf("the feed never told: %s; the logs are %v", what, p.logs)
		}
		p.read()
	}
}

func feedHello(s *suite) {
	s.held(job.Spec{})
	p := s.feed(nil, nil)
	now, err := s.Status(s.ctx)
	s.ok(err)
	if p.seq != now.Seq || p.status.Jobs[job.Held] != 1 || p.status.PID != now.PID {
		s.Errorf("position %d, status %+v; want that of %+v", p.seq, p.status, now)
	}
	if other := s.feed(nil, nil); other.id == p.id {
		s.Errorf("two feeds have the id %s", p.id)
	}
}

func feedLastState(s *suite) {
	g := s.gate()
	ids := []int64{s.held(job.Spec{}).ID, s.held(job.Spec{Shell: g.wait() + "; exit 3"}).ID}
	p := s.feed(ids, nil)
	s.act(job.ActStop, ids[0])
	s.act(job.ActStart, ids[1])
	p.until("running", func() bool { j := p.jobs[ids[1]]; return j != nil && j.State == job.Running })
	g.open()
	p.until("failed", func() bool { j := p.jobs[ids[1]]; return j != nil && j.State == job.Failed })
	for _, id := range ids {
		want, err := json.Marshal(s.job(id))
		s.ok(err)
		got, err := json.Marshal(p.jobs[id])
		s.ok(err)
		s.same("the job in the feed", string(got), string(want))
	}
}

func feedDirty(s *suite) {
	j := s.held(job.Spec{})
	p := s.feed([]int64{j.ID}, nil)
	s.act(job.ActStop, j.ID)
	p.until("stopped", func() bool { return p.jobs[j.ID] != nil && p.jobs[j.ID].State == job.Stopped })
	if p.dirty {
		s.Error("dirty, though nothing else has changed")
	}
	other := s.held(job.Spec{})
	p.until("dirty", func() bool { return p.dirty })
	if len(p.jobs) != 1 {
		s.Errorf("a job that is not watched is told: %v", p.jobs)
	}
	s.ok(s.WatchFeed(s.ctx, p.id, job.FeedWatch{Jobs: []int64{other.ID}}))
	s.act(job.ActDelete, other.ID)
	p.until("deleted", func() bool { return p.jobs[other.ID] != nil && p.jobs[other.ID].State == job.Deleted })
	p.dirty = false
	s.act(job.ActDelete, j.ID)
	p.until("dirty by a job that was watched before", func() bool { return p.dirty })
	if p.jobs[j.ID].State != job.Stopped {
		s.Errorf("a job that is watched no more is told: %+v", p.jobs[j.ID])
	}
}

func feedStatus(s *suite) {
	p := s.feed(nil, nil)
	s.held(job.Spec{})
	p.until("a held job", func() bool { return p.status.Jobs[job.Held] == 1 })
	paused := true
	_, err := s.SetQueue(s.ctx, job.DefaultQueue, job.QueueUpdate{Paused: &paused})
	s.ok(err)
	p.until("a paused queue", func() bool { return p.status.Queues[0].Paused })
}

func feedLogs(s *suite) {
	g, h := s.gate(), s.gate()
	j := s.add(job.Spec{Split: true, Hold: true, Shell: fmt.Sprintf("echo one; %s; echo three >&2; %s; echo two; %s", g.wait(), h.wait(), g.wait())})
	p := s.feed(nil, []int64{j.ID})
	p.until("no log yet", func() bool { _, ok := p.logs[j.ID]; return ok })
	s.same("before the first attempt", p.logs[j.ID], job.FeedLog{})
	s.act(job.ActStart, j.ID)
	p.until("the first line", func() bool { return p.logs[j.ID] == job.FeedLog{Attempt: 1, Size: 4} })
	g.open()
	p.until("a line on stderr", func() bool { return p.logs[j.ID] == job.FeedLog{Attempt: 1, Size: 4, StderrSize: 6} })
	h.open()
	p.until("the second line", func() bool { return p.logs[j.ID] == job.FeedLog{Attempt: 1, Size: 8, StderrSize: 6} })
	g.open()
	p.until("the end", func() bool { return p.logs[j.ID] == job.FeedLog{Attempt: 1, Size: 8, StderrSize: 6, Complete: true} })

	other := s.feed(nil, []int64{j.ID})
	other.until("the log of a job that has ended", func() bool { return other.logs[j.ID] == p.logs[j.ID] })
}

func feedLogsOfAttempts(s *suite) {
	j := s.shell("echo line")
	s.wait(j.ID)
	p := s.feed(nil, []int64{j.ID})
	p.until("the first attempt", func() bool { return p.logs[j.ID] == job.FeedLog{Attempt: 1, Size: 5, Complete: true} })
	s.act(job.ActStart, j.ID)
	p.until("the second attempt", func() bool { return p.logs[j.ID] == job.FeedLog{Attempt: 2, Size: 5, Complete: true} })
}

func feedRefused(s *suite) {
	p := s.feed(nil, nil)
	s.refused(s.WatchFeed(s.ctx, "no-such-feed", job.FeedWatch{}), job.NotFound, "")
	s.refused(s.WatchFeed(s.ctx, p.id, job.FeedWatch{Jobs: make([]int64, job.MaxFeedJobs+1)}), job.Invalid, "jobs")
	s.refused(s.WatchFeed(s.ctx, p.id, job.FeedWatch{Logs: make([]int64, job.MaxFeedLogs+1)}), job.Invalid, "logs")
	s.ok(s.WatchFeed(s.ctx, p.id, job.FeedWatch{Jobs: []int64{0, -1, 1 << 40}, Logs: []int64{0, 1 << 40}}))
}

func feedSecrets(s *suite) {
	j := s.held(job.Spec{Env: map[string]string{"PASSWORD": "s3cret"}, Shell: "true"})
	p := s.feed([]int64{j.ID}, []int64{j.ID})
	s.act(job.ActStart, j.ID)
	p.until("completed", func() bool { return p.jobs[j.ID] != nil && p.jobs[j.ID].State == job.Completed })
	for _, secret := range []string{"s3cret", "PASSWORD", `"uid"`, `"want"`} {
		if strings.Contains(p.text.String(), secret) {
			s.Errorf("%s is in the feed: %s", secret, p.text.String())
		}
	}
}
