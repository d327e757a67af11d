// Package queuemgrtest runs job types in tests, without a daemon: in the test's own process, in a process of
// their own, or in a program that was built. What a job tells goes over a real notify socket, and
// parameters are checked as when a job is added.
//
//	func TestResize(t *testing.T) {
//		r := queuemgrtest.Run(t, &Resize{}, map[string]any{"source": "a.png"})
//		if r.ExitCode != 0 || r.Progress != 100 {
//			t.Errorf("%+v", r)
//		}
//	}
package queuemgrtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/types"
	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/jobtype"
)

// Report is what a job has told in one message.
type Report struct {
	Progress int             // -1 = nothing
	Status   string          // "" = nothing
	Result   json.RawMessage // nil = nothing
	Error    string          // why it failed
	Retry    string          // "never", or seconds
}

// Result is how a job ended, and what it has told.
type Result struct {
	ExitCode int             // -1 = by a signal
	Progress int             // the last, -1 = none
	Status   string          // the last
	Result   json.RawMessage // nil = none
	Error    string
	Retry    string
	Log      string   // what it wrote
	Reports  []Report // all, in their order; how many is a matter of time
	Calls    []string // the methods that ran, in their order; in the test's own process only
}

// Option says how a job is run.
type Option func(*Job)

// AsChild runs the job in a process of its own: this test's program, whose TestMain must call Main.
func AsChild() Option { return func(j *Job) { j.child = true } }

// OfProgram runs the job as `PATH _job NAME`: in a program that was built with the type.
func OfProgram(path string) Option { return func(j *Job) { j.program = path } }

// Env adds NAME=VALUE to the environment of a job in a process of its own.
func Env(environ ...string) Option {
	return func(j *Job) { j.environ = append(j.environ, environ...) }
}

// childVariable names the type that this program is to run as a job.
const childVariable = "QUEUEMGRTEST_CHILD"

// Main is for TestMain, whose *testing.M m is: it runs the tests and ends the program. Where the program was started by AsChild, it is a job
// of one of the types instead.
func Main(m interface{ Run() int }, list ...jobtype.Type) {
	name := os.Getenv(childVariable)
	for _, t := range list {
		if name != "" && jobtype.Describe(t).Name == name {
			os.Exit(jobtype.Main(t))
		}
	}
	os.Exit(m.Run())
}

// Check returns what is wrong with parameters of t, as who adds a job is told: a job.Error whose Field is the
// place. It is the test's end when t is no job type.
func Check(t testing.TB, of jobtype.Type, params any) error {
	t.Helper()
	_, err := prepare(t, of, params)
	return err
}

func prepare(t testing.TB, of jobtype.Type, params any) (json.RawMessage, error) {
	t.Helper()
	registry, err := types.New(types.Options{Program: os.Args[0], Registered: []jobtype.Type{of}})
	if err != nil {
		t.Fatal(err)
	}
	text, isText := params.(string)
	if !isText {
		b, err := json.Marshal(params)
		if err != nil {
			t.Fatalf("the parameters are no JSON: %v", err)
		}
		text = string(b)
	}
	if params == nil {
		text = "{}"
	}
	return registry.Prepare(&job.Spec{Type: jobtype.Describe(of).Name, Params: json.RawMessage(text)})
}

// Job is a job that runs.
type Job struct {
	t       testing.TB
	child   bool
	program string
	environ []string

	dir    string
	socket *net.UnixConn
	cmd    *exec.Cmd
	stop   chan os.Signal
	code   chan int

	mu      sync.Mutex
	log     bytes.Buffer
	reports []Report
	calls   []string
	news    chan struct{} // closed and made anew with each report
	read    chan struct{} // closed when all is read
	result  *Result
}

// Run runs a job of type of to its end. params is JSON as text, or a value that becomes JSON. Wrong
// parameters are the test's end: see Check.
func Run(t testing.TB, of jobtype.Type, params any, options ...Option) *Result {
	t.Helper()
	return Start(t, of, params, options...).Wait()
}

// Start begins a job. The test's end stops it.
func Start(t testing.TB, of jobtype.Type, params any, options ...Option) *Job {
	t.Helper()
	full, err := prepare(t, of, params)
	if err != nil {
		t.Fatal(err)
	}
	j := &Job{t: t, stop: make(chan os.Signal, 1), code: make(chan int, 1), news: make(chan struct{}), read: make(chan struct{})}
	for _, o := range options {
		o(j)
	}
	// Not t.TempDir: the name of a socket has at most 107 bytes.
	if j.dir, err = os.MkdirTemp("", "queuemgrtest"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(j.dir) }) // the machine's temporary folder
	params0 := filepath.Join(j.dir, "params.json")
	if err := os.WriteFile(params0, full, 0o400); err != nil {
		t.Fatal(err)
	}
	if j.socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(j.dir, "notify"), Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	go j.listen()
	j.environ = append([]string{"QUEUEMGR_PARAMS=" + params0, "QUEUEMGR_DIR=" + j.dir, "QUEUEMGR_JOB_ID=1", "QUEUEMGR_RUN_ID=queuemgrtest",
		"QUEUEMGR_ATTEMPT=1", "QUEUEMGR_QUEUE=default", "NOTIFY_SOCKET=" + j.socket.LocalAddr().String()}, j.environ...)
	j.begin(of)
	t.Cleanup(func() { j.Stop(); j.Wait() })
	return j
}

func (j *Job) begin(of jobtype.Type) {
	j.t.Helper()
	name := jobtype.Describe(of).Name
	switch {
	case j.program != "":
		j.cmd = exec.Command(j.program, types.Child, name)
	case j.child:
		self, err := os.Executable()
		if err != nil {
			j.t.Fatal(err)
		}
		j.cmd = exec.Command(self)
		j.environ = append(j.environ, childVariable+"="+name)
	default:
		v := reflect.New(reflect.TypeOf(of).Elem()) // the job's own: of keeps its defaults
		v.Elem().Set(reflect.ValueOf(of).Elem())
		p := jobtype.Process{Environ: j.environ, Stderr: logWriter{j}, Stop: j.stop, Calls: func(method string) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.calls = append(j.calls, method)
		}}
		go func() { j.code <- p.Run(v.Interface().(jobtype.Type)) }()
		return
	}
	j.cmd.Env = append(os.Environ(), j.environ...)
	j.cmd.Stdout, j.cmd.Stderr = logWriter{j}, logWriter{j}
	if err := j.cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	go func() {
		err := j.cmd.Wait()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			_, _ = logWriter{j}.Write([]byte("queuemgrtest: " + err.Error() + "\n")) // it never fails
		}
		j.code <- j.cmd.ProcessState.ExitCode()
	}()
}

// logWriter takes what a job writes.
type logWriter struct{ *Job }

// Write implements io.Writer.
func (w logWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

// lastLine ends the reading: no job sends it.
const lastLine = "X_QUEUEMGRTEST_END=1"

func (j *Job) listen() {
	defer close(j.read)
	for b := make([]byte, 128<<10); ; {
		n, err := j.socket.Read(b)
		if err != nil || string(b[:n]) == lastLine {
			return
		}
		r := Report{Progress: -1}
		for line := range strings.Lines(string(b[:n])) {
			switch key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "="); key {
			case "X_QUEUEMGR_PROGRESS":
				if p, err := strconv.Atoi(value); err == nil {
					r.Progress = p
				}
			case "STATUS":
				r.Status = value
			case "X_QUEUEMGR_RESULT":
				r.Result = json.RawMessage(value)
			case "X_QUEUEMGR_ERROR":
				r.Error = value
			case "X_QUEUEMGR_RETRY":
				r.Retry = value
			}
		}
		j.mu.Lock()
		j.reports = append(j.reports, r)
		close(j.news)
		j.news = make(chan struct{})
		j.mu.Unlock()
	}
}

// Until waits for a report that is as wanted. It is the test's end when the job ends before, or
// nothing comes for a minute.
func (j *Job) Until(wanted func(Report) bool) {
	j.t.Helper()
	enough := time.NewTimer(time.Minute)
	defer enough.Stop()
	for seen := 0; ; {
		j.mu.Lock()
		fresh, news := j.reports[seen:], j.news
		j.mu.Unlock()
		for _, r := range fresh {
			seen++
			if wanted(r) {
				return
			}
		}
		select {
		case <-news:
		case code := <-j.code:
			j.code <- code
			j.t.Fatalf("the job ended before, with exit code %d", code)
		case <-enough.C:
			j.t.Fatal("the job told nothing of that kind for a minute")
		}
	}
}

// Stop stops the job, as its stop signal would. It does not wait for its end.
func (j *Job) Stop() { j.Signal(syscall.SIGTERM) }

// Signal sends a signal to a job in a process of its own; one in the test's process is stopped by any.
func (j *Job) Signal(s syscall.Signal) {
	if j.cmd != nil {
		_ = j.cmd.Process.Signal(s) // who has ended hears none
		return
	}
	select {
	case j.stop <- s:
	default:
	}
}

// Wait waits for the job's end.
func (j *Job) Wait() *Result {
	j.t.Helper()
	if j.result != nil {
		return j.result
	}
	r := &Result{ExitCode: <-j.code, Progress: -1}
	j.code <- r.ExitCode
	// All that was sent before it ended is read first.
	if end, err := net.DialUnix("unixgram", nil, j.socket.LocalAddr().(*net.UnixAddr)); err == nil {
		_, _ = end.Write([]byte(lastLine)) // closed below, where it does not come
		_ = end.Close()
	} else {
		_ = j.socket.Close()
	}
	<-j.read
	_ = j.socket.Close()
	for _, m := range j.reports {
		r.Progress = max(r.Progress, m.Progress)
		if m.Status != "" {
			r.Status = m.Status
		}
		if m.Result != nil {
			r.Result = m.Result
		}
		r.Error, r.Retry = m.Error, m.Retry
	}
	if file, err := os.ReadFile(filepath.Join(j.dir, "result.json")); err == nil {
		r.Result = file
	}
	r.Log, r.Reports, r.Calls = j.log.String(), j.reports, j.calls
	j.result = r
	return r
}
