package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sort"
	"strings"
	"syscall"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/runner/launch"
	"github.com/queuemgr/queuemgr/job"
)

// readyWord is what a detached daemon reports when it serves.
const readyWord = "ready\n"

// startDetached starts this program as a daemon in a session of its own, with its output in
// daemon.log, and returns its process number when it is ready, or why it is not.
func (a *app) startDetached(ctx context.Context, c *config.Config, o daemonOptions) (pid int, err error) {
	log, err := openDaemonLog(c)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	begin, err := log.f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", log.path, err)
	}
	program, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("finding this program: %w", err)
	}
	ready, report, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("making a pipe for the daemon: %w", err)
	}
	defer ready.Close() //nolint:errcheck // only read

	cmd := exec.Command(program, daemonArgs(c, o)...)
	cmd.Dir = "/"
	cmd.Env = launch.Environ(a.Environ)
	cmd.Stdout, cmd.Stderr = log.f, log.f
	cmd.ExtraFiles = []*os.File{report} // descriptor 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	if closeErr := report.Close(); err == nil && closeErr != nil {
		err = closeErr
	}
	if err != nil {
		return 0, fmt.Errorf("starting the daemon: %w", err)
	}
	// The end of ctx stops the waiting; a daemon that is nearly there is left to get there.
	stop := context.AfterFunc(ctx, func() { _ = ready.Close() }) // ends the read below
	defer stop()
	answer, readErr := io.ReadAll(ready)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if string(answer) == readyWord {
		pid := cmd.Process.Pid
		if reached, err := config.FindPaths(a.home, a.Environ, config.ForClient); err == nil && reached != c.Paths {
			a.warn("commands reach the system service; to reach this one: export QUEUEMGR_HOME=%s", shellQuote(c.Paths.Home))
		}
		return pid, cmd.Process.Release()
	}
	waitErr := cmd.Wait() // it has ended or is about to
	var e job.Error
	if json.Unmarshal(answer, &e) == nil && e.Message != "" {
		return 0, &e
	}
	return 0, &job.Error{Code: job.Internal, Err: errors.Join(readErr, waitErr),
		Message: fmt.Sprintf("the daemon ended before it was ready (%v)%s", waitErr, lastWords(log.path, begin)),
		Hint:    "its log is " + log.path}
}

// daemonArgs are the arguments of a detached daemon.
func daemonArgs(c *config.Config, o daemonOptions) []string {
	args := []string{"daemon", "start", "--ready-fd", "3"}
	if !c.Paths.System {
		args = append(args, "--home", c.Paths.Home)
	}
	if o.config != "" {
		args = append(args, "--config", c.File)
	}
	if o.pidfile != "" {
		args = append(args, "--pidfile", c.PIDFile)
	}
	var set []string
	for _, s := range config.Flags() {
		if value, given := o.set[s.Key]; given {
			set = append(set, "--"+s.Name+"="+value)
		}
	}
	sort.Strings(set)
	return append(args, set...)
}

// lastWords returns the end of what was written to a log since begin; of a crash its beginning.
func lastWords(name string, begin int64) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // only read
	// More than a crash with many goroutines writes is not looked through.
	text, err := io.ReadAll(io.NewSectionReader(f, begin, 1<<20))
	if err != nil {
		return ""
	}
	const most = 5 // lines
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	crash := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") })
	switch {
	case lines[0] == "":
		return ""
	case crash >= 0:
		lines = lines[crash:min(crash+most, len(lines))]
	default:
		lines = lines[max(len(lines)-most, 0):]
	}
	return ":\n" + strings.Join(lines, "\n")
}
