package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/client"
	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/job"
)

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// dial sends a request by hand and returns the connection.
func dial(t *testing.T, socket, request string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c
}

// answer reads the header of an answer; its body goes on.
func answer(t *testing.T, c net.Conn) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

// lines wants these lines from r, in order.
func lines(t *testing.T, r *bufio.Reader, want ...string) {
	t.Helper()
	for _, w := range want {
		line, err := r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, w) {
			t.Fatalf("line %q, %v; want %q", line, err, w)
		}
	}
}

func TestEventStream(t *testing.T) {
	a := open(t)
	resp := answer(t, dial(t, a.socket, get("/api/events?after=1"))) // 1 made the default queue
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("type %s", kind)
	}
	r := bufio.NewReader(resp.Body)
	lines(t, r, "retry: ", "\n")
	a.want(201, "POST", "/api/jobs", `{"shell":"true","hold":true}`, nil)
	lines(t, r, "id: 2\n", "event: added\n", `data: {"seq":2,`, "\n")
	a.want(200, "DELETE", "/api/jobs/1?force=true", "", nil)
	lines(t, r, "id: 3\n", "event: changed\n", `data: {"seq":3,`, "\n")

	again := dial(t, a.socket, "GET /api/events?after=3 HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 2\r\n\r\n")
	lines(t, bufio.NewReader(answer(t, again).Body), "retry: ", "\n", "id: 3\n")
}

// TestHeartbeat wants a sign of life with the position, where the filter lets nothing through.
func TestHeartbeat(t *testing.T) {
	e := enginetest.Start(t, nil)
	a := over(t, e, httpapi.Options{Service: e, Heartbeat: 5 * time.Millisecond})
	r := bufio.NewReader(answer(t, dial(t, a.socket, get("/api/events?queue=other"))).Body)
	lines(t, r, "retry: ", "\n", ":\n", "\n")
	a.want(201, "POST", "/api/jobs", `{"shell":"true","hold":true}`, nil)
	for {
		line, err := r.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "event:") {
			t.Fatalf("%q, %v", line, err)
		}
		if line == "id: 2\n" {
			return
		}
	}
}

// pruned is a service that keeps no old changes.
type pruned struct{ job.Service }

func (pruned) Events(context.Context, job.EventOptions) iter.Seq2[job.Change, error] {
	return func(yield func(job.Change, error) bool) {
		yield(job.Change{}, &job.Error{Code: job.Exhausted, Message: "changes before 40 are gone"})
	}
}

func (pruned) Status(context.Context) (*job.Status, error) { return &job.Status{Seq: 50}, nil }

func TestResync(t *testing.T) {
	a := over(t, nil, httpapi.Options{Service: pruned{}})
	resp := answer(t, dial(t, a.socket, get("/api/events?after=3")))
	r := bufio.NewReader(resp.Body)
	lines(t, r, "retry: ", "\n", "id: 50\n", "event: resync\n", `data: {"type":"about:blank","title":"Insufficient Storage","status":507,"detail":"changes before 40 are gone"`)
	c := client.New(client.Options{Socket: a.socket})
	defer c.Close()
	after := uint64(3)
	for _, err := range c.Events(t.Context(), job.EventOptions{After: &after}) {
		if job.CodeOf(err) != job.Exhausted {
			t.Errorf("the client says %v", err)
		}
	}
}

// TestSlowReaders has many readers of events, some of which never read: nobody else waits for
// them, and they are dropped.
func TestSlowReaders(t *testing.T) {
	const readers, sleepers, jobs = 450, 50, 60
	e := enginetest.Start(t, nil)
	if _, err := e.AddQueue(t.Context(), "watched", job.QueueUpdate{}); err != nil {
		t.Fatal(err)
	}
	a := over(t, e, httpapi.Options{Service: e, WriteTimeout: 500 * time.Millisecond})
	asleep := make([]net.Conn, sleepers)
	for i := range asleep {
		asleep[i] = dial(t, a.socket, get("/api/events?after=0"))
	}
	saw := make(chan error, readers)
	for range readers {
		r := bufio.NewReader(answer(t, dial(t, a.socket, get("/api/events?queue=watched"))).Body)
		go func() {
			for {
				line, err := r.ReadString('\n')
				if err != nil || strings.HasPrefix(line, "event: added") {
					saw <- err
					return
				}
			}
		}()
	}
	for range jobs { // together more than a socket holds
		a.want(201, "POST", "/api/jobs", `{"hold":true,"shell":"`+strings.Repeat("x", 16<<10)+`"}`, nil)
	}
	a.want(201, "POST", "/api/jobs", `{"hold":true,"shell":"true","queue":"watched"}`, nil)
	for range readers {
		if err := <-saw; err != nil {
			t.Errorf("a reader: %v", err)
		}
	}
	for _, c := range asleep {
		hungUp(t, c)
		// What was in the socket still comes; then the connection is at its end, not the answer.
		resp := answer(t, c)
		if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a reader that slept: %v", err)
		}
	}
}

// hungUp waits, without reading, until the other end has closed c: a reader that wakes up before it
// is dropped is a reader like any other.
func hungUp(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		n, err := 0, error(unix.EINTR)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, 30_000)
		}
		if n != 1 {
			t.Errorf("a reader that sleeps was not dropped: %d, %v", n, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestShutdownEndsStreams has every kind of lasting request end at once, in a way that its client
// sees is no end.
func TestShutdownEndsStreams(t *testing.T) {
	e := enginetest.Start(t, nil)
	l, err := httpapi.Listen(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- httpapi.New(httpapi.Options{Service: e}).Serve(ctx, l, time.Minute) }()
	socket := l.Addr().String()
	body := `{"shell":"echo ready; sleep 1000"}`
	resp := answer(t, dial(t, socket, fmt.Sprintf("POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)))
	if resp.StatusCode != 201 {
		t.Fatal(resp.Status)
	}
	log := answer(t, dial(t, socket, get("/api/jobs/1/logs?follow"))).Body
	if _, err := io.ReadFull(log, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	events := answer(t, dial(t, socket, get("/api/events"))).Body
	poll := dial(t, socket, get("/api/jobs/1?wait=60"))
	idle := dial(t, socket, get("/healthz"))
	answer(t, idle)
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	for name, r := range map[string]io.Reader{"log": log, "events": events} {
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s ended with %v", name, err)
		}
	}
	if resp, err := http.ReadResponse(bufio.NewReader(poll), nil); err == nil && resp.StatusCode != 503 {
		t.Errorf("the long poll: %s", resp.Status)
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is still there")
	}
}

// TestSlowHeader wants a connection closed that does not get to the end of its header.
func TestSlowHeader(t *testing.T) {
	l, err := httpapi.Listen(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httpapi.New(httpapi.Options{Service: broken{}}).Server()
	if srv.ReadHeaderTimeout <= 0 || srv.IdleTimeout <= 0 || srv.MaxHeaderBytes <= 0 {
		t.Errorf("%v %v %v", srv.ReadHeaderTimeout, srv.IdleTimeout, srv.MaxHeaderBytes)
	}
	srv.ReadHeaderTimeout = 10 * time.Millisecond
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()
	c := dial(t, l.Addr().String(), "GET /healthz HTTP/1.1\r\nHost:")
	if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	<-served
}

// TestBodyThatDoesNotCome wants clients dropped that announce a body and send none of it, or half.
func TestBodyThatDoesNotCome(t *testing.T) {
	e := enginetest.Start(t, nil)
	socket := serve(t, httpapi.Options{Service: e, ReadTimeout: 10 * time.Millisecond})
	for _, c := range []struct {
		request string
		status  int
	}{
		{"POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", 408},
		{"POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"shell\"", 408},
		{"POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"jobs\":[", 408},
		{"POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", 408},
		{"POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n", 415},
		{"GET /api/status HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", 200},
		{"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", 200},
	} {
		r := bufio.NewReader(dial(t, socket, c.request))
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Errorf("%q: %v", c.request, err)
			continue
		}
		if resp.StatusCode != c.status {
			t.Errorf("%q: %s, want %d", c.request, resp.Status, c.status)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Errorf("%q: %v", c.request, err)
		}
		if _, err := r.ReadByte(); err == nil { // returns when the connection is closed
			t.Errorf("%q: something follows the answer", c.request)
		}
	}
}

// TestPathTricks wants no path to reach anything it does not spell, and none to hurt.
func TestPathTricks(t *testing.T) {
	a := open(t)
	for path, want := range map[string]int{
		"/api/jobs/../status":             301,
		"//api//status":                   301,
		"/api/jobs/..%2f..%2fstatus":      404,
		"/api/jobs/%2e%2e/%2e%2e/healthz": 404,
		"/api/jobs/1%00":                  404,
		"/api/jobs/%ff%fe":                404,
		"/api/jobs/-1":                    404,
		"/api/jobs/+1":                    404,
		"/api/jobs/":                      404,
		"/api/queues/%2e%2e%2fjobs":       404,
		"/api/queues/a%20b":               404,
		"/api/jobs/1/logs/../../..":       301,
		"/API/STATUS":                     404,
		"/api/jobs/1/explode":             404,
		"/.git/config":                    404,
	} {
		resp := answer(t, dial(t, a.socket, get(path)))
		if resp.StatusCode != want && !(want == 301 && resp.StatusCode == 307) {
			t.Errorf("%s: %s, want %d", path, resp.Status, want)
		}
	}
	for _, request := range []string{
		"GET /healthz\r\n\r\n", "\x16\x03\x01\x02", "GET /healthz HTTP/1.1\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 300<<10) + "\r\n\r\n",
	} {
		c := dial(t, a.socket, request)
		if err := c.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if resp := answer(t, c); resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%.30q: %s", request, resp.Status)
		}
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	first, err := httpapi.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false) // as a crash leaves it
	first.Close()
	second, err := httpapi.Listen(path)
	if err != nil {
		t.Fatalf("over a stale socket: %v", err)
	}
	second.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = httpapi.Listen(path); job.CodeOf(err) != job.Invalid {
		t.Errorf("over a file: %v", err)
	}
	long := filepath.Join(dir, strings.Repeat("x", job.MaxSocketPath))
	if _, err = httpapi.Listen(long); job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), "107") {
		t.Errorf("a long path: %v", err)
	}
}

// TestUnreadAnswer wants the deadline of writes on answers that are no streams, too.
func TestUnreadAnswer(t *testing.T) {
	a := over(t, nil, httpapi.Options{Service: broken{}, WriteTimeout: time.Nanosecond})
	resp, err := http.ReadResponse(bufio.NewReader(dial(t, a.socket, get("/api/openapi.json"))), nil)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("an answer that could not be written in time ended with %v", err)
	}
}
