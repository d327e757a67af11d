package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// bareRunner is a runner without a daemon, and this test in the daemon's place.
type bareRunner struct {
	t    *testing.T
	dir  string
	conn *wire.Conn
}

func newBareRunner(t *testing.T) *bareRunner {
	t.Helper()
	dir, err := os.MkdirTemp("", "qb") // short: a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // best effort: it is in the system's temporary directory
	b := &bareRunner{t: t, dir: dir}
	b.run()
	return b
}

// run starts the runner, again where one was before.
func (b *bareRunner) run() *exec.Cmd {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), filepath.Join(binaries, "queuemgr-runner"), "--linger", "0",
		"--socket", b.path("r.sock"), "--journal", b.path("journal"), "--lock", b.path("lock"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill() // or it has ended
		_ = cmd.Wait()
	})
	ready := make([]byte, len("ready\n"))
	if _, err := out.Read(ready); err != nil || string(ready) != "ready\n" {
		b.t.Fatalf("the runner does not get ready: %q %v", ready, err)
	}
	nc, err := net.Dial("unix", b.path("r.sock"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.conn = wire.NewConn(nc)
	b.t.Cleanup(func() { _ = b.conn.Close() }) // or the runner has
	b.send(&wire.Message{Hello: &wire.Hello{Proto: wire.Proto, Registry: "r", Epoch: 1}})
	if m := b.receive(); m.Welcome == nil || !m.Welcome.Reports {
		b.t.Fatalf("%+v", m)
	}
	return cmd
}

func (b *bareRunner) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bareRunner) send(m *wire.Message) {
	b.t.Helper()
	if err := b.conn.Send(m); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bareRunner) receive() *wire.Message {
	b.t.Helper()
	m, err := b.conn.Receive()
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// script starts a shell script as a job with parameters, if it has any.
func (b *bareRunner) script(id, script string, params json.RawMessage) {
	b.t.Helper()
	s := wire.Start{RunID: id, JobID: 7, Fence: 1, Argv: []string{"/bin/sh", "-c", script}, Cwd: b.dir, Stdout: b.path(id + ".log"), GraceMS: 1000,
		Env: []string{"PATH=" + binaries + ":/usr/bin:/bin", "QUEUEMGR_RUN_ID=" + id, "QUEUEMGR_DIR=" + b.path("proc/7"), "HOME=" + b.dir}}
	if params != nil {
		s.Dir, s.Params = b.path("proc/7"), params
	}
	b.send(&wire.Message{Start: []wire.Start{s}})
}

// end waits for the end of a run and returns it with what it printed.
func (b *bareRunner) end(id string) (*wire.Event, string) {
	b.t.Helper()
	for {
		m := b.receive()
		for i := range m.Events {
			if e := &m.Events[i]; e.Kind == wire.Exited && e.RunID == id {
				out, err := os.ReadFile(b.path(id + ".log"))
				if err != nil {
					b.t.Fatal(err)
				}
				return e, string(out)
			}
		}
	}
}

// TestReportFromAJob runs queuemgr report in jobs of a bare runner.
func TestReportFromAJob(t *testing.T) {
	t.Parallel()
	b := newBareRunner(t)
	large := `"` + strings.Repeat("x", wire.MaxResult) + `"`
	if err := os.WriteFile(b.path("large.json"), []byte(large), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.path("lines.json"), []byte("{\n\t\"a\": [1,\n 2]\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, script string
		params       bool
		code         int
		want         string // progress|status|result
		out          string // of the job, in part
	}{
		{"all", `queuemgr report --progress 40.9 --status "two
lines" --result '{"a": 1}'`, false, 0, `40|two lines|{"a":1}`, ""},
		{"the last word", `queuemgr report --progress 40; queuemgr report --progress 30 --status x; exec queuemgr report --result '"done"'`, false, 0, `40|x|"done"`, ""},
		{"a file", `queuemgr report --result @lines.json`, false, 0, `-||{"a":[1,2]}`, ""},
		{"a large one", `queuemgr report --progress 1 --result @large.json`, true, 0, `1||` + large, ""},
		{"a small one after it", `queuemgr report --result @large.json; queuemgr report --result '"small"'`, true, 0, `-||"small"`, ""},
		{"a large one without parameters", `queuemgr report --result @large.json`, false, 2, "", "65536 are allowed"},
		{"progress", `queuemgr report --progress 101`, false, 2, "", `--progress: "101" is no number from 0 to 100`},
		{"no JSON", `queuemgr report --result '{a}'`, false, 2, "", "--result: not valid JSON"},
		{"no file", `queuemgr report --result @none`, false, 2, "", "none: no such file"},
		{"nothing", `queuemgr report`, false, 2, "", "nothing to report"},
		{"outside of a job", `env -u QUEUEMGR_RUN_ID queuemgr report --progress 1`, false, 1, "", "this is no job of queuemgr"},
		{"outside of a job, too", `env -u NOTIFY_SOCKET queuemgr report --progress 1`, false, 1, "", "this is no job of queuemgr"},
		{"dash", `queuemgr report --status -- --result 3`, false, 0, `-|--|3`, ""},
	} {
		var params json.RawMessage
		if tt.params {
			params = json.RawMessage("{}")
		}
		id := strings.NewReplacer(" ", "-", ",", "").Replace(tt.name)
		b.script(id, tt.script, params)
		e, out := b.end(id)
		if e.ExitCode == nil || *e.ExitCode != tt.code || !strings.Contains(out, tt.out) {
			t.Errorf("%s: %+v\n%s", tt.name, e, out)
		}
		got := ""
		if r := e.Report; r != nil {
			progress := "-"
			if r.Progress != nil {
				progress = fmt.Sprint(*r.Progress)
			}
			got = progress + "|" + r.Status + "|" + string(r.Result)
			if len(r.Refused) > 0 {
				t.Errorf("%s: refused %q", tt.name, r.Refused)
			}
		}
		if got != tt.want {
			t.Errorf("%s: %.200s, want %.200s", tt.name, got, tt.want)
		}
	}
}

// TestReportWithoutARunner waits for one that is being started again, and says so when none comes.
func TestReportWithoutARunner(t *testing.T) {
	t.Parallel()
	b := newBareRunner(t)
	report := func() (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "queuemgr"), "report", "--progress", "40")
		cmd.Env = []string{"NOTIFY_SOCKET=" + b.path("notify.sock"), "QUEUEMGR_RUN_ID=lives", "HOME=" + b.dir}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, &out
	}
	b.script("lives", "exec sleep 1000", nil)
	for started := false; !started; {
		for _, e := range b.receive().Events {
			started = started || e.Kind == wire.Started
		}
	}
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", `kill -9 "$(cat "$1")"`, "sh", b.path("lock")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := b.conn.Receive(); err == nil {
		t.Fatal("the runner lives")
	}
	waits, out := report()
	b.run()
	if err := waits.Wait(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for {
		m := b.receive()
		if len(m.Reports) > 0 {
			if r := m.Reports[0]; r.RunID != "lives" || r.Progress == nil || *r.Progress != 40 {
				t.Errorf("%+v", r)
			}
			break
		}
	}
	b.send(&wire.Message{Stop: []wire.Stop{{RunID: "lives", Force: true}}})
	if e, _ := b.end("lives"); e.Report == nil || *e.Report.Progress != 40 {
		t.Errorf("%+v", e)
	}
	b.send(&wire.Message{Quit: &wire.Quit{}})
	for m := b.receive(); m.Bye == nil; m = b.receive() {
		t.Logf("%+v", m)
	}
	if _, err := b.conn.Receive(); err == nil {
		t.Error("the runner does not end")
	}
	begin := time.Now()
	cmd, out := report()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out.String(), "the report did not get to the runner") {
		t.Errorf("%v\n%s", err, out)
	}
	if took := time.Since(begin); took < 4*time.Second {
		t.Errorf("it gave up after %v", took)
	}
}
