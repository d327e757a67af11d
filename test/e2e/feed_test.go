package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/job"
)

// TestFeedsHoldNothingUp has 500 pages open, ten of which are never read, while jobs run: all of them
// run and end as without pages, each page that reads knows the last state, and the daemon's memory stays
// bounded. At full length those that are not read are seen to be dropped.
func TestFeedsHoldNothingUp(t *testing.T) {
	const pages, asleep = 490, 10
	jobs := 100
	if chaos {
		jobs = 2000
	}
	h := newHome(t)
	h.start()
	alone := h.runMany(jobs)

	lines := make([]string, jobs)
	for i := range lines {
		lines[i] = `{"shell":"true","hold":true}`
	}
	ids := h.addFile(lines...)
	watch := func(ids []int64) string {
		text, err := json.Marshal(job.FeedWatch{Jobs: ids, Logs: ids[:job.MaxFeedLogs]})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	shown := ids[len(ids)-50:] // what a page has on the screen; those that are not read watch all
	c := h.HTTP()
	defer c.CloseIdleConnections()
	var sleepers []net.Conn
	for range asleep {
		conn, _, id := h.openFeed(16) // reads nothing ahead
		sleepers = append(sleepers, conn)
		h.ask(c, http.MethodPut, "/api/feed/"+id, watch(ids), http.StatusNoContent, "")
	}
	type seen struct {
		completed int
		err       error
	}
	ended := make(chan seen, pages)
	for range pages {
		_, in, id := h.openFeed(64 << 10)
		h.ask(c, http.MethodPut, "/api/feed/"+id, watch(shown), http.StatusNoContent, "")
		go func() {
			n, err := readFeed(in, len(shown))
			ended <- seen{n, err}
		}()
	}
	before := h.rss()
	began := time.Now()
	h.must("job", "start", fmt.Sprintf("%d-%d", ids[0], ids[len(ids)-1]))
	h.must("job", "wait", fmt.Sprintf("%d-%d", ids[0], ids[len(ids)-1]))
	took := time.Since(began)
	for range pages {
		if s := <-ended; s.err != nil || s.completed != len(shown) {
			t.Fatalf("a page saw %d of %d jobs completed: %v", s.completed, len(shown), s.err)
		}
	}
	t.Logf("%d jobs in %v, without pages in %v; the daemon grew from %d to %d MB", jobs, took, alone, before>>20, h.rss()>>20)
	// The pages' own work is on the same processors: what must not be is jobs that wait for readers.
	if limit := 10*alone + 10*time.Second; took > limit {
		t.Errorf("%d jobs took %v with pages, %v without", jobs, took, alone)
	}
	if grown := h.rss() - before; grown > 300<<20 {
		t.Errorf("the daemon grew by %d MB", grown>>20)
	}
	if !chaos {
		return
	}
	// Changes until what the sleepers do not read fills their sockets; half a minute later they are gone.
	gone := make(chan int, asleep)
	for i, conn := range sleepers {
		go func() {
			if hungUp(conn, time.Now().Add(5*time.Minute)) {
				gone <- i
			} else {
				gone <- -1
			}
		}()
	}
	for left := asleep; left > 0; {
		select {
		case i := <-gone:
			if i < 0 {
				t.Fatal("a page that is never read was not dropped")
			}
			left--
		default:
			h.must("job", "start", fmt.Sprintf("%d-%d", ids[0], ids[len(ids)-1]))
			h.must("job", "wait", fmt.Sprintf("%d-%d", ids[0], ids[len(ids)-1]))
		}
	}
}

// runMany runs jobs that do nothing and returns how long they took.
func (h *home) runMany(n int) time.Duration {
	h.t.Helper()
	lines := make([]string, n)
	for i := range lines {
		lines[i] = `{"shell":"true","hold":true}`
	}
	ids := h.addFile(lines...)
	began := time.Now()
	h.must("job", "start", fmt.Sprintf("%d-%d", ids[0], ids[n-1]))
	h.must("job", "wait", fmt.Sprintf("%d-%d", ids[0], ids[n-1]))
	return time.Since(began)
}

// openFeed opens a feed on a connection of its own, read through a buffer of so many bytes, and
// returns what follows its first message.
func (h *home) openFeed(buffer int) (net.Conn, *bufio.Reader, string) {
	h.t.Helper()
	conn, err := new(net.Dialer).DialContext(h.ctx, "unix", h.Socket())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "GET /api/feed HTTP/1.1\r\nHost: queuemgr\r\n\r\n"); err != nil {
		h.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, buffer), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		h.t.Fatalf("GET /api/feed: %+v, %v", resp, err)
	}
	in := bufio.NewReaderSize(resp.Body, buffer)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			h.t.Fatal(err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var hello struct{ Feed string }
			h.decode(data, &hello)
			return conn, in, hello.Feed
		}
	}
}

// readFeed reads until so many jobs are completed, and returns how many it saw so.
func readFeed(in *bufio.Reader, jobs int) (int, error) {
	completed := map[int64]bool{}
	for len(completed) < jobs {
		line, err := in.ReadString('\n')
		if err != nil {
			return len(completed), err
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var u struct {
			Resync bool
			Jobs   []struct {
				ID    int64
				State job.State
			}
		}
		if err := json.Unmarshal([]byte(data), &u); err != nil {
			return len(completed), err
		}
		if u.Resync {
			return len(completed), fmt.Errorf("resync: %s", data)
		}
		for _, j := range u.Jobs {
			if j.State == job.Completed {
				completed[j.ID] = true
			}
		}
	}
	return len(completed), nil
}

// hungUp waits, without reading, until the other end has closed the connection.
func hungUp(conn net.Conn, until time.Time) bool {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return false
	}
	closed := false
	_ = raw.Control(func(fd uintptr) { // its error shows as a page that was not dropped
		for !closed && time.Now().Before(until) {
			n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, 1000)
			closed = n == 1
		}
	})
	return closed
}

// rss returns how many bytes of memory the daemon has.
func (h *home) rss() int64 {
	h.t.Helper()
	pid, err := h.DaemonPID()
	if err != nil {
		h.t.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		h.t.Fatal(err)
	}
	words := strings.Fields(string(text))
	i := slices.Index(words, "VmRSS:")
	kib, err := strconv.ParseInt(words[i+1], 10, 64)
	if err != nil {
		h.t.Fatal(err)
	}
	return kib << 10
}

// TestLogOf200MB reads the end of a large log, and searches it, at the cost of what is read.
func TestLogOf200MB(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.start()
	id := h.add("--shell", `yes 'a line of a log that is very long, with nothing in it' | head -c 200000000; echo the needle`)
	if code := h.wait(id); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	c := h.HTTP()
	defer c.CloseIdleConnections()
	before := h.rss()
	path := fmt.Sprintf("/api/jobs/%d/logs", id)
	ctx, cancel := context.WithTimeout(h.ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://queuemgr"+path+"?tail=100", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if size := resp.Header.Get("Log-Size"); err != nil || size != "200000011" || len(text) > 100*60 || !strings.HasSuffix(string(text), "the needle\n") {
		t.Errorf("a tail of %d bytes of %s: %v", len(text), size, err)
	}
	for query, want := range map[string]int{"?search=needle&backwards=true": 1, "?search=needle": 0} {
		var hits job.LogHits
		h.decode(h.ask(c, http.MethodGet, path+query, "", http.StatusOK, "application/json"), &hits)
		if len(hits.Hits) != want || hits.Next == nil {
			t.Errorf("%s: %+v; want %d hits so far, and where to go on", query, hits, want)
		}
	}
	if grown := h.rss() - before; grown > 50<<20 {
		t.Errorf("the daemon grew by %d MB", grown>>20)
	}
}
