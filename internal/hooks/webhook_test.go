package hooks_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/hooks"
	"github.com/queuemgr/queuemgr/job"
)

// failing tells of each request that reached nobody.
type failing struct{ failed chan struct{} }

func (f failing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		select {
		case f.failed <- struct{}{}:
		default:
		}
	}
	return resp, err
}

// TestReceiverDown has a receiver away while jobs run: after it returns it gets every event, for
// each job in order, signed.
func TestReceiverDown(t *testing.T) {
	first := receive(t, "")
	first.stop()
	secret := []byte("a secret of many bytes")
	tries := failing{make(chan struct{})}
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	w := open(t, func(o *hooks.Options) {
		h := onAll(first.url())
		h.Secret = secret
		o.Hooks, o.Transport = []hooks.Configured{h}, tries
	})
	const n = 20
	want := map[int64]string{}
	for i := range n {
		id := w.add(fmt.Sprintf("exit %d", i%2))
		want[id] = []string{"start success", "start failure"}[i%2]
	}
	for id := range want {
		if j, err := w.WaitJob(t.Context(), id); err != nil || !j.State.Ended() {
			t.Fatal(j, err)
		}
	}
	for range 6 {
		<-tries.failed
	}
	if list, err := w.hooks.Hooks(t.Context()); err != nil || list[0].LastError == "" || strings.Contains(list[0].LastError, "/hook") {
		t.Errorf("the hook's trouble: %+v, %v", list, err)
	}
	w.restart() // what is open is on record

	back := receive(t, first.addr)
	got := map[int64]string{}
	names := map[string]bool{}
	for _, p := range back.until(2 * n) {
		got[p.id] = strings.TrimSpace(got[p.id] + " " + p.event)
		if names[p.header.Get("X-Queuemgr-Delivery")] {
			t.Errorf("delivery %s came twice", p.header.Get("X-Queuemgr-Delivery"))
		}
		names[p.header.Get("X-Queuemgr-Delivery")] = true
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(p.header.Get("X-Queuemgr-Timestamp") + "." + string(p.text)))
		if p.header.Get("X-Queuemgr-Signature") != "v1="+hex.EncodeToString(m.Sum(nil)) {
			t.Errorf("job %d's %s is not signed rightly: %v", p.id, p.event, p.header)
		}
		if at, err := strconv.ParseInt(p.header.Get("X-Queuemgr-Timestamp"), 10, 64); err != nil || time.Since(time.Unix(at, 0)) > time.Minute {
			t.Errorf("timestamp %q", p.header.Get("X-Queuemgr-Timestamp"))
		}
	}
	for id, events := range want {
		if got[id] != events {
			t.Errorf("job %d: told %q, want %q", id, got[id], events)
		}
		w.over(id, 2)
	}
}

func answering(f func(post) int) *func(post) int { return &f }

// TestRefusals has a receiver answer other than that it has it.
func TestRefusals(t *testing.T) {
	r := receive(t, "")
	w := open(t, func(o *hooks.Options) { o.Hooks = []hooks.Configured{onAll(r.url())} })

	r.answer.Store(answering(func(post) int { return http.StatusGone }))
	id := w.add("true")
	for _, d := range w.over(id, 2) {
		if d.State != job.DeliveryGivenUp || d.Tries != 1 || !strings.Contains(d.LastError, "410") {
			t.Errorf("after 410: %+v", d)
		}
	}
	j, err := w.Job(t.Context(), id)
	if err != nil || len(j.Notes) != 2 || !strings.Contains(j.Notes[0], "hook settings/all was not told of start") || !strings.Contains(j.Notes[0], "queuemgr hook retry 1") {
		t.Errorf("the job's notes: %q, %v", j.Notes, err)
	}
	r.answer.Store(nil)
	if d, err := w.hooks.RetryDelivery(t.Context(), 1); err != nil || d.State != job.DeliveryPending {
		t.Errorf("tried again: %+v, %v", d, err)
	}
	if p := r.until(1)[0]; p.event != "start" || p.id != id {
		t.Errorf("what came when it was tried again: %+v", p)
	}

	// One that can't be taken holds up its job's later ones, and nobody else's.
	var bad atomic.Int64
	r.answer.Store(answering(func(p post) int {
		if p.id == bad.Load() {
			return http.StatusUnprocessableEntity
		}
		return http.StatusOK
	}))
	bad.Store(id + 1)
	held, other := w.add("true"), w.add("true")
	w.over(other, 2)
	list := w.until(held, "failed several times", func(list []job.Delivery) bool { return len(list) == 2 && list[0].Tries > 3 })
	if list[0].State != job.DeliveryFailed || list[1].Tries != 0 || !list[1].NextTry.IsZero() {
		t.Errorf("held up: %+v", list)
	}
	bad.Store(0)
	w.over(held, 2)
}

// TestGivenUp has a receiver that is never there.
func TestGivenUp(t *testing.T) {
	r := receive(t, "")
	r.stop()
	w := open(t, func(o *hooks.Options) {
		h := onAll(r.url())
		h.GiveUp = 100 * time.Millisecond
		o.Hooks = []hooks.Configured{h}
	})
	var ids []int64
	for range 30 {
		ids = append(ids, w.add("true"))
	}
	for _, id := range ids {
		for _, d := range w.over(id, 2) {
			if d.State != job.DeliveryGivenUp || d.LastError == "" {
				t.Errorf("never reached: %+v", d)
			}
		}
		if j, err := w.Job(t.Context(), id); err != nil || len(j.Notes) != 2 || j.State != job.Completed {
			t.Errorf("the job: %+v, %v", j, err)
		}
	}
}

// TestRedirects follows one within the receiver's host, and none elsewhere.
func TestRedirects(t *testing.T) {
	elsewhere := receive(t, "")
	var to atomic.Pointer[string]
	hop := http.NewServeMux()
	real := receive(t, "")
	hop.HandleFunc("/from", func(rw http.ResponseWriter, req *http.Request) {
		http.Redirect(rw, req, *to.Load(), http.StatusTemporaryRedirect)
	})
	hop.HandleFunc("/get", func(rw http.ResponseWriter, req *http.Request) { http.Redirect(rw, req, "/to", http.StatusFound) })
	hop.Handle("/to", real)
	front := serveOn(t, hop)
	w := open(t, nil)
	url := func(path string) job.Hook { return job.Hook{On: []job.HookEvent{job.HookSuccess}, URL: front + path} }

	same := "/to"
	to.Store(&same)
	w.over(w.add("true", url("/from")), 1)
	real.until(1)
	for _, away := range []string{elsewhere.url(), "/from"} {
		to.Store(&away)
		id := w.add("true", url("/from"))
		list := w.until(id, "refused", func(list []job.Delivery) bool { return len(list) == 1 && list[0].Tries > 0 })
		if !strings.Contains(list[0].LastError, "sends us elsewhere") {
			t.Errorf("sent to %s: %+v", away, list[0])
		}
	}
	id := w.add("true", url("/get"))
	w.until(id, "refused", func(list []job.Delivery) bool { return len(list) == 1 && list[0].Tries > 0 })
	elsewhere.mu.Lock()
	defer elsewhere.mu.Unlock()
	if len(elsewhere.posts) > 0 {
		t.Error("another host was told")
	}
}

// TestSlowReceiver has a receiver that takes connections and never answers: jobs run as ever, and only
// so many requests are under way.
func TestSlowReceiver(t *testing.T) {
	r := receive(t, "")
	release := make(chan struct{})
	var now, most atomic.Int64
	r.answer.Store(answering(func(post) int {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		<-release
		return http.StatusOK
	}))
	w := open(t, func(o *hooks.Options) {
		h := onAll(r.url())
		h.Timeout = time.Minute
		o.Hooks = []hooks.Configured{h}
	})
	const n = 1000
	b := job.Batch{}
	for range n {
		b.Jobs = append(b.Jobs, job.Spec{Command: []string{"/bin/true"}})
	}
	began := time.Now()
	ids, err := w.AddJobs(job.WithCaller(t.Context(), job.Caller{Name: "root"}), b)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if j, err := w.WaitJob(t.Context(), id); err != nil || j.State != job.Completed {
			t.Fatal(j, err)
		}
	}
	t.Logf("%d jobs ran in %s while their hooks' receiver did not answer", n, time.Since(began))
	page, err := w.Store.ListDeliveries(t.Context(), job.DeliveryFilter{States: []job.DeliveryState{job.DeliveryDone}, Limit: 1})
	if err != nil || len(page.Deliveries) > 0 {
		t.Errorf("done: %+v, %v", page, err)
	}
	close(release)
	r.until(2 * n)
	if most.Load() > 4 {
		t.Errorf("%d requests were under way at once", most.Load())
	}
}
