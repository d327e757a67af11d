// Package launch connects a daemon to its runner and starts one where none answers.
package launch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Starter starts runners. A runner is detached: it lives on when this process ends, however it
// ends.
type Starter struct {
	Program string   // the runner's binary; "" = somebody else, systemd, starts the runner
	Args    []string // before the flags; may be empty
	Socket  string
	Journal string
	Lock    string
	LogFile string // its stderr is appended there
	Log     *slog.Logger
}

// jobVariables say which job a process belongs to.
var jobVariables = []string{
	"QUEUEMGR_RUN_ID", "QUEUEMGR_JOB_ID", "QUEUEMGR_ATTEMPT", "QUEUEMGR_QUEUE", "QUEUEMGR_FENCE", "QUEUEMGR_DIR", "QUEUEMGR_PARAMS",
}

// notifyVariables are the runner's inside of a job, and a service manager's outside.
var notifyVariables = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

// Environ returns env without what would make a service that is started from inside a job a part of
// that job: its stop would end the service, too.
func Environ(env []string) []string {
	inJob := slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "QUEUEMGR_RUN_ID=") })
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(jobVariables, name) || inJob && slices.Contains(notifyVariables, name)
	})
}

// readyWithin is how long a runner may take until it listens.
const readyWithin = 20 * time.Second

// Dial connects to the runner, starting one first where none answers. Where it may start none it
// returns an error at once.
func (s *Starter) Dial(ctx context.Context) (net.Conn, error) {
	conn, err := s.connect(ctx)
	if err == nil || !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
		return conn, err
	}
	if s.Program == "" {
		return nil, fmt.Errorf("no runner listens on %s; it is a unit of its own, queuemgr-runner.service; start it: queuemgr service start (%w)", s.Socket, err)
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s.connect(ctx)
}

func (s *Starter) connect(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", s.Socket)
}

// start runs a runner and returns when it listens.
func (s *Starter) start(ctx context.Context) error {
	log, err := os.OpenFile(s.LogFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the runner's log: %w", err)
	}
	defer s.close(log)
	ready, stdout, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe for the runner: %w", err)
	}
	defer s.close(ready)

	cmd := exec.Command(s.Program, append(s.Args, "--socket", s.Socket, "--journal", s.Journal, "--lock", s.Lock)...)
	cmd.Dir = "/"
	cmd.Env = Environ(os.Environ())
	cmd.Stdout, cmd.Stderr = stdout, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	s.close(stdout)
	if err != nil {
		return fmt.Errorf("start the runner: %w", err)
	}
	s.Log.Info("runner started", "program", s.Program, "pid", cmd.Process.Pid)
	// Nobody waits for this goroutine: it ends with the runner, or with this process.
	go func() {
		if err := cmd.Wait(); err != nil {
			s.Log.Warn("the runner ended", "pid", cmd.Process.Pid, "error", err)
		}
	}()
	if err := ready.SetReadDeadline(time.Now().Add(readyWithin)); err != nil {
		return fmt.Errorf("wait for the runner: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Unix(1, 0)) }) // wakes the read below
	defer stop()
	line, err := bufio.NewReader(ready).ReadString('\n')
	if strings.TrimSpace(line) != "ready" {
		return fmt.Errorf("the runner did not become ready (%w); its log is %s", err, s.LogFile)
	}
	return nil
}

func (s *Starter) close(f *os.File) {
	if err := f.Close(); err != nil {
		s.Log.Debug("close", "file", f.Name(), "error", err)
	}
}
