package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/client"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/job"
)

// openFeed is a feed that is read by hand.
type openFeed struct {
	t    *testing.T
	in   *bufio.Reader
	Feed string // its id
}

// feed opens a feed and reads its first message.
func (a *api) feed() *openFeed {
	a.Helper()
	c := dial(a.T, a.socket, get("/api/feed"))
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		a.Fatal(err)
	}
	resp := answer(a.T, c)
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		a.Fatalf("type %s", kind)
	}
	f := &openFeed{t: a.T, in: bufio.NewReader(resp.Body)}
	lines(a.T, f.in, "retry: ", "\n")
	name, m := f.message()
	if name != "hello" || m.Feed == "" || m.Status == nil {
		a.Fatalf("the first message is %s %+v", name, m)
	}
	f.Feed = m.Feed
	return f
}

// message reads the next event, over heartbeats. Its data must be what the document describes.
func (f *openFeed) message() (name string, m httpapi.FeedMessage) {
	f.t.Helper()
	for {
		line, err := f.in.ReadString('\n')
		if err != nil {
			f.t.Fatal(err)
		}
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			line, err := f.in.ReadString('\n')
			data, ok := strings.CutPrefix(line, "data: ")
			if err != nil || !ok {
				f.t.Fatalf("%q, %v", line, err)
			}
			dec := json.NewDecoder(strings.NewReader(data))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&m); err != nil {
				f.t.Fatalf("%v in %s", err, data)
			}
			lines(f.t, f.in, "\n")
			return strings.TrimSpace(name), m
		}
	}
}

func TestFeed(t *testing.T) {
	a := open(t)
	a.want(201, "POST", "/api/jobs", `{"shell":"echo '<b>'","hold":true}`, nil)
	f := a.feed()
	a.want(204, "PUT", "/api/feed/"+f.Feed, `{"jobs":[1],"logs":[1]}`, nil)
	if name, m := f.message(); name != "update" || len(m.Logs) != 1 || m.Seq == 0 {
		t.Errorf("%s %+v", name, m)
	}
	a.want(200, "POST", "/api/jobs/1/start", "", nil)
	var last httpapi.FeedMessage
	for len(last.Jobs) == 0 || last.Jobs[0].State != job.Completed {
		_, last = f.message()
	}
	if j := last.Jobs[0]; j.Command[len(j.Command)-1] != "echo '<b>'" || *j.ExitCode != 0 {
		t.Errorf("%+v", j)
	}

	a.refused(404, job.NotFound, "id", "PUT", "/api/feed/nosuch", `{}`)
	a.refused(404, job.NotFound, "id", "PUT", "/api/feed/%2e%2e%2fjobs", `{}`)
	a.refused(422, job.Invalid, "", "PUT", "/api/feed/"+f.Feed, ``)
	a.refused(422, job.Invalid, "logs", "PUT", "/api/feed/"+f.Feed, `{"logs":["1"]}`)
	a.refused(422, job.Invalid, "job", "PUT", "/api/feed/"+f.Feed, `{"job":[1]}`)
	a.refused(422, job.Invalid, "jobs", "PUT", "/api/feed/"+f.Feed, `{"jobs":[`+strings.Repeat("1,", job.MaxFeedJobs)+`1]}`)
	a.refused(422, job.Invalid, "x", "GET", "/api/feed?x=1", "")
}

// TestFeedEndsWithItsConnection wants a feed to be gone when its reader is.
func TestFeedEndsWithItsConnection(t *testing.T) {
	a := open(t)
	c := dial(t, a.socket, get("/api/feed"))
	r := bufio.NewReader(answer(t, c).Body)
	lines(t, r, "retry: ", "\n", "event: hello\n")
	data, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var m httpapi.FeedMessage
	if err := json.Unmarshal([]byte(strings.TrimPrefix(data, "data: ")), &m); err != nil {
		t.Fatal(err)
	}
	a.want(204, "PUT", "/api/feed/"+m.Feed, `{}`, nil)
	c.Close()
	deadline := time.Now().Add(30 * time.Second)
	for {
		if resp, _ := a.ask("PUT", "/api/feed/"+m.Feed, `{}`); resp.StatusCode == 404 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the feed outlives its connection")
		}
	}
}

// behind is a service whose feed has fallen behind, and then tells nothing.
type behind struct{ job.Service }

func (behind) Feed(_ context.Context, o job.FeedOptions) iter.Seq2[job.FeedUpdate, error] {
	return func(yield func(job.FeedUpdate, error) bool) {
		_ = yield(job.FeedUpdate{Feed: "f", Seq: 1, Status: json.RawMessage(`{}`)}, nil) &&
			yield(job.FeedUpdate{Seq: 9, Resync: true}, nil) && yield(job.FeedUpdate{Seq: 9}, nil) &&
			yield(job.FeedUpdate{}, &job.Error{Code: job.Unavailable, Message: fmt.Sprint(o.Beat)})
	}
}

func TestFeedResync(t *testing.T) {
	a := over(t, nil, httpapi.Options{Service: behind{}})
	r := bufio.NewReader(answer(t, dial(t, a.socket, get("/api/feed"))).Body)
	lines(t, r, "retry: ", "\n", "event: hello\n", `data: {"feed":"f","seq":1,"status":{}}`, "\n",
		"event: resync\n", `data: {"resync":true,"seq":9}`, "\n", ":\n", "\n")
	if _, err := r.ReadByte(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("after a feed that broke off: %v", err)
	}
	c := client.New(client.Options{Socket: a.socket})
	defer c.Close()
	var got []job.FeedUpdate
	for u, err := range c.Feed(t.Context(), job.FeedOptions{}) {
		if err != nil {
			if job.CodeOf(err) != job.Unavailable {
				t.Error(err)
			}
			break
		}
		got = append(got, u)
	}
	if len(got) != 2 || got[0].Feed != "f" || !got[1].Resync || got[1].Seq != 9 {
		t.Errorf("the client read %+v", got)
	}
}

// TestSlowFeeds has many feeds, some of which are never read: those are dropped, the others get the
// last state.
func TestSlowFeeds(t *testing.T) {
	const readers, sleepers, jobs = 100, 10, 120
	e := enginetest.Start(t, nil)
	a := over(t, e, httpapi.Options{Service: e, WriteTimeout: 5 * time.Second})
	for range jobs { // together more than a socket holds
		a.want(201, "POST", "/api/jobs", `{"hold":true,"shell":"`+strings.Repeat("x", 16<<10)+`"}`, nil)
	}
	var all []string
	for i := range jobs {
		all = append(all, fmt.Sprint(i+1))
	}
	asleep := make([]net.Conn, sleepers)
	for i := range asleep {
		c := dial(t, a.socket, get("/api/feed"))
		in := bufio.NewReaderSize(c, 16)
		for !strings.HasPrefix(id(t, in), "event: hello") {
		}
		data := id(t, in)
		var m httpapi.FeedMessage
		if err := json.Unmarshal([]byte(strings.TrimPrefix(data, "data: ")), &m); err != nil {
			t.Fatal(err)
		}
		a.want(204, "PUT", "/api/feed/"+m.Feed, `{"jobs":[`+strings.Join(all, ",")+`]}`, nil)
		asleep[i] = c
	}
	saw := make(chan job.State, readers)
	for range readers {
		f := a.feed()
		a.want(204, "PUT", "/api/feed/"+f.Feed, `{"jobs":[`+fmt.Sprint(jobs)+`]}`, nil)
		go func() {
			for {
				line, err := f.in.ReadString('\n')
				if err != nil {
					saw <- ""
					return
				}
				var m httpapi.FeedMessage
				if data, ok := strings.CutPrefix(line, "data: "); ok && json.Unmarshal([]byte(data), &m) == nil && len(m.Jobs) == 1 && m.Jobs[0].State == job.Deleted {
					saw <- m.Jobs[0].State
					return
				}
			}
		}()
	}
	a.want(200, "POST", "/api/jobs/actions", `{"action":"stop","filter":{}}`, nil)
	a.want(200, "POST", "/api/jobs/actions", `{"action":"delete","filter":{}}`, nil)
	for range readers {
		if state := <-saw; state != job.Deleted {
			t.Errorf("a reader saw %q last", state)
		}
	}
	for _, c := range asleep {
		hungUp(t, c)
	}
}

func id(t *testing.T, in *bufio.Reader) string {
	t.Helper()
	line, err := in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}
