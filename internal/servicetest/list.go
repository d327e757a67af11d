package servicetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

var listCases = []testCase{
	{"Pages", listPages},
	{"Filters", listFilters},
	{"Deleted", listDeleted},
	{"Outcomes", listOutcomes},
	{"Refused", listRefused},
}

func listPages(s *suite) {
	b := job.Batch{Defaults: job.Spec{Command: []string{"true"}, Hold: true}, Jobs: make([]job.Spec, 125)}
	added, err := s.AddJobs(s.ctx, b)
	s.ok(err)
	for _, oldest := range []bool{true, false} {
		want := slices.Clone(added)
		if !oldest {
			slices.Reverse(want)
		}
		var got []int64
		f := job.Filter{Oldest: oldest, Limit: 40}
		for pages := 1; ; pages++ {
			page, err := s.ListJobs(s.ctx, f)
			s.ok(err)
			if len(page.Jobs) > 40 {
				s.Fatalf("%d jobs on a page of 40", len(page.Jobs))
			}
			got = append(got, ids(page.Jobs)...)
			if page.NextCursor == "" {
				if pages != 4 {
					s.Errorf("125 jobs on %d pages of 40", pages)
				}
				break
			}
			f.Cursor = page.NextCursor
			if pages == 1 && !oldest {
				s.held(job.Spec{}) // newer than the cursor: on no later page
			}
		}
		s.same(fmt.Sprintf("pages, oldest %v", oldest), got, want)
	}
	if n := len(s.list(job.Filter{})); n != job.DefaultLimit {
		s.Errorf("%d jobs without a limit, want %d", n, job.DefaultLimit)
	}
	if n := len(s.list(job.Filter{Limit: job.MaxLimit})); n != 126 {
		s.Errorf("%d jobs with the highest limit, want 126", n)
	}
}

func listFilters(s *suite) {
	_, err := s.AddQueue(s.ctx, "q2", job.QueueUpdate{})
	s.ok(err)
	a := s.held(job.Spec{Name: "Nightly Backup", Tags: []string{"x", "y"}, Key: "ka"}).ID
	b := s.held(job.Spec{Command: []string{"tar", "-c", "/srv/BACKUP"}, Tags: []string{"x"}, Queue: "q2"}).ID
	c := s.held(job.Spec{Shell: "true"}).ID
	d := s.add(job.Spec{Command: []string{"true"}}).ID
	s.wait(d)
	owner := s.job(a).Owner
	for _, tc := range []struct {
		name string
		f    job.Filter
		want []int64
	}{
		{"all", job.Filter{}, []int64{d, c, b, a}},
		{"number", byID(b), []int64{b}},
		{"range", job.Filter{IDs: []job.Range{{From: b, To: c}}}, []int64{c, b}},
		{"numbers and ranges", job.Filter{IDs: []job.Range{{From: a, To: a}, {From: c, To: d}}}, []int64{d, c, a}},
		{"far range", job.Filter{IDs: []job.Range{{From: d + 1, To: d + 1000}}}, []int64{}},
		{"key", job.Filter{Keys: []string{"ka"}}, []int64{a}},
		{"number or key", job.Filter{IDs: []job.Range{{From: d, To: d}}, Keys: []string{"ka"}}, []int64{d, a}},
		{"last", job.Filter{Last: true}, []int64{d}},
		{"a number and last", job.Filter{IDs: []job.Range{{From: b, To: b}}, Last: true}, []int64{d, b}},
		{"last of a queue", job.Filter{Last: true, Queues: []string{"q2"}}, []int64{b}},
		{"state", job.Filter{States: []job.State{job.Completed}}, []int64{d}},
		{"states", job.Filter{States: []job.State{job.Completed, job.Held}}, []int64{d, c, b, a}},
		{"queue", job.Filter{Queues: []string{"q2"}}, []int64{b}},
		{"queues", job.Filter{Queues: []string{"q2", job.DefaultQueue}}, []int64{d, c, b, a}},
		{"no such queue", job.Filter{Queues: []string{"nosuch"}}, []int64{}},
		{"type", job.Filter{Types: []string{job.TypeShell}}, []int64{c}},
		{"tag", job.Filter{Tags: []string{"x"}}, []int64{b, a}},
		{"every tag", job.Filter{Tags: []string{"x", "y"}}, []int64{a}},
		{"owner", job.Filter{Owner: owner}, []int64{d, c, b, a}},
		{"another owner", job.Filter{Owner: owner + "x"}, []int64{}},
		{"name or command", job.Filter{Name: "backup"}, []int64{b, a}},
		{"name is no pattern", job.Filter{Name: "%"}, []int64{}},
		{"all together", job.Filter{Name: "backup", Tags: []string{"x"}, States: []job.State{job.Held}, Queues: []string{"q2"}}, []int64{b}},
		{"oldest", job.Filter{Oldest: true, Limit: 2}, []int64{a, b}},
	} {
		s.same(tc.name, s.list(tc.f), tc.want)
	}
}

func listDeleted(s *suite) {
	kept, gone := s.held(job.Spec{}).ID, s.held(job.Spec{}).ID
	s.act(job.ActDelete, gone)
	s.same("not asked for", s.list(job.Filter{}), []int64{kept})
	s.same("asked for", s.list(job.Filter{States: []job.State{job.Deleted}}), []int64{gone})
	s.same("by number", s.list(byID(gone)), []int64{gone})
	if j := s.job(gone); j.State != job.Deleted {
		s.Errorf("state %s", j.State)
	}
}

func listRefused(s *suite) {
	for _, c := range []struct {
		field string
		f     job.Filter
	}{
		{"cursor", job.Filter{Cursor: "no cursor"}},
		{"cursor", job.Filter{Cursor: "AAAA"}},
		{"limit", job.Filter{Limit: -1}},
		{"limit", job.Filter{Limit: job.MaxLimit + 1}},
	} {
		_, err := s.ListJobs(s.ctx, c.f)
		s.refused(err, job.Invalid, c.field)
	}
}

func listOutcomes(s *suite) {
	begin := time.Now().Add(-time.Hour)
	ids := []int64{s.shell("exit 3").ID, s.shell("true").ID, s.shell("exit 3").ID, s.held(job.Spec{}).ID}
	for _, id := range ids[:3] {
		s.wait(id)
	}
	s.act(job.ActStop, ids[3])
	third := s.job(ids[2])
	for _, c := range []struct {
		f    job.Filter
		want []int64
	}{
		{job.Filter{ExitCodes: []int{3, 4}}, []int64{ids[2], ids[0]}},
		{job.Filter{Reasons: []job.Reason{job.ReasonUser, job.ReasonLost}}, []int64{ids[3]}},
		{job.Filter{Text: "EXIT", Sort: job.SortOldest}, []int64{ids[0], ids[2]}},
		{job.Filter{Since: begin, Until: third.CreatedAt}, []int64{ids[1], ids[0]}},
		{job.Filter{Since: third.CreatedAt}, []int64{ids[3], ids[2]}},
		{job.Filter{EndedSince: begin, States: []job.State{job.Completed, job.Queued}}, []int64{ids[1]}},
		{job.Filter{EndedUntil: begin}, []int64{}},
	} {
		s.same(fmt.Sprintf("%+v", c.f), s.list(c.f), c.want)
	}
	last := s.list(job.Filter{Sort: job.SortLastEnded})
	if len(last) != 4 || last[0] != ids[3] {
		s.Errorf("by time of end: %v", last)
	}
	done, err := s.Act(s.ctx, job.ActRequest{Action: job.ActDelete, DryRun: true, Filter: job.Filter{ExitCodes: []int{3}, EndedSince: begin, Sort: job.SortLastEnded}})
	s.ok(err)
	s.same("a dry run", done, job.ActResult{Done: []int64{ids[0], ids[2]}, Count: 2})
	_, err = s.ListJobs(s.ctx, job.Filter{Sort: "name"})
	s.refused(err, job.Invalid, "sort")
	_, err = s.ListJobs(s.ctx, job.Filter{Reasons: []job.Reason{"why"}})
	s.refused(err, job.Invalid, "")
}
