package jobtype_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/jobtype"
)

// The tests run job types as processes: this program is them when the variable says so.
func TestMain(m *testing.M) {
	if os.Getenv("JOBTYPE_TEST_CHILD") == "1" {
		os.Exit(jobtype.Main(&Scene{}))
	}
	os.Exit(m.Run())
}

// Scene does what its parameters say and says on standard output which of its methods runs.
type Scene struct {
	Do      string        `json:"do"`
	InStart string        `json:"in_start,omitempty"`
	InStop  string        `json:"in_stop,omitempty"`
	InError string        `json:"in_error,omitempty"`
	InEnd   string        `json:"in_end,omitempty"`
	N       int           `json:"n,omitempty"`
	For     time.Duration `json:"for,omitempty"`

	none map[string]int
}

func say(what string) { fmt.Println(what) }

func (s *Scene) act(ctx context.Context, run *jobtype.Run, what string) error {
	switch what {
	case "error":
		return errors.New("it went\nwrong")
	case "no retry":
		return fmt.Errorf("wrapped: %w", jobtype.NoRetry(os.ErrNotExist))
	case "retry after":
		return jobtype.RetryAfter(errors.New("busy"), 1500*time.Millisecond)
	case "panic":
		s.none["a"] = 1
	case "panic error":
		panic(fmt.Errorf("wrapped: %w", os.ErrNotExist))
	case "goexit":
		runtime.Goexit()
	case "wait":
		say("waits")
		<-ctx.Done()
		return ctx.Err()
	case "wait and finish":
		say("waits")
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), jobtype.ErrStopped) {
			return fmt.Errorf("cause: %w", context.Cause(ctx))
		}
	case "deaf":
		say("waits")
		select {}
	case "slow":
		say("waits")
		<-ctx.Done()
		time.Sleep(jobtype.StopPatience + 500*time.Millisecond) // what is tested is that it is not waited for
		say("returns")
	case "progress":
		for i := range s.N {
			run.Progress(i*100/s.N, "step "+strconv.Itoa(i))
		}
		run.Progress(77, "last")
	case "result":
		if err := run.Result(map[string]int{"n": 1}); err != nil {
			return err
		}
		return run.Result(map[string]string{"text": strings.Repeat("x", s.N)})
	case "big, then small":
		if err := run.Result(strings.Repeat("x", 100<<10)); err != nil {
			return err
		}
		return run.Result("small")
	case "log":
		run.Logger().Info("hello", "params", string(run.Params), "for", s.For, "run", run.ID, "job", run.JobID, "attempt", run.Attempt, "queue", run.Queue)
	}
	return nil
}

func (s *Scene) Execute(ctx context.Context, run *jobtype.Run) error {
	say("Execute")
	return s.act(ctx, run, s.Do)
}

func (s *Scene) OnStart(ctx context.Context, run *jobtype.Run) error {
	say("OnStart")
	return s.act(ctx, run, s.InStart)
}

func (s *Scene) OnStop(ctx context.Context, run *jobtype.Run) {
	say("OnStop " + fmt.Sprint(ctx.Err()))
	_ = s.act(ctx, run, s.InStop) // panics are what is wanted
}

func (s *Scene) OnError(ctx context.Context, run *jobtype.Run, err error) {
	say("OnError " + strings.ReplaceAll(err.Error(), "\n", "|"))
	_ = s.act(ctx, run, s.InError)
}

func (s *Scene) OnEnd(ctx context.Context, run *jobtype.Run) {
	say("OnEnd " + fmt.Sprint(ctx.Err()))
	_ = s.act(ctx, run, s.InEnd)
}

// child is a job's process.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    *bytes.Buffer // standard output up to now
	lines  io.Reader
	stderr bytes.Buffer
	socket *net.UnixConn
	dir    string
}

func start(t *testing.T, params string, environ ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, dir: t.TempDir(), out: new(bytes.Buffer)}
	c.socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(c.dir, "notify.sock"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.socket.Close() })
	file := filepath.Join(c.dir, "params.json")
	if err := os.WriteFile(file, []byte(params), 0o400); err != nil {
		t.Fatal(err)
	}
	c.cmd = exec.Command(self)
	c.cmd.Env = append(os.Environ(), append([]string{"JOBTYPE_TEST_CHILD=1", "QUEUEMGR_PARAMS=" + file, "QUEUEMGR_DIR=" + c.dir, "QUEUEMGR_RUN_ID=abc",
		"QUEUEMGR_JOB_ID=7", "QUEUEMGR_ATTEMPT=2", "QUEUEMGR_QUEUE=q", "NOTIFY_SOCKET=" + c.socket.LocalAddr().String()}, environ...)...)
	c.cmd.Stderr = &c.stderr
	if c.lines, err = c.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// until reads what the process says up to word.
func (c *child) until(word string) {
	c.t.Helper()
	for b := make([]byte, 1); !bytes.HasSuffix(c.out.Bytes(), []byte(word+"\n")); {
		if _, err := io.ReadFull(c.lines, b); err != nil {
			c.t.Fatalf("it said %q and not %q: %v; %s", c.out, word, err, &c.stderr)
		}
		c.out.Write(b)
	}
}

func (c *child) signal(s syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// end waits for its end and returns what it said, its exit code (-1 for a signal) and the datagrams
// that it sent.
func (c *child) end() (said []string, code int, sent []map[string]string) {
	c.t.Helper()
	done := make(chan []map[string]string)
	go func() {
		var all []map[string]string
		for b := make([]byte, wire.MaxDatagram+1); ; {
			n, err := c.socket.Read(b)
			if err != nil {
				done <- all
				return
			}
			m := map[string]string{}
			for line := range strings.Lines(string(b[:n])) {
				key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				m[key] = value
			}
			if m["end"] != "" {
				done <- all
				return
			}
			all = append(all, m)
		}
	}()
	if _, err := io.Copy(c.out, c.lines); err != nil {
		c.t.Error(err)
	}
	_ = c.cmd.Wait() // the state tells
	last, err := net.DialUnix("unixgram", nil, c.socket.LocalAddr().(*net.UnixAddr))
	if err != nil {
		c.t.Fatal(err)
	}
	defer last.Close()
	if _, err := last.Write([]byte("end=1\n")); err != nil {
		c.t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(c.out.String(), "\n"), "\n"), c.cmd.ProcessState.ExitCode(), <-done
}

// The table of docs/types.md: which methods run, in which order, each once.
func TestHooks(t *testing.T) {
	for _, c := range []struct {
		name, params string
		signal       syscall.Signal // sent once it waits
		want         []string
		code         int
		err, retry   string // as sent
		stderr       string
	}{
		{name: "success", params: `{"do":""}`, want: []string{"OnStart", "Execute", "OnEnd <nil>"}},
		{name: "error", params: `{"do":"error"}`, want: []string{"OnStart", "Execute", "OnError it went|wrong", "OnEnd <nil>"}, code: 1, err: "it went wrong", stderr: "error: it went\nwrong\n"},
		{name: "error in OnStart", params: `{"do":"","in_start":"error"}`, want: []string{"OnStart", "OnError it went|wrong", "OnEnd <nil>"}, code: 1, err: "it went wrong"},
		{name: "no retry", params: `{"do":"no retry"}`, want: []string{"OnStart", "Execute", "OnError wrapped: file does not exist", "OnEnd <nil>"}, code: 1, err: "wrapped: file does not exist", retry: "never"},
		{name: "retry after", params: `{"do":"retry after"}`, want: []string{"OnStart", "Execute", "OnError busy", "OnEnd <nil>"}, code: 1, err: "busy", retry: "2"},
		{name: "panic", params: `{"do":"panic"}`, want: []string{"OnStart", "Execute", "OnError panic in Execute: assignment to entry in nil map", "OnEnd <nil>"}, code: 2,
			err: "panic in Execute: assignment to entry in nil map", stderr: "jobtype_test.(*Scene).act"},
		{name: "panic in OnStart", params: `{"do":"","in_start":"panic error"}`, want: []string{"OnStart", "OnError panic in OnStart: wrapped: file does not exist", "OnEnd <nil>"}, code: 2,
			err: "panic in OnStart: wrapped: file does not exist"},
		{name: "panic in OnEnd", params: `{"do":"","in_end":"panic"}`, want: []string{"OnStart", "Execute", "OnEnd <nil>"}, code: 2, err: "panic in OnEnd: assignment to entry in nil map", stderr: "act"},
		{name: "panic in OnError", params: `{"do":"error","in_error":"panic"}`, want: []string{"OnStart", "Execute", "OnError it went|wrong", "OnEnd <nil>"}, code: 2, err: "it went wrong", stderr: "panic in OnError"},
		{name: "goexit", params: `{"do":"goexit"}`, want: []string{"OnStart", "Execute", "OnError Execute ended its goroutine (runtime.Goexit)", "OnEnd <nil>"}, code: 1,
			err: "Execute ended its goroutine (runtime.Goexit)"},
		{name: "stop", params: `{"do":"wait"}`, signal: syscall.SIGTERM, want: []string{"OnStart", "Execute", "waits", "OnStop <nil>", "OnEnd <nil>"}, code: 1, err: "the job was stopped"},
		{name: "stop by INT", params: `{"do":"wait and finish"}`, signal: syscall.SIGINT, want: []string{"OnStart", "Execute", "waits", "OnStop <nil>", "OnEnd <nil>"}},
		{name: "stop by USR1", params: `{"do":"wait and finish"}`, signal: syscall.SIGUSR1, want: []string{"OnStart", "Execute", "waits", "OnStop <nil>", "OnEnd <nil>"}},
		{name: "stop in OnStart", params: `{"do":"","in_start":"wait and finish"}`, signal: syscall.SIGTERM, want: []string{"OnStart", "waits", "OnStop <nil>", "OnEnd <nil>"}, code: 1, err: "the job was stopped"},
		{name: "stop, slow", params: `{"do":"slow"}`, signal: syscall.SIGTERM, want: []string{"OnStart", "Execute", "waits", "OnStop <nil>", "returns", "OnEnd <nil>"}},
		{name: "panic in OnStop", params: `{"do":"wait","in_stop":"panic"}`, signal: syscall.SIGTERM, want: []string{"OnStart", "Execute", "waits", "OnStop <nil>", "OnEnd <nil>"}, code: 2, err: "the job was stopped",
			stderr: "panic in OnStop"},
		{name: "KILL", params: `{"do":"wait"}`, signal: syscall.SIGKILL, want: []string{"OnStart", "Execute", "waits"}, code: -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, c.params)
			if c.signal != 0 {
				p.until("waits")
				p.signal(c.signal)
			}
			said, code, sent := p.end()
			if d := cmp.Diff(c.want, said); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			var last map[string]string
			if len(sent) > 0 {
				last = sent[len(sent)-1]
			}
			if code != c.code || last["X_QUEUEMGR_ERROR"] != c.err || last["X_QUEUEMGR_RETRY"] != c.retry || !strings.Contains(p.stderr.String(), c.stderr) {
				t.Errorf("exit code %d, sent %v, log:\n%s", code, sent, &p.stderr)
			}
		})
	}
}

// An Execute that does not hear the stop gets OnStop beside it, and KILL when the grace is over.
func TestDeaf(t *testing.T) {
	t.Parallel()
	p := start(t, `{"do":"deaf"}`)
	p.until("waits")
	p.signal(syscall.SIGTERM)
	p.until("OnStop <nil>")
	p.signal(syscall.SIGKILL)
	if said, code, _ := p.end(); code != -1 || len(said) != 4 {
		t.Errorf("%d %q", code, said)
	}
}

func TestProgressIsCheap(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	_, code, sent := start(t, `{"do":"progress","n":1000000}`).end()
	seconds := time.Since(begin).Seconds()
	if code != 0 || len(sent) == 0 {
		t.Fatalf("exit code %d, sent %d", code, len(sent))
	}
	if most := 20*seconds + 3; float64(len(sent)) > most {
		t.Errorf("%d datagrams in %.2f s", len(sent), seconds)
	}
	want := map[string]string{"X_QUEUEMGR_RUN_ID": "abc", "X_QUEUEMGR_PROGRESS": "77", "STATUS": "last", "WATCHDOG": "1"}
	if d := cmp.Diff(want, sent[len(sent)-1]); d != "" {
		t.Errorf("the last (-want +got):\n%s", d)
	}
}

func TestResult(t *testing.T) {
	const quotes = len(`{"text":""}`)
	for _, c := range []struct {
		name   string
		do     string
		n      int
		sent   string // "" = none
		file   string // "" = none
		stderr string
	}{
		{name: "datagram", do: "result", n: wire.MaxResult - quotes, sent: `{"text":"` + strings.Repeat("x", wire.MaxResult-quotes) + `"}`},
		{name: "file", do: "result", n: wire.MaxResult - quotes + 1, file: `{"text":"` + strings.Repeat("x", wire.MaxResult-quotes+1) + `"}`},
		{name: "largest", do: "result", n: wire.MaxResultFile - quotes, file: `{"text":"` + strings.Repeat("x", wire.MaxResultFile-quotes) + `"}`},
		{name: "too large", do: "result", n: wire.MaxResultFile - quotes + 1, sent: `{"n":1}`, stderr: "the result is 1048577 bytes of JSON and may be 1048576: put it into a file"},
		{name: "small after big", do: "big, then small", file: `"small"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, fmt.Sprintf(`{"do":%q,"n":%d}`, c.do, c.n))
			_, code, sent := p.end()
			if (code != 0) != (c.stderr != "") || !strings.Contains(p.stderr.String(), c.stderr) {
				t.Errorf("exit code %d: %s", code, &p.stderr)
			}
			last := ""
			for _, m := range sent {
				if r := m["X_QUEUEMGR_RESULT"]; r != "" {
					last = r
				}
			}
			file, err := os.ReadFile(filepath.Join(p.dir, "result.json"))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			if c.file == "" && last != c.sent || string(file) != c.file {
				t.Errorf("sent %d bytes, want %d; file %d bytes, want %d", len(last), len(c.sent), len(file), len(c.file))
			}
			if left, _ := filepath.Glob(filepath.Join(p.dir, ".result-*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestRunKnows(t *testing.T) {
	t.Parallel()
	p := start(t, `{"do":"log","for":"1m30s"}`)
	if _, code, _ := p.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{`level=INFO msg=hello params="{\"do\":\"log\",\"for\":\"1m30s\"}" for=1m30s run=abc job=7 attempt=2 queue=q`} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("log %q, want %q", &p.stderr, want)
		}
	}
}

// Parameters were checked when the job was added: those that do not fit run nothing.
func TestBadParams(t *testing.T) {
	for name, c := range map[string]struct {
		params, environ, says string
	}{
		"unknown":    {params: `{"do":"x","doo":1}`, says: `unknown field "doo"`},
		"kind":       {params: `{"do":7}`, says: "do not fit"},
		"duration":   {params: `{"do":"","for":"soon"}`, says: `for: bad duration "soon"`},
		"no JSON":    {params: `{`, says: "are not JSON"},
		"two values": {params: `{}{}`, says: "more than one JSON value"},
		"no object":  {params: `[]`, says: "no JSON object"},
		"no file":    {params: `{}`, environ: "QUEUEMGR_PARAMS=/does/not/exist", says: "the job's parameters can't be read"},
		"not set":    {params: `{}`, environ: "QUEUEMGR_PARAMS=", says: "QUEUEMGR_PARAMS is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := []string{}
			if c.environ != "" {
				environ = append(environ, c.environ)
			}
			p := start(t, c.params, environ...)
			said, code, sent := p.end()
			if code != 1 || strings.Join(said, "") != "" || len(sent) != 1 || !strings.Contains(sent[0]["X_QUEUEMGR_ERROR"], c.says) {
				t.Errorf("exit code %d, said %q, sent %v", code, said, sent)
			}
		})
	}
}

// By hand there is no socket: a person reads what is told.
func TestByHand(t *testing.T) {
	t.Parallel()
	p := start(t, `{"do":"progress","n":1}`, "NOTIFY_SOCKET=")
	if _, code, sent := p.end(); code != 0 || len(sent) != 0 || !strings.Contains(p.stderr.String(), "progress 77 last\n") {
		t.Errorf("exit code %d, sent %v, log %q", code, sent, &p.stderr)
	}
}

// A socket that nobody reads keeps no job waiting, but for a bounded time at its end.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	p := start(t, `{"do":"progress","n":1000}`, "NOTIFY_SOCKET=/does/not/exist")
	if said, code, _ := p.end(); code != 0 || len(said) != 3 {
		t.Errorf("exit code %d, said %q", code, said)
	}
}

func TestLimitsAreTheWires(t *testing.T) {
	if jobtype.MaxResult != wire.MaxResultFile {
		t.Error("another limit of results than the runner's")
	}
}

func TestDecode(t *testing.T) {
	type inner struct {
		D time.Duration `json:"d"`
	}
	type Base struct {
		B time.Duration `json:"b"`
	}
	var v struct {
		Base
		Map  map[string]time.Duration `json:"map"`
		List []inner                  `json:"list"`
		P    *time.Duration           `json:"p"`
		When time.Time                `json:"when"`
		Raw  json.RawMessage          `json:"raw"`
		Big  int64                    `json:"big"`
		Keep string                   `json:"keep"`
	}
	v.Keep = "as it was"
	err := jobtype.Decode(json.RawMessage(`{"b":1.5,"map":{"x":"1m"},"list":[{"d":2},{"d":"3s"}],"p":"7d","when":"2026-01-02T03:04:05Z","raw":{"d":1},"big":9007199254740993}`), &v)
	if err != nil {
		t.Fatal(err)
	}
	if v.B != 1500*time.Millisecond || v.Map["x"] != time.Minute || v.List[0].D != 2*time.Second || v.List[1].D != 3*time.Second || *v.P != 7*24*time.Hour ||
		v.When.Year() != 2026 || string(v.Raw) != `{"d":1}` || v.Big != 9007199254740993 || v.Keep != "as it was" {
		t.Errorf("%+v", v)
	}
}

type wrongForm struct{}

func (*wrongForm) Execute(context.Context, *jobtype.Run) error { return nil }
func (*wrongForm) OnStop(context.Context) error                { return nil }

type value struct{}

func (value) Execute(context.Context, *jobtype.Run) error { return nil }

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		t    jobtype.Type
		says string
	}{
		{&Scene{}, ""},
		{&wrongForm{}, "*jobtype_test.wrongForm.OnStop would never run: write it as OnStop(ctx context.Context, run *jobtype.Run)"},
		{value{}, "register a pointer to a struct"},
		{(*Scene)(nil), "register a pointer to a struct"},
		{nil, "register a pointer to a struct"},
	} {
		if err := jobtype.Check(c.t); fmt.Sprint(err) != c.says && (c.says == "" && err != nil || !strings.Contains(fmt.Sprint(err), c.says)) {
			t.Errorf("%T: %v, want %q", c.t, err, c.says)
		}
	}
	if name := jobtype.Describe(&Scene{}).Name; name != "scene" {
		t.Errorf("name %q", name)
	}
	if name := jobtype.Describe(&MyHTTPJob2{}).Name; name != "my-http-job2" {
		t.Errorf("name %q", name)
	}
}

// MyHTTPJob2 is there for its name.
type MyHTTPJob2 struct{ value }
