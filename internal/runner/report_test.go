package runner

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// says lets a run of a fake system have said something, and the core be told.
func (c *coreTest) says(id string, edit func(s *Said)) {
	s := &Said{Heard: c.sys.now}
	edit(s)
	c.sys.says[id] = s
	c.HandleSaid([]string{id})
	c.Flush()
}

func status(text string) func(*Said) { return func(s *Said) { s.Status = &text } }

// reports lists the status texts of the reports sent so far.
func (c *coreTest) reports(id string) (texts []string) {
	for _, m := range c.peer.msgs {
		for _, rep := range m.Reports {
			if rep.RunID == id {
				texts = append(texts, rep.Status)
			}
		}
	}
	return texts
}

func (c *coreTest) wantReports(id string, want ...string) {
	c.t.Helper()
	if diff := cmp.Diff(want, c.reports(id)); diff != "" {
		c.t.Error(diff)
	}
}

// TestReportsAreRare: the first at once, then one a second at most, the newest; all again for a new daemon; the
// last with the end.
func TestReportsAreRare(t *testing.T) {
	c := newCoreTest(t)
	c.tell(starts("a", "b"))
	c.spawn(10)
	c.spawn(11)
	c.says("a", status("1"))
	c.wantReports("a", "1")
	for i := range 20 {
		c.after(10 * time.Millisecond)
		c.says("a", status(fmt.Sprint("no ", i)))
	}
	c.says("a", status("2"))
	c.wantReports("a", "1")
	c.after(tellPause)
	c.wantReports("a", "1", "2")
	c.says("a", status("2")) // nothing new
	c.after(2 * tellPause)
	c.wantReports("a", "1", "2")
	c.says("a", status("3"))
	c.HandleClosed(c.peer)
	c.says("a", status("4"))
	c.after(2 * tellPause)
	c.peer = &recorder{}
	c.hello()
	c.wantReports("a", "4")
	c.wantReports("b")
	c.sys.says["a"] = &Said{Heard: c.sys.now, Result: json.RawMessage(`{"n":1}`)}
	c.end("a", 0)
	c.end("b", 0)
	e := c.runs["a"].Exited
	if e.Report == nil || e.Report.Status != "4" || string(e.Report.Result) != `{"n":1}` || e.Report.RunID != "" {
		t.Errorf("the end came with %+v", e.Report)
	}
	if e := c.runs["b"].Exited; e.Report != nil {
		t.Errorf("who said nothing ended with %+v", e.Report)
	}
	if _, due := c.Next(); due {
		t.Error("something is still to be done")
	}
	// The report outlives the runner, too.
	c.restart()
	c.hello()
	if got := c.peer.events()["a"]; got == nil || cmp.Diff(e.Report, got.Report) != "" {
		t.Errorf("after a restart %+v", got)
	}
	c.tell(&wire.Message{Ack: &wire.Ack{Cursor: c.journal.header.LastSeq}})
	c.says("a", status("late")) // nobody is there to say it
}

// events returns the ends sent so far.
func (r *recorder) events() map[string]*wire.Event {
	ends := map[string]*wire.Event{}
	for _, m := range r.msgs {
		for i := range m.Events {
			if e := &m.Events[i]; e.Kind == wire.Exited {
				ends[e.RunID] = e
			}
		}
	}
	return ends
}

// TestWatchdog: silence stops a run, any datagram counts, nobody is stopped before what it sent was read.
func TestWatchdog(t *testing.T) {
	c := newCoreTest(t)
	m := starts("a")
	m.Start[0].WatchdogMS = 3000
	c.tell(m)
	c.spawn(10)
	alive := func() { c.sys.says["a"] = &Said{Heard: c.sys.now} }
	for range 5 { // its signs of life wake nobody
		c.after(1500 * time.Millisecond)
		alive()
		c.after(time.Second)
		if c.sys.hears != 0 || c.runs["a"].stop != nil {
			t.Fatal("stopped although it lives")
		}
	}
	c.after(2 * time.Second) // 3 s since the last one
	if c.sys.hears != 1 || c.runs["a"].stop != nil {
		t.Fatalf("%d looks, stop %+v", c.sys.hears, c.runs["a"].stop)
	}
	alive() // was in the socket
	c.HandleHeard()
	c.Flush()
	c.after(2900 * time.Millisecond)
	if c.runs["a"].stop != nil {
		t.Fatal("stopped although it lives")
	}
	c.after(100 * time.Millisecond)
	c.HandleHeard()
	c.Flush()
	if c.runs["a"].stop == nil {
		t.Fatal("not stopped")
	}
	c.scan(Snapshot{{PID: 10, Session: 10, Ticks: 1}})
	c.end("a", 0)
	c.scan(nil)
	if e := c.runs["a"].Exited; e == nil || e.Cause != wire.CauseTimeout || e.Why != wire.WhyWatchdog {
		t.Errorf("ended with %+v", e)
	}
	if _, due := c.Next(); due {
		t.Error("something is still to be done")
	}
}

// TestWatchdogAfterARestart: the next runner knows it, and gives it the whole time again.
func TestWatchdogAfterARestart(t *testing.T) {
	c := newCoreTest(t)
	m := starts("a")
	m.Start[0].WatchdogMS = 3000
	c.tell(m)
	c.spawn(10)
	c.after(2 * time.Second)
	c.restart()
	c.hello()
	c.after(2900 * time.Millisecond)
	if c.sys.hears != 0 {
		t.Fatal("too early")
	}
	c.after(100 * time.Millisecond)
	c.HandleHeard()
	c.Flush()
	if r := c.runs["a"]; r.stop == nil || r.Stop.Why != wire.WhyWatchdog {
		t.Errorf("not stopped: %+v", r.Stop)
	}
}

// TestFolderOfARun: what it shows, that a result file wins, that it goes after the end is on record, whichever
// runner does that.
func TestFolderOfARun(t *testing.T) {
	c := newCoreTest(t)
	m := starts("a", "b", "again")
	for i := range m.Start {
		m.Start[i].Dir, m.Start[i].View = "/p/"+m.Start[i].RunID, "Job: 7\nName: x\n"
	}
	m.Start[2].Dir = "/p/b"
	c.tell(&wire.Message{Start: m.Start[:2]})
	c.spawn(10)
	c.spawn(11)
	if got := c.sys.files["/p/a/status"]; got != "Job: 7\nName: x\nState: running\nPid: 10\n" {
		t.Errorf("status is %q", got)
	}
	n := 40
	c.says("a", func(s *Said) { s.Progress = &n; text := "on it"; s.Status = &text; s.Result = json.RawMessage(`1`) })
	if got := c.sys.files["/p/a/status"]; got != "Job: 7\nName: x\nState: running\nPid: 10\nProgress: 40\nStatusText: on it\n" || c.sys.files["/p/a/progress"] != "40\n" {
		t.Errorf("status is %q, progress %q", got, c.sys.files["/p/a/progress"])
	}
	c.tell(&wire.Message{Stop: []wire.Stop{{RunID: "a", Why: "user"}}})
	c.scan(Snapshot{{PID: 10, Session: 10, Ticks: 1}, {PID: 20, PPID: 10, Session: 10, Ticks: 1}})
	if got := c.sys.files["/p/a/status"]; !strings.Contains(got, "State: stopping\n") {
		t.Errorf("status is %q", got)
	}
	// The leader ends; its child speaks on until it ends, too.
	c.sys.results["/p/a"] = `{"file":true}`
	c.end("a", 0)
	if rep := c.runs["a"].Status.Report; rep == nil || string(rep.Result) != `{"file":true}` {
		t.Errorf("the leader's end came with %+v", rep)
	}
	c.restart()
	c.hello()
	c.sys.results["/p/a"] = `"too late"`
	c.sys.says["a"] = &Said{Heard: c.sys.now, Result: json.RawMessage(`2`)}
	c.scan(nil)
	if e := c.peer.events()["a"]; e == nil || string(e.Report.Result) != `{"file":true}` || *e.Report.Progress != 40 {
		t.Errorf("ended with %+v", e)
	}
	if !slices.Equal(c.sys.cleared, []string{"/p/a"}) {
		t.Errorf("removed %v", c.sys.cleared)
	}
	// A folder whose end is on record and that is still there goes at the next start, but not another run's.
	c.restart()
	if !slices.Equal(c.sys.cleared, []string{"/p/a", "/p/a"}) {
		t.Errorf("removed %v", c.sys.cleared)
	}
	c.hello()
	writable := c.fill()
	c.sys.ended[11] = Exit{}
	c.HandleReady([]uint64{c.runs["b"].token})
	c.Flush()
	if len(c.sys.cleared) != 2 {
		t.Errorf("removed before the end is on record: %v", c.sys.cleared)
	}
	writable()
	c.after(retryAfter)
	if !slices.Equal(c.sys.cleared[2:], []string{"/p/b"}) {
		t.Errorf("removed %v", c.sys.cleared)
	}
	c.tell(&wire.Message{Start: m.Start[2:]})
	c.spawn(12)
	c.restart()
	if slices.Contains(c.sys.cleared[3:], "/p/b") {
		t.Errorf("the folder of a run that lives was removed: %v", c.sys.cleared)
	}
}

// TestJournalsOfBothAges: an older runner reads what this one writes, and the other way round.
func TestJournalsOfBothAges(t *testing.T) {
	old := `{"intent":{"run_id":"a","job_id":1,"fence":2,"grace_ms":10}}`
	r, err := parseRecord(framed(old))
	if err != nil || r.Intent.Dir != "" || r.Intent.WatchdogMS != 0 {
		t.Errorf("%+v %v", r, err)
	}
	// What an older one does not know is one more member of what it knows.
	uid := uint32(7)
	for _, rec := range []record{
		{Intent: &intent{RunID: "a", Dir: "/d", View: "v", WatchdogMS: 3}},
		{Started: &wire.Event{Kind: wire.Started, RunID: "a"}, UID: &uid},
		{Exit: &wire.Event{Kind: wire.Exited, RunID: "a", Seq: 4, Report: &wire.Report{Status: "s", Result: json.RawMessage(`{"a":1}`)}}},
	} {
		line, err := appendRecord(nil, rec)
		if err != nil {
			t.Fatal(err)
		}
		var known struct {
			Intent *struct {
				RunID string `json:"run_id"`
			}
			Started *struct {
				RunID string `json:"run_id"`
			}
			Exit *struct {
				RunID string `json:"run_id"`
			}
		}
		if err := json.Unmarshal(line[sumLen:], &known); err != nil {
			t.Fatal(err)
		}
		for _, k := range []*struct {
			RunID string `json:"run_id"`
		}{known.Intent, known.Started, known.Exit} {
			if k != nil && k.RunID != "a" {
				t.Errorf("%s", line)
			}
		}
	}
}

func framed(body string) []byte {
	var r record
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		panic(err)
	}
	line, err := appendRecord(nil, r)
	if err != nil {
		panic(err)
	}
	return line
}

// TestLargestResultSurvives: a result file as large and as awkward as is allowed passes journal and wire.
func TestLargestResultSurvives(t *testing.T) {
	c := newCoreTest(t)
	m := starts("a")
	m.Start[0].Dir = "/p/a"
	c.tell(m)
	c.spawn(10)
	want := `"` + strings.Repeat("<", wire.MaxResultFile-2) + `"`
	c.sys.results["/p/a"] = want
	c.end("a", 0)
	if got := eventSize(c.runs["a"].Exited); got < len(want) {
		t.Errorf("counts as %d bytes", got)
	}
	id := c.journal.header.Journal
	c.restart()
	if c.journal.header.Journal != id {
		t.Error("the journal counts as damaged")
	}
	c.hello()
	e := c.peer.events()["a"]
	if e == nil || e.Report == nil {
		t.Fatalf("%+v", e)
	}
	var got string
	if err := json.Unmarshal(e.Report.Result, &got); err != nil || len(got) != wire.MaxResultFile-2 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestParameters: a real run with a folder, its parameters, a result file, and standard input.
func TestParameters(t *testing.T) {
	for _, tt := range []struct{ name, user string }{{"own account", ""}, {"another account", "anna"}} {
		t.Run(tt.name, func(t *testing.T) {
			h, cfg := homeFor(t, tt.user)
			startRunner(t, cfg)
			c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
			if !c.welcome.Reports {
				t.Error("the welcome does not say that the runner takes reports")
			}
			for i := range 3 { // the same job again and again
				id := fmt.Sprint("run", i)
				s := h.sh(id, `set -e
cat "$QUEUEMGR_PARAMS"; grep -v Pid "$QUEUEMGR_DIR/status"; tr '\0' ' ' < "$QUEUEMGR_DIR/cmdline" | head -c 10; echo
until [ -e "$QUEUEMGR_DIR/pid" ]; do sleep 0.01; done; [ "$(cat "$QUEUEMGR_DIR/pid")" = $$ ]
stat -c '%a' "$QUEUEMGR_DIR" "$QUEUEMGR_PARAMS"; stat -c %u "$QUEUEMGR_DIR" "$QUEUEMGR_PARAMS" | uniq | grep -qx "$(id -u)"
read line; echo "in: $line"; cat; (echo > /dev/fd/0) 2>/dev/null && echo "stdin can be written"
mkdir -p "$QUEUEMGR_DIR/deep/er"; touch "$QUEUEMGR_DIR/deep/er/file"; ln -s / "$QUEUEMGR_DIR/root"; chmod 0 "$QUEUEMGR_DIR/deep"
echo '{"n":'`+fmt.Sprint(i)+`'}' > "$QUEUEMGR_DIR/.r"; mv "$QUEUEMGR_DIR/.r" "$QUEUEMGR_DIR/result.json"; true`)
				s.Dir, s.Params, s.View = h.path("proc/7"), json.RawMessage(`{"a":"<b>"}`), "Job: 7\n"
				s.Stdin = []byte("one\ntwo\n")
				s.Env = append(s.Env, "QUEUEMGR_DIR="+s.Dir)
				s.Cwd = "/"
				if tt.user != "" {
					s = by(s, tt.user, anna)
				}
				c.start(s)
				e := c.waitExited(id)
				out := h.output(t, id)
				if outcome(e) != "exit code=0 signal=0" {
					t.Fatalf("%s %s\n%s", outcome(e), e.Error, out)
				}
				if want := "{\"a\":\"<b>\"}Job: 7\nState: running\n/bin/sh -c\n711\n400\nin: one\ntwo\n"; out != want {
					t.Errorf("got\n%s\nwant\n%s", out, want)
				}
				if e.Report == nil || string(e.Report.Result) != fmt.Sprintf(`{"n":%d}`, i) || len(e.Report.Refused) > 0 {
					t.Errorf("%+v", e.Report)
				}
				if _, err := os.Lstat(s.Dir); !os.IsNotExist(err) {
					t.Errorf("the folder stays: %v", err)
				}
			}
		})
	}
}

// homeFor makes a home for runs of user, "" being who runs the test, with a folder proc of the daemon's.
func homeFor(t *testing.T, user string) (home, Config) {
	t.Helper()
	if user == "" {
		h := newHome(t)
		return h, h.config(t)
	}
	h, cfg := newDropHome(t)
	if err := os.Mkdir(h.path("proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	chown(t, h.path("proc"), daemonUID, daemonGID)
	return h, cfg
}

// TestStdinIsBounded, and none is /dev/null.
func TestStdinIsBounded(t *testing.T) {
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	for id, tt := range map[string]struct {
		stdin []byte
		want  string
	}{
		"none":  {nil, "exit 0\n/dev/null"},
		"empty": {[]byte{}, "exit 0\n"},
		"all":   {make([]byte, wire.MaxStdin), fmt.Sprintf("exit %d\n", wire.MaxStdin)},
		"more":  {make([]byte, wire.MaxStdin+1), fmt.Sprintf("spawn prepare its standard input: it has %d bytes; %d are allowed: file too large", wire.MaxStdin+1, wire.MaxStdin)},
	} {
		s := h.sh(id, "wc -c; readlink /proc/self/fd/0")
		s.Stdin = tt.stdin
		c.start(s)
		e := c.waitExited(id)
		got := string(e.Cause) + " " + e.Error
		if e.Cause == wire.CauseExit {
			got = "exit " + h.output(t, id)
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %q, want %q", id, got, tt.want)
		}
	}
}

// TestSilentJobIsStopped by a real runner, and one that gives signs of life is not.
func TestSilentJobIsStopped(t *testing.T) {
	needSystemdNotify(t)
	h := newHome(t)
	startRunner(t, h.config(t))
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	lives := h.sh("lives", `[ "$WATCHDOG_USEC" = 2000000 ] && [ -z "${WATCHDOG_PID+x}" ] || exit 9; for i in 1 2 3 4 5 6; do sleep 0.5; systemd-notify WATCHDOG=1; done`)
	silent := h.sh("silent", "exec sleep 1000")
	lives.WatchdogMS, silent.WatchdogMS = 2000, 1000
	c.start(lives, silent)
	if e := c.waitExited("silent"); e.Cause != wire.CauseTimeout || e.Why != wire.WhyWatchdog || e.Signal != 15 {
		t.Errorf("%s %s", outcome(e), e.Why)
	}
	if e := c.waitExited("lives"); outcome(e) != "exit code=0 signal=0" {
		t.Errorf("%s %s", outcome(e), e.Why)
	}
}
