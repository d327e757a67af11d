package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/client"
	"github.com/queuemgr/queuemgr/internal/auth/authtest"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/job"
)

func TestMain(m *testing.M) {
	if socket := os.Getenv(swallowSocket); socket != "" {
		swallow(socket)
	}
	enginetest.Main(m)
}

// daemon is an engine behind a socket that can be taken away and come back.
type daemon struct {
	*enginetest.Fixture
	t      *testing.T
	socket string
	stop   context.CancelFunc
	served chan error
	waits  chan struct{} // gets a token when the service is asked to wait for a job
}

// WaitJob tells the test that somebody waits.
func (d *daemon) WaitJob(ctx context.Context, id int64) (*job.Job, error) {
	select {
	case d.waits <- struct{}{}:
	default: // it was told already
	}
	return d.Fixture.WaitJob(ctx, id)
}

func start(t *testing.T) (*daemon, *client.Client) {
	t.Helper()
	d := &daemon{Fixture: enginetest.Start(t, nil), t: t, socket: filepath.Join(t.TempDir(), "s"), waits: make(chan struct{}, 1)}
	d.serve()
	t.Cleanup(d.end)
	c := client.New(client.Options{Socket: d.socket})
	t.Cleanup(c.Close)
	return d, c
}

func (d *daemon) serve() {
	d.t.Helper()
	l, err := httpapi.Listen(d.socket)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	d.stop, d.served = stop, make(chan error, 1)
	h := httpapi.New(httpapi.Options{Service: d, Version: "test"})
	go func() { d.served <- h.Serve(ctx, l, time.Minute) }()
}

func (d *daemon) end() {
	d.t.Helper()
	d.stop()
	if err := <-d.served; err != nil {
		d.t.Error(err)
	}
}

// restart is what a user does: all connections break, jobs go on.
func (d *daemon) restart() {
	d.t.Helper()
	d.end()
	d.Fixture.Restart()
	d.serve()
}

// add adds a job that says ready and then waits for its TERM signal.
func (d *daemon) add(c *client.Client) *job.Job {
	d.t.Helper()
	j, err := c.AddJob(d.t.Context(), job.Spec{Shell: "trap 'echo bye; exit 0' TERM; echo one; echo two; sleep 1000 & wait"})
	if err != nil {
		d.t.Fatal(err)
	}
	return j
}

func stopJob(t *testing.T, c *client.Client, id int64) {
	t.Helper()
	r, err := c.Act(t.Context(), job.ActRequest{Action: job.ActStop, Filter: job.Filter{IDs: []job.Range{{From: id, To: id}}}})
	if err != nil || len(r.Done) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestWaitSurvivesRestart(t *testing.T) {
	d, c := start(t)
	j := d.add(c)
	type outcome struct {
		j   *job.Job
		err error
	}
	waited := make(chan outcome, 1)
	go func() {
		got, err := c.WaitJob(t.Context(), j.ID)
		waited <- outcome{got, err}
	}()
	for range 2 {
		<-d.waits
		d.restart()
	}
	stopJob(t, c, j.ID)
	if got := <-waited; got.err != nil || got.j.State != job.Stopped {
		t.Errorf("%+v, %v", got.j, got.err)
	}
}

// TestLogSurvivesRestart follows a log over restarts, from the beginning and from an offset: no
// byte is missing or double.
func TestLogSurvivesRestart(t *testing.T) {
	d, c := start(t)
	j := d.add(c)
	whole, err := c.Logs(t.Context(), j.ID, job.LogOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if _, err := io.ReadFull(whole, make([]byte, len("one\ntwo\n"))); err != nil {
		t.Fatal(err)
	}
	parts := []io.ReadCloser{whole}
	for _, o := range []job.LogOptions{{Follow: true, Offset: 4}} {
		r, err := c.Logs(t.Context(), j.ID, o)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		b := make([]byte, 2)
		if _, err := io.ReadFull(r, b); err != nil || string(b) != "tw" {
			t.Fatalf("%+v begins with %q, %v", o, b, err)
		}
		parts = append(parts, r)
	}
	d.restart()
	stopJob(t, c, j.ID)
	for i, want := range []string{"bye\n", "o\nbye\n"} {
		b, err := io.ReadAll(parts[i])
		if err != nil || string(b) != want {
			t.Errorf("reader %d: %q, %v; want %q", i, b, err, want)
		}
	}
}

func TestEventsSurviveRestart(t *testing.T) {
	d, c := start(t)
	held := job.Spec{Shell: "true", Hold: true}
	next := make(chan job.Change)
	failed := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	events := c.Events(ctx, job.EventOptions{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for change, err := range events {
			if err != nil {
				failed <- err
				return
			}
			next <- change
		}
	}()
	last := uint64(0)
	for range 3 {
		var added []int64
		for range 5 {
			j, err := c.AddJob(t.Context(), held)
			if err != nil {
				t.Fatal(err)
			}
			added = append(added, j.ID)
		}
		d.restart()
		for _, id := range added {
			select {
			case change := <-next:
				if change.JobID != id || last != 0 && change.Seq != last+1 {
					t.Fatalf("change %d of job %d behind %d, want job %d", change.Seq, change.JobID, last, id)
				}
				last = change.Seq
			case err := <-failed:
				t.Fatal(err)
			}
		}
	}
	cancel()
	<-ended
}

func TestNotReachable(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for _, socket := range []string{filepath.Join(dir, "none"), stale} {
		c := client.New(client.Options{Socket: socket})
		defer c.Close()
		for name, err := range map[string]error{
			"AddJob":  second(c.AddJob(t.Context(), job.Spec{Shell: "true"})),
			"AddJobs": second(c.AddJobs(t.Context(), job.Batch{Jobs: make([]job.Spec, 10_000), Defaults: job.Spec{Shell: "true"}})),
			"Status":  second(c.Status(t.Context())),
			"WaitJob": second(c.WaitJob(t.Context(), 1)),
			"Logs":    second(c.Logs(t.Context(), 1, job.LogOptions{Follow: true})),
			"Events":  firstError(c.Events(t.Context(), job.EventOptions{})),
			"After":   firstError(c.Events(t.Context(), job.EventOptions{After: new(uint64)})),
		} {
			e := (*job.Error)(nil)
			if !errors.As(err, &e) || e.Code != job.Unavailable || e.Hint != "start it: queuemgr service start" || !strings.Contains(e.Message, socket) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	c := client.New(client.Options{Socket: filepath.Join(dir, strings.Repeat("x", 120))})
	if _, err := c.Status(t.Context()); job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), "107") {
		t.Errorf("a long path: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func firstError(events func(func(job.Change, error) bool)) (first error) {
	events(func(_ job.Change, err error) bool {
		first = err
		return false
	})
	return first
}

// TestNoDaemon asks servers that are none, or die in the middle of an answer.
func TestNoDaemon(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		code   job.Code
		hint   string
	}{
		"another server": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "what?", http.StatusTeapot) }, job.Internal, "look what listens"},
		"a redirect":     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusSeeOther) }, job.Internal, "look what listens"},
		"no answer":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, job.Unavailable, "it may have done"},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id":`) // the rest never comes: that is the test
			panic(http.ErrAbortHandler)
		}, job.Unavailable, "it may have done"},
	} {
		socket := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: c.answer}
		served := make(chan error)
		go func() { served <- srv.Serve(l) }()
		to := client.New(client.Options{Socket: socket})
		_, err = to.AddJob(t.Context(), job.Spec{Shell: "true"})
		e := (*job.Error)(nil)
		if !errors.As(err, &e) || e.Code != c.code || !strings.HasPrefix(e.Hint, c.hint) {
			t.Errorf("%s: %v", name, err)
		}
		_, err = to.AddJobs(t.Context(), job.Batch{Jobs: make([]job.Spec, 50_000), Defaults: job.Spec{Shell: "true"}})
		if job.CodeOf(err) != c.code {
			t.Errorf("%s, a batch: %v", name, err)
		}
		to.Close()
		srv.Close()
		<-served
	}
}

// TestTCP reaches a daemon by its address.
func TestTCP(t *testing.T) {
	d, _ := start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := authtest.Guard(t, d.Fixture)
	h := httpapi.New(httpapi.Options{Service: g.Service, Gate: g.Gate, Access: g.Gate})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- h.ServeTCP(ctx, l, nil, time.Minute) }()
	base := "http://" + l.Addr().String() + "/"
	with := client.New(client.Options{BaseURL: base, Header: http.Header{"Authorization": {"Bearer " + g.Token(t, job.Viewer).Secret}}})
	if _, err := with.Status(t.Context()); err != nil {
		t.Error(err)
	}
	without := client.New(client.Options{BaseURL: base})
	if _, err := without.Queues(t.Context()); job.CodeOf(err) != job.Unauthenticated {
		t.Error(err)
	}
	with.Close()
	without.Close()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
