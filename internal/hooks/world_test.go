package hooks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/engine"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/internal/hooks"
	"github.com/queuemgr/queuemgr/internal/joblog"
	"github.com/queuemgr/queuemgr/job"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// world is an engine with hooks: real registry, real runner, real processes.
type world struct {
	*enginetest.Fixture
	t     *testing.T
	hooks *hooks.Service
	mod   func(*hooks.Options)
	wrap  func(hooks.Engine) hooks.Engine // nil = the engine as it is
	stop  func()
}

// open starts a world; its pauses after failures are short.
func open(t *testing.T, mod func(*hooks.Options)) *world {
	t.Helper()
	w := &world{t: t, mod: mod}
	w.Fixture = enginetest.Start(t, w.options)
	w.run()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) options(o *engine.Options) {
	w.t.Helper()
	ho := hooks.Options{Store: o.Store.(hooks.Store), Now: time.Now, Random: func() float64 { return 1 }, Version: "test", Log: o.Log,
		After: func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTimer(d)
			return t.C, func() { t.Stop() }
		},
		NewRunID:  func() string { return engine.HiddenPrefix + o.NewRunID() },
		Backoff:   hooks.Backoff{First: 10 * time.Millisecond, Cap: 100 * time.Millisecond},
		RemoveLog: func(id, n int64) { _ = joblog.RemoveHook(o.LogDir, id, n) }}
	if w.mod != nil {
		w.mod(&ho)
	}
	var err error
	if w.hooks, err = hooks.New(context.Background(), ho); err != nil {
		w.t.Fatal(err)
	}
	o.Hidden = w.hooks
	o.Hub.OnCommit(w.hooks.Wake)
}

func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	s, e := w.hooks, hooks.Engine(adapter{w.Engine})
	if w.wrap != nil {
		e = w.wrap(e)
	}
	wg.Go(func() { s.Run(ctx, e) })
	w.stop = func() { cancel(); wg.Wait() }
}

// restart ends engine and hooks as a crash would leave them, and starts others.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.Restart()
	w.run()
}

type adapter struct{ *engine.Engine }

func (a adapter) RunHook(ctx context.Context, r hooks.Run) error {
	return a.RunHidden(ctx, engine.HiddenRun{RunID: r.ID, JobID: r.JobID, Log: r.Delivery, Argv: r.Argv, Env: r.Env, AsJob: r.AsJob, Stdin: r.Stdin, Timeout: r.Timeout})
}

// add adds a job of a script with hooks.
func (w *world) add(script string, of ...job.Hook) int64 {
	w.t.Helper()
	ctx := job.WithCaller(w.t.Context(), job.Caller{UID: 0, Name: "root"})
	j, err := w.AddJob(ctx, job.Spec{Shell: script, Hooks: of})
	if err != nil {
		w.t.Fatal(err)
	}
	return j.ID
}

// until waits for deliveries that are as they shall be, and returns all of the job's, oldest first.
func (w *world) until(id int64, what string, ok func([]job.Delivery) bool) []job.Delivery {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		page, err := w.Store.ListDeliveries(w.t.Context(), job.DeliveryFilter{JobID: id, Limit: 100})
		if err != nil {
			w.t.Fatal(err)
		}
		list := page.Deliveries
		for i, k := 0, len(list)-1; i < k; i, k = i+1, k-1 {
			list[i], list[k] = list[k], list[i]
		}
		if ok(list) {
			return list
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the deliveries of job %d never were %s: %+v", id, what, list)
		}
		time.Sleep(5 * time.Millisecond) // nobody tells of deliveries
	}
}

// over waits until n deliveries of a job are over.
func (w *world) over(id int64, n int) []job.Delivery {
	w.t.Helper()
	return w.until(id, fmt.Sprintf("%d that are over", n), func(list []job.Delivery) bool {
		for _, d := range list {
			if d.State.Open() {
				return false
			}
		}
		return len(list) == n
	})
}

// post is what a receiver was sent.
type post struct {
	header http.Header
	text   []byte
	event  string
	id     int64
	state  job.State
}

// receiver is a web address that is told of events.
type receiver struct {
	t    *testing.T
	addr string
	// answer returns the status for a post; nil = 204.
	answer atomic.Pointer[func(post) int]

	mu    sync.Mutex
	posts []post
	came  chan struct{} // holds a token when there is a new one
	stop  func()
}

// receive listens where addr says, "" = anywhere.
func receive(t *testing.T, addr string) *receiver {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, addr: l.Addr().String(), came: make(chan struct{}, 1)}
	server := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	r.stop = func() { _ = server.Close(); <-done }
	t.Cleanup(r.stop)
	return r
}

func (r *receiver) url() string { return "http://" + r.addr + "/hook" }

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	text, err := io.ReadAll(req.Body)
	if err != nil {
		return // broken off
	}
	p := post{header: req.Header, text: text}
	var body struct {
		Event, Delivery string
		Job             job.Job
	}
	if err := json.Unmarshal(text, &body); err != nil || body.Event != req.Header.Get("X-Queuemgr-Event") || body.Delivery != req.Header.Get("X-Queuemgr-Delivery") || req.Method != http.MethodPost {
		r.t.Errorf("a post of %q with %v: %v", text, req.Header, err)
	}
	p.event, p.id, p.state = body.Event, body.Job.ID, body.Job.State
	status := http.StatusNoContent
	if answer := r.answer.Load(); answer != nil {
		status = (*answer)(p)
	}
	if status < 300 {
		r.mu.Lock()
		r.posts = append(r.posts, p)
		r.mu.Unlock()
		select {
		case r.came <- struct{}{}:
		default:
		}
	}
	w.WriteHeader(status)
}

// until waits for n posts and returns all.
func (r *receiver) until(n int) []post {
	r.t.Helper()
	for {
		r.mu.Lock()
		all := append([]post(nil), r.posts...)
		r.mu.Unlock()
		if len(all) >= n {
			return all
		}
		select {
		case <-r.came:
		case <-time.After(30 * time.Second):
			r.t.Fatalf("%d posts came, want %d", len(all), n)
		}
	}
}

// onAll is a hook of the settings that is told of everything.
func onAll(url string) hooks.Configured {
	return hooks.Configured{Name: "all", On: job.HookEvents, URL: url, Timeout: 5 * time.Second, GiveUp: time.Hour}
}
