// Package harness runs a queuemgr of its own in a home of its own and drives it as users do: by
// its command line, its socket, its files and signals. The end-to-end tests, the demo and the
// benchmarks share it.
package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// markName is the environment variable that everything started from a home carries, jobs
// included, because `job add` captures its environment.
const markName = "HARNESS_HOME"

// Service is one queuemgr in one home.
type Service struct {
	Home string   // its QUEUEMGR_HOME, absolute
	Bin  string   // folder of queuemgr and queuemgr-runner
	Env  []string // KEY=VALUE laid over the environment of every command
	// As is the user that every command runs as; nil is the caller.
	As *syscall.Credential
}

// Socket is the path of the daemon's socket.
func (s *Service) Socket() string { return filepath.Join(s.Home, "run", "queuemgr.sock") }

// Path joins elem to the home.
func (s *Service) Path(elem ...string) string {
	return filepath.Join(append([]string{s.Home}, elem...)...)
}

// Result is what a command of the CLI gave.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Cmd returns `queuemgr args…`, ready to run in this home.
func (s *Service) Cmd(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, "queuemgr"), args...)
	cmd.Env = s.Environ()
	cmd.Dir = s.Home
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.As}
	return cmd
}

// Environ is the environment of every command: a plain one, so that what surrounds the caller
// changes nothing.
func (s *Service) Environ() []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.Home, "LANG=C.UTF-8", "TERM=dumb",
		"QUEUEMGR_WEB_LISTEN=", // many run at once: a test of the port says which one
		"QUEUEMGR_HOME=" + s.Home, markName + "=" + s.Home,
	}, s.Env...)
}

// Run runs `queuemgr args…` to its end. An exit code is no error.
func (s *Service) Run(ctx context.Context, args ...string) (Result, error) {
	return Finish(s.Cmd(ctx, args...))
}

// Finish runs cmd to its end and returns its output and exit code.
func Finish(cmd *exec.Cmd) (Result, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	r := Result{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		r.Code = exit.ExitCode()
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("run %s: %w\n%s", strings.Join(cmd.Args, " "), err, r.Stderr)
	}
	return r, nil
}

// Must runs `queuemgr args…` and returns its stdout without the last newline; an exit code other
// than 0 is an error with what it said.
func (s *Service) Must(ctx context.Context, args ...string) (string, error) {
	r, err := s.Run(ctx, args...)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("queuemgr %s: exit code %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return strings.TrimSuffix(r.Stdout, "\n"), err
}

// Start starts the daemon, detached, and returns once it is ready.
func (s *Service) Start(ctx context.Context) error {
	if err := os.MkdirAll(s.Home, 0o700); err != nil {
		return err
	}
	_, err := s.Must(ctx, "daemon", "start", "--daemon")
	return err
}

// DaemonPID returns the number in daemon.pid.
func (s *Service) DaemonPID() (int, error) {
	text, err := os.ReadFile(s.Path("run", "daemon.pid"))
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("daemon.pid: %w", err)
	}
	return pid, nil
}

// Kill ends the daemon with SIGKILL and returns when it is gone.
func (s *Service) Kill(ctx context.Context) error {
	pid, err := s.DaemonPID()
	if err != nil {
		return err
	}
	return KillPID(ctx, pid)
}

// Cleanup ends everything that was started from the home: the daemon and its jobs as `daemon
// stop` does, then whatever is left by SIGKILL. It returns an error naming what was left.
func (s *Service) Cleanup(ctx context.Context) error {
	if _, err := os.Stat(s.Home); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(s.Socket()); err == nil {
		if _, err := s.Run(ctx, "job", "stop", "--force", "--state", "starting,running,paused,stopping"); err != nil {
			return err
		}
		if _, err := s.Run(ctx, "daemon", "stop"); err != nil {
			return err
		}
	}
	graceful, cancel := context.WithTimeout(ctx, 15*time.Second) // the runner lingers for 10 s
	defer cancel()
	if s.WaitGone(graceful) == nil {
		return nil
	}
	left, err := s.Processes()
	if err != nil {
		return err
	}
	var names []string
	for _, p := range left {
		names = append(names, p.String())
		if err := KillPID(ctx, p.PID); err != nil {
			names = append(names, err.Error())
		}
	}
	return fmt.Errorf("processes were left after the daemon's end: %s", strings.Join(names, "; "))
}
