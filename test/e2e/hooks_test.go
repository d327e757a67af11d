package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// told is one event that a web address was sent.
type told struct {
	job      int64
	event    string
	delivery string
}

// ear is a web address that hooks tell. It checks signatures.
type ear struct {
	t      *testing.T
	addr   string
	secret []byte
	// hold is called with the number of each event before it is answered; nil = it is answered.
	hold func(n int)

	mu   sync.Mutex
	all  []told
	came chan struct{}
}

// listen makes the ear hear until stop is called.
func (e *ear) listen() (stop func()) {
	e.t.Helper()
	l, err := new(net.ListenConfig).Listen(e.t.Context(), "tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	e.addr = l.Addr().String()
	server := &http.Server{Handler: e, ReadHeaderTimeout: limit, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	return sync.OnceFunc(func() { _ = server.Close(); <-done })
}

func (e *ear) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return // the daemon is gone
	}
	m := hmac.New(sha256.New, e.secret)
	m.Write([]byte(r.Header.Get("X-Queuemgr-Timestamp") + "."))
	m.Write(text)
	if got := r.Header.Get("X-Queuemgr-Signature"); got != "v1="+hex.EncodeToString(m.Sum(nil)) {
		e.t.Errorf("the signature is %q", got)
	}
	var body struct {
		Event string
		Job   job.Job
	}
	if err := json.Unmarshal(text, &body); err != nil {
		e.t.Error(err)
	}
	e.mu.Lock()
	e.all = append(e.all, told{body.Job.ID, body.Event, r.Header.Get("X-Queuemgr-Delivery")})
	n := len(e.all)
	e.mu.Unlock()
	select {
	case e.came <- struct{}{}:
	default:
	}
	if e.hold != nil {
		e.hold(n)
	}
}

// events waits until every job was told of n events, and returns those of each, the first time that
// each came, and how many came again.
func (e *ear) events(ids []int64, n int) (events map[int64]string, again int) {
	e.t.Helper()
	deadline := time.After(2 * limit)
	for {
		events, again = map[int64]string{}, 0
		seen := map[string]bool{}
		e.mu.Lock()
		for _, h := range e.all {
			if seen[h.delivery] {
				again++
				continue
			}
			seen[h.delivery] = true
			events[h.job] = strings.TrimSpace(events[h.job] + " " + h.event)
		}
		e.mu.Unlock()
		missing := 0
		for _, id := range ids {
			missing += n - len(strings.Fields(events[id]))
		}
		if missing == 0 {
			return events, again
		}
		select {
		case <-e.came:
		case <-deadline:
			e.t.Fatalf("%d events are missing: %v", missing, events)
		}
	}
}

// hookHome is a home whose one hook tells e of everything.
func hookHome(t *testing.T, more string) (*home, *ear) {
	t.Helper()
	h := newHome(t)
	e := &ear{t: t, addr: "127.0.0.1:0", secret: []byte("0123456789abcdef0123456789abcdef"), came: make(chan struct{}, 1)}
	e.listen()() // for an address of its own
	h.write("hook.secret", string(e.secret)+"\n")
	h.write("config.toml", fmt.Sprintf("[[hooks]]\nname = \"ear\"\non = [\"start\", \"success\", \"failure\", \"stop\"]\nurl = \"http://%s/\"\nsecret_file = \"hook.secret\"\n%s", e.addr, more))
	h.start()
	return h, e
}

// addMixed adds n jobs of which every other fails, and returns their numbers and what hooks are to be told.
func addMixed(h *home, n int) (ids []int64, want map[int64]string) {
	h.t.Helper()
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"command":["sh","-c","exit %d"]}`, i%2)
	}
	ids, want = h.addFile(lines...), map[int64]string{}
	for i, id := range ids {
		want[id] = []string{"start success", "start failure"}[i%2]
	}
	return ids, want
}

// TestHookReceiverIsAway has a hook's receiver away for a while as jobs run.
func TestHookReceiverIsAway(t *testing.T) {
	t.Parallel()
	away, n := 2*time.Second, 20
	if chaos {
		away, n = 30*time.Second, 300
	}
	h, e := hookHome(t, "")
	began := time.Now()
	ids, want := addMixed(h, n)
	for _, id := range ids {
		h.wait(id)
	}
	time.Sleep(away - time.Since(began)) // the promise has this time in it
	defer e.listen()()
	events, again := e.events(ids, 2)
	for id, w := range want {
		if events[id] != w {
			t.Errorf("job %d: told %q, want %q", id, events[id], w)
		}
	}
	t.Logf("%d events of %d jobs came after %s, %d of them again", 2*n, n, away, again)
}

// TestHooksOutliveSIGKILL kills the daemon when a hook's receiver has an event and the daemon does not
// know it yet, again and again: every event arrives, for each job in order.
func TestHooksOutliveSIGKILL(t *testing.T) {
	t.Parallel()
	rounds := 3
	if chaos {
		rounds = 20
	}
	h, e := hookHome(t, "")
	kill, killed := make(chan struct{}), make(chan struct{})
	var once sync.Mutex
	next := 5
	e.hold = func(n int) {
		once.Lock()
		now := n >= next && rounds > 0
		if now {
			next, rounds = n+7, rounds-1
		}
		once.Unlock()
		if now {
			kill <- struct{}{}
			<-killed // it is never answered while that daemon lives
		}
	}
	defer e.listen()()
	planned := rounds
	ids, want := addMixed(h, 20*planned)
	for range planned {
		<-kill
		h.kill()
		killed <- struct{}{}
		h.start()
	}
	events, again := e.events(ids, 2)
	for id, w := range want {
		if events[id] != w {
			t.Errorf("job %d: told %q, want %q", id, events[id], w)
		}
	}
	if again == 0 {
		t.Error("no event came again, though the daemon died before it could know of it")
	}
	t.Logf("%d kills, %d events, %d came again", planned, 2*len(ids), again)
}

// TestHookCommandOutlivesSIGKILL kills the daemon while a hook's command runs.
func TestHookCommandOutlivesSIGKILL(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	gate := h.Path("gate")
	h.write("config.toml", fmt.Sprintf("[[hooks]]\nname = \"slow\"\non = [\"success\"]\ncommand = [\"/bin/sh\", \"-c\", \"echo $QUEUEMGR_HOOK_EVENT >>%s/ran; until [ -e %s ]; do sleep 0.05; done\"]\n", h.Home, gate))
	h.start()
	id := h.add("--", "true")
	var list []job.Delivery
	for deadline := time.Now().Add(limit); ; {
		h.decode(h.must("hook", "deliveries", fmt.Sprint(id), "--json"), &list)
		if text, err := os.ReadFile(h.Path("ran")); err == nil && len(text) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the command was not run: %+v", list)
		}
	}
	h.kill()
	h.write("gate", "")
	h.start()
	for deadline := time.Now().Add(limit); len(list) != 1 || list[0].State != job.DeliveryDone; {
		if time.Now().After(deadline) {
			t.Fatalf("its end is not on record: %+v", list)
		}
		h.decode(h.must("hook", "deliveries", fmt.Sprint(id), "--json"), &list)
	}
	if text, err := os.ReadFile(h.Path("ran")); err != nil || string(text) != "success\n" || list[0].Tries != 1 {
		t.Errorf("it ran %q (%v), %d tries", text, err, list[0].Tries)
	}
}

// TestHookCommandOfALongRecord has a job with params and a result that are as long as may be, of characters that
// JSON may escape: a hook's command reads all of it.
func TestHookCommandOfALongRecord(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	params := h.write("params.json", `{"p":"`+strings.Repeat("<", 1<<20-16)+`"}`)
	id := h.add("--params", "@"+params, "--hook", fmt.Sprintf("success=cat >'%s'", h.Path("told")),
		"--shell", `{ printf '{"r":"'; head -c 1048560 /dev/zero | tr '\0' '<'; printf '"}'; } >"$QUEUEMGR_DIR/new" && mv "$QUEUEMGR_DIR/new" "$QUEUEMGR_DIR/result.json"`)
	if code := h.wait(id); code != 0 {
		t.Fatalf("job wait exits %d\n%s", code, h.logs(id))
	}
	var list []job.Delivery
	for deadline := time.Now().Add(limit); len(list) != 1 || list[0].State.Open(); {
		if time.Now().After(deadline) {
			t.Fatalf("the hook was not told: %+v", list)
		}
		h.decode(h.must("hook", "deliveries", fmt.Sprint(id), "--json"), &list)
	}
	if list[0].State != job.DeliveryDone || list[0].Tries != 1 {
		t.Errorf("the delivery: %+v", list[0])
	}
	text, err := os.ReadFile(h.Path("told"))
	if err != nil {
		t.Fatal(err)
	}
	var told struct {
		Params struct{ P string }
		Result struct{ R string }
	}
	if err := json.Unmarshal(text, &told); err != nil || len(told.Params.P) != 1<<20-16 || len(told.Result.R) != 1048560 {
		t.Errorf("told %d bytes, of them %d of params and %d of the result (%v)", len(text), len(told.Params.P), len(told.Result.R), err)
	}
	t.Logf("the record has %d bytes", len(text))
}
