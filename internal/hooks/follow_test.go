package hooks_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/internal/hooks"
	"github.com/queuemgr/queuemgr/job"
)

// TestNothingIsWritten runs jobs without any hook.
func TestNothingIsWritten(t *testing.T) {
	w := open(t, nil)
	for range 5 {
		if _, err := w.WaitJob(t.Context(), w.add("true")); err != nil {
			t.Fatal(err)
		}
	}
	w.stop()
	c, err := w.Store.HookCursor(t.Context())
	if err != nil || c.Seq != 0 || len(c.Since) != 0 {
		t.Errorf("the cursor is %+v, %v", c, err)
	}
	w.run()
}

// TestEvents has jobs end in every way.
func TestEvents(t *testing.T) {
	r := receive(t, "")
	w := open(t, func(o *hooks.Options) { o.Hooks = []hooks.Configured{onAll(r.url())} })
	ctx := job.WithCaller(t.Context(), job.Caller{Name: "root"})
	act := func(id int64, a job.Action) {
		t.Helper()
		result, err := w.Act(ctx, job.ActRequest{Action: a, Filter: job.Filter{IDs: []job.Range{{From: id, To: id}}}})
		if err != nil || len(result.Done) != 1 {
			t.Fatalf("%s: %+v, %v", a, result, err)
		}
	}
	events := func(id int64, n int) (list []string) {
		t.Helper()
		for _, d := range w.over(id, n) {
			list = append(list, string(d.Event))
		}
		return list
	}
	want := func(what string, id int64, events []string, want ...string) {
		t.Helper()
		if d := cmp.Diff(want, events); d != "" {
			t.Errorf("%s, job %d (-want +got):\n%s", what, id, d)
		}
	}
	done := w.add("true")
	want("completed", done, events(done, 2), "start", "success")
	act(done, job.ActStart)
	want("completed again", done, events(done, 4), "start", "success", "start", "success")
	act(done, job.ActDelete)

	long := w.add("sleep 1000")
	w.until(long, "started", func(list []job.Delivery) bool { return len(list) == 1 })
	act(long, job.ActStop)
	want("stopped", long, events(long, 2), "start", "stop")

	killed := w.add("sleep 1000")
	w.until(killed, "started", func(list []job.Delivery) bool { return len(list) == 1 })
	act(killed, job.ActDelete)
	want("deleted as it ran", killed, events(killed, 2), "start", "stop")

	held, err := w.AddJob(ctx, job.Spec{Shell: "true", Hold: true})
	if err != nil {
		t.Fatal(err)
	}
	act(held.ID, job.ActStop)
	want("stopped before it ran", held.ID, events(held.ID, 1), "stop")

	missing, err := w.AddJob(ctx, job.Spec{Command: []string{"/nowhere"}})
	if err != nil {
		t.Fatal(err)
	}
	want("could not run", missing.ID, events(missing.ID, 1), "failure")
	want("the deleted one after all", done, events(done, 4), "start", "success", "start", "success")
}

// TestStartTellsOfNoEnd has jobs whose start and end are one change: a start is told as it was.
func TestStartTellsOfNoEnd(t *testing.T) {
	r := receive(t, "")
	w := open(t, func(o *hooks.Options) { o.Hooks = []hooks.Configured{onAll(r.url())} })
	for range 20 {
		w.over(w.add("exit 3"), 2)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	starts := 0
	for _, p := range r.posts {
		if p.event != string(job.HookStart) {
			continue
		}
		if starts++; p.state != job.Running || bytes.Contains(p.text, []byte("exit_code")) || bytes.Contains(p.text, []byte("finished_at")) || !bytes.Contains(p.text, []byte("started_at")) {
			t.Errorf("a start tells %s", p.text)
		}
	}
	if starts != 20 {
		t.Errorf("%d starts were told", starts)
	}
}

// TestNewHook is told of what happens from when it is there.
func TestNewHook(t *testing.T) {
	r := receive(t, "")
	w := open(t, nil)
	if _, err := w.WaitJob(t.Context(), w.add("true")); err != nil {
		t.Fatal(err)
	}
	w.hooks.Set([]hooks.Configured{onAll(r.url())}, nil)
	second := w.add("true")
	w.over(second, 2)
	w.mod = func(o *hooks.Options) {
		h := onAll(r.url())
		h.Name = "another"
		o.Hooks = []hooks.Configured{onAll(r.url()), h}
	}
	w.restart()
	third := w.add("true")
	w.over(third, 4)
	w.hooks.Set(nil, nil)
	fourth := w.add("true")
	if _, err := w.WaitJob(t.Context(), fourth); err != nil {
		t.Fatal(err)
	}
	w.hooks.Set([]hooks.Configured{onAll(r.url())}, nil)
	fifth := w.add("true")
	w.over(fifth, 2)
	got := map[int64]int{}
	for _, p := range r.until(8) {
		got[p.id]++
	}
	if d := cmp.Diff(map[int64]int{second: 2, third: 4, fifth: 2}, got); d != "" {
		t.Errorf("told of (-want +got):\n%s", d)
	}
}

// TestHookThatIsGone has something open for a hook that is taken out of the settings.
func TestHookThatIsGone(t *testing.T) {
	r := receive(t, "")
	r.stop()
	w := open(t, func(o *hooks.Options) { o.Hooks = []hooks.Configured{onAll(r.url())} })
	id := w.add("true")
	w.until(id, "failed", func(list []job.Delivery) bool { return len(list) == 2 && list[0].Tries > 0 })
	w.hooks.Set(nil, nil)
	for _, d := range w.over(id, 2) {
		if d.State != job.DeliveryGivenUp || d.LastError != "it is not in the settings any more" {
			t.Errorf("%+v", d)
		}
	}
}

// TestPosition lets the registry forget what hooks are told of, and old deliveries go with their logs.
func TestPosition(t *testing.T) {
	r := receive(t, "")
	now := time.Now()
	var gone []int64
	w := open(t, func(o *hooks.Options) {
		o.Hooks = []hooks.Configured{onAll(r.url())}
		o.Now = func() time.Time { return now }
		o.RemoveLog = func(_, delivery int64) { gone = append(gone, delivery) }
	})
	id := w.add("true")
	w.over(id, 2)
	if at := w.hooks.Position(t.Context()); at == 0 || at > w.Store.Seq() {
		t.Errorf("position %d of %d", at, w.Store.Seq())
	}
	w.stop() // Now is read by its goroutines
	now = now.Add(8 * 24 * time.Hour)
	w.hooks.Position(t.Context())
	w.over(id, 0)
	if len(gone) != 2 {
		t.Errorf("logs of %v are gone", gone)
	}
	w.run()
}

// damaged is a registry in which the changes of one job can't be read.
type damaged struct {
	hooks.Store
	mark string
}

func (d damaged) Changes(ctx context.Context, after uint64, limit int) ([]job.Change, error) {
	all, err := d.Store.Changes(ctx, after, limit)
	for i := range all {
		if bytes.Contains(all[i].JSON, []byte(d.mark)) {
			all[i].JSON = all[i].JSON[:len(all[i].JSON)/2]
		}
	}
	return all, err
}

// TestUnreadableChangeIsPassed has changes that can't be read: the hooks are told of those after them, the
// registry may forget them, and a problem says so.
func TestUnreadableChangeIsPassed(t *testing.T) {
	r := receive(t, "")
	w := open(t, func(o *hooks.Options) {
		o.Hooks, o.Store = []hooks.Configured{onAll(r.url())}, damaged{o.Store, "unreadable"}
	})
	bad := w.add(": unreadable")
	if j, err := w.WaitJob(t.Context(), bad); err != nil || j.State != job.Completed {
		t.Fatal(j, err)
	}
	good := w.add("true")
	w.over(good, 2)
	w.over(bad, 0)
	if p := w.hooks.Problem(); !strings.Contains(p, "changes that can't be read") {
		t.Errorf("the problem is %q", p)
	}
	last := r.until(2)[1]
	if at := w.hooks.Position(t.Context()); last.id != good || at == 0 {
		t.Errorf("told last of job %d; position %d", last.id, at)
	}
}
