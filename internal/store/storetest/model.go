package storetest

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// modelChecks is how many random histories are tried, each on a store of its own, unless
// -rapid.checks says otherwise.
const modelChecks = "15"

// testModel does random things to a store and to an obvious reference, and compares them.
func testModel(t *testing.T, open func(*testing.T) store.Store) {
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked {
		if err := flag.Set("rapid.checks", modelChecks); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{s: open(t), t: t, jobs: map[int64]*job.Job{}, ended: map[int64]time.Time{}, next: 1, queues: []string{job.DefaultQueue}}
		m.seq = m.s.Seq()
		rt.Repeat(map[string]func(*rapid.T){"add": m.add, "commit": m.commit, "purge": m.purge, "queue": m.queue, "list": m.list, "": m.compare})
		sound(t, m.s)
	})
}

// model is a registry in maps.
type model struct {
	s      store.Store
	t      *testing.T
	jobs   map[int64]*job.Job // as on record
	ended  map[int64]time.Time
	next   int64
	seq    uint64
	queues []string
	clock  int
}

func (m *model) now() time.Time { m.clock++; return minute(m.clock) }

func (m *model) waiting() (n int64) {
	for _, j := range m.jobs {
		if j.State.Waiting() {
			n++
		}
	}
	return n
}

func (m *model) keyTaken(key string) bool {
	for _, j := range m.jobs {
		if j.Key == key && j.State != job.Deleted {
			return true
		}
	}
	return false
}

var (
	modelKeys   = rapid.SampledFrom([]string{"", "", "", "a", "b", "c"})
	modelQueues = rapid.SampledFrom([]string{"default", "default", "q1", "q2"})
	modelTypes  = rapid.SampledFrom([]string{"command", "resize"})
	modelTags   = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "xy"}), 0, 2, rapid.ID)
)

func (m *model) add(t *rapid.T) {
	p := store.AddJobs{At: m.now(), MaxWaiting: rapid.Int64Range(0, 30).Draw(t, "max waiting")}
	want := job.Code("")
	keys, waiting := map[string]bool{}, m.waiting()
	for range rapid.IntRange(1, 4).Draw(t, "jobs") {
		j := newJob(withKey(modelKeys.Draw(t, "key")), inQueue(modelQueues.Draw(t, "queue")), ofType(modelTypes.Draw(t, "type")),
			withPriority(rapid.IntRange(-1, 1).Draw(t, "priority")), tagged(modelTags.Draw(t, "tags")...),
			inState(rapid.SampledFrom([]job.State{job.Held, job.Queued, job.Queued}).Draw(t, "state")))
		p.Jobs = append(p.Jobs, store.NewJob{Job: j, Env: []string{"K=" + rapid.SampledFrom([]string{"1", "2"}).Draw(t, "env")}})
		switch {
		case want != "":
		case !slices.Contains(m.queues, j.Queue):
			want = job.NotFound
		case j.Key != "" && (keys[j.Key] || m.keyTaken(j.Key)):
			want = job.Conflict
		}
		keys[j.Key] = true
	}
	if want == "" && p.MaxWaiting > 0 && waiting+int64(len(p.Jobs)) > p.MaxWaiting {
		want = job.Exhausted
	}
	_, err := m.s.AddJobs(m.t.Context(), p)
	if job.CodeOf(err) != want {
		t.Fatalf("AddJobs: %v, want the code %q", err, want)
	}
	if err != nil {
		return
	}
	for _, n := range p.Jobs {
		if n.Job.ID != m.next || n.Job.Rev != 1 {
			t.Fatalf("a new job has the number %d and revision %d, want %d and 1", n.Job.ID, n.Job.Rev, m.next)
		}
		m.jobs[m.next] = n.Job
		m.next++
		m.seq++
	}
}

// pick draws a job on record.
func (m *model) pick(t *rapid.T) *job.Job {
	if len(m.jobs) == 0 {
		t.Skip("there are no jobs")
	}
	ids := make([]int64, 0, len(m.jobs))
	for id := range m.jobs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return m.jobs[rapid.SampledFrom(ids).Draw(t, "job")]
}

func (m *model) commit(t *rapid.T) {
	c := store.Commit{At: m.now(), Vital: rapid.Bool().Draw(t, "vital")}
	drawn := map[int64]bool{}
	var conflicts []int64
	for range rapid.IntRange(1, 3).Draw(t, "updates") {
		j := m.pick(t)
		next := *j
		next.State = rapid.SampledFrom(append(j.State.Moves(), j.State)).Draw(t, "state")
		next.Head = rapid.Int64Range(0, 2).Draw(t, "head")
		next.Queue = rapid.SampledFrom(append([]string{j.Queue, j.Queue}, m.queues...)).Draw(t, "queue")
		stale := rapid.IntRange(0, 5).Draw(t, "stale") == 0
		if stale {
			next.Rev += 7
		}
		if stale || drawn[j.ID] || !next.State.Ended() && !slices.Contains(m.queues, next.Queue) {
			conflicts = append(conflicts, j.ID)
		} else {
			drawn[j.ID] = true
		}
		c.Updates = append(c.Updates, store.Update{Job: &next, From: j.State})
	}
	done, err := m.s.Commit(m.t.Context(), c)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	if !slices.Equal(done.Conflicts, conflicts) {
		t.Fatalf("conflicts are %v, want %v", done.Conflicts, conflicts)
	}
	for _, u := range c.Updates {
		old := m.jobs[u.Job.ID]
		if u.Job.Rev != old.Rev+1 || u.Job.Rev > old.Rev+5 {
			continue // a conflict
		}
		if u.Job.State != old.State {
			delete(m.ended, old.ID)
			if u.Job.State.Ended() {
				m.ended[old.ID] = c.At
			}
		}
		m.jobs[old.ID] = u.Job
		m.seq++
	}
}

func (m *model) purge(t *rapid.T) {
	p := store.Purge{States: rapid.SliceOfNDistinct(rapid.SampledFrom(ended), 1, 5, rapid.ID).Draw(t, "states"),
		Limit: rapid.IntRange(1, 5).Draw(t, "limit"), At: m.now()}
	var want []int64
	for id, j := range m.jobs {
		if slices.Contains(p.States, j.State) {
			want = append(want, id)
		}
	}
	slices.SortFunc(want, func(a, b int64) int { return cmp.Or(m.ended[a].Compare(m.ended[b]), cmp.Compare(a, b)) })
	if rapid.Bool().Draw(t, "by age") {
		p.EndedBefore = minute(rapid.IntRange(0, m.clock).Draw(t, "before"))
		want = slices.DeleteFunc(want, func(id int64) bool { return !m.ended[id].Before(p.EndedBefore) })
	} else {
		p.Keep = rapid.Int64Range(0, 3).Draw(t, "keep")
		want = want[:max(0, int64(len(want))-p.Keep)]
	}
	want = want[:min(len(want), p.Limit)]
	purged, err := m.s.Purge(m.t.Context(), p)
	if err != nil {
		t.Fatalf("Purge: %v", err)
	}
	if got := purgedIDs(purged); !slices.Equal(got, want) {
		t.Fatalf("purged %v, want %v", got, want)
	}
	for _, id := range want {
		delete(m.jobs, id)
		delete(m.ended, id)
		m.seq++
	}
}

func (m *model) queue(t *rapid.T) {
	name := rapid.SampledFrom([]string{"q1", "q2"}).Draw(t, "name")
	exists := slices.Contains(m.queues, name)
	if rapid.Bool().Draw(t, "make") {
		err := m.s.AddQueue(m.t.Context(), job.Queue{Name: name}, m.now())
		if want := map[bool]job.Code{true: job.Conflict}[exists]; job.CodeOf(err) != want {
			t.Fatalf("AddQueue: %v, want the code %q", err, want)
		}
		if err == nil {
			m.queues = append(m.queues, name)
			m.seq++
		}
		return
	}
	want := job.Code("")
	if !exists {
		want = job.NotFound
	}
	for _, j := range m.jobs {
		if exists && j.Queue == name && !j.State.Ended() {
			want = job.WrongState
		}
	}
	err := m.s.DeleteQueue(m.t.Context(), name, m.now())
	if job.CodeOf(err) != want {
		t.Fatalf("DeleteQueue: %v, want the code %q", err, want)
	}
	if err == nil {
		m.queues = slices.DeleteFunc(m.queues, func(q string) bool { return q == name })
		m.seq++
	}
}

func (m *model) list(t *rapid.T) {
	f := job.Filter{Oldest: rapid.Bool().Draw(t, "oldest"), Limit: rapid.IntRange(1, 5).Draw(t, "limit"),
		States: rapid.SliceOfNDistinct(rapid.SampledFrom(job.States), 0, 6, rapid.ID).Draw(t, "states"),
		Queues: rapid.SliceOfNDistinct(modelQueues, 0, 2, rapid.ID).Draw(t, "queues"),
		Types:  rapid.SliceOfNDistinct(modelTypes, 0, 1, rapid.ID).Draw(t, "types"), Tags: modelTags.Draw(t, "tags")}
	if rapid.IntRange(0, 3).Draw(t, "named") == 0 {
		from := rapid.Int64Range(1, m.next).Draw(t, "from")
		f.IDs = []job.Range{{From: from, To: from + 5}, {From: 1, To: 1}}
		f.Keys = []string{"a"}
	}
	var want []int64
	for id, j := range m.jobs {
		if m.selects(&f, j) {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	if !f.Oldest {
		slices.Reverse(want)
	}
	var got []int64
	for {
		page, err := m.s.ListJobs(m.t.Context(), f)
		if err != nil {
			t.Fatalf("ListJobs: %v", err)
		}
		if len(page.Jobs) > f.Limit {
			t.Fatalf("a page of %d jobs, limit %d", len(page.Jobs), f.Limit)
		}
		got = append(got, ids(page.Jobs)...)
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("ListJobs(%+v) is %v, want %v", f, got, want)
	}
}

func (m *model) selects(f *job.Filter, j *job.Job) bool {
	named := len(f.IDs) == 0 || j.Key != "" && j.State != job.Deleted && slices.Contains(f.Keys, j.Key) ||
		slices.ContainsFunc(f.IDs, func(r job.Range) bool { return r.From <= j.ID && j.ID <= r.To })
	tags := !slices.ContainsFunc(f.Tags, func(tag string) bool { return !slices.Contains(j.Tags, tag) })
	return named && tags && (f.ShowsDeleted() || j.State != job.Deleted) && (len(f.States) == 0 || slices.Contains(f.States, j.State)) &&
		(len(f.Queues) == 0 || slices.Contains(f.Queues, j.Queue)) && (len(f.Types) == 0 || slices.Contains(f.Types, j.Type))
}

// compare holds everything that can be read against the reference.
func (m *model) compare(t *rapid.T) {
	counts := store.Counts{ByQueue: map[string]map[job.State]int64{}, ByType: map[string]map[job.State]int64{}}
	var live, queued []*job.Job
	for _, j := range m.jobs {
		for by, name := range map[*map[string]map[job.State]int64]string{&counts.ByQueue: j.Queue, &counts.ByType: j.Type} {
			if (*by)[name] == nil {
				(*by)[name] = map[job.State]int64{}
			}
			(*by)[name][j.State]++
		}
		if j.State.Live() {
			live = append(live, j)
		}
		if j.State == job.Queued && j.Queue == job.DefaultQueue {
			queued = append(queued, j)
		}
	}
	slices.SortFunc(live, func(a, b *job.Job) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(queued, func(a, b *job.Job) int {
		return cmp.Or(cmp.Compare(b.Head, a.Head), cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID))
	})
	ctx := m.t.Context()
	gotLive, err1 := m.s.LiveJobs(ctx)
	gotQueued, err2 := m.s.Candidates(ctx, job.DefaultQueue, 1000)
	last, err3 := m.s.Changes(ctx, m.seq-min(m.seq, 1), 10)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	var problems []string
	for what, pair := range map[string][2]any{"Counts": {counts, m.s.Counts()}, "LiveJobs": {live, gotLive}, "Candidates": {queued, gotQueued},
		"Seq": {m.seq, m.s.Seq()}, "last change": {min(m.seq, 1), uint64(len(last))}, "NextID": {m.next, m.s.NextID()}} {
		if d := gocmp.Diff(pair[0], pair[1], cmpopts.EquateEmpty()); d != "" {
			problems = append(problems, fmt.Sprintf("%s differs (-want +got):\n%s", what, d))
		}
	}
	if len(problems) > 0 {
		t.Fatal(strings.Join(problems, "\n"))
	}
}
