package queuemgr

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
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/internal/config"
)

// runnerStarter connects to the runner of a home and starts one where none answers. The runner is
// detached: it lives on when the daemon ends, however it ends.
type runnerStarter struct {
	paths config.Paths
	log   *slog.Logger
}

// runnerReady is how long a runner may take until it listens.
const runnerReady = 20 * time.Second

func (r *runnerStarter) dial(ctx context.Context) (net.Conn, error) {
	conn, err := r.connect(ctx)
	if err == nil || !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
		return conn, err
	}
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	return r.connect(ctx)
}

func (r *runnerStarter) connect(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", r.paths.RunnerSocket())
}

// start runs the small binary beside this program, or this program as `queuemgr _runner`, and
// returns when it listens.
func (r *runnerStarter) start(ctx context.Context) error {
	program, args := runnerProgram()
	args = append(args, "--socket", r.paths.RunnerSocket(), "--journal", r.paths.RunnerJournal(), "--lock", r.paths.RunnerLock())
	log, err := os.OpenFile(r.paths.RunnerLog(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the runner's log: %w", err)
	}
	defer closeLogged(r.log, log)
	ready, stdout, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe for the runner: %w", err)
	}
	defer closeLogged(r.log, ready)

	cmd := exec.Command(program, args...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = stdout, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	closeLogged(r.log, stdout)
	if err != nil {
		return fmt.Errorf("start the runner: %w", err)
	}
	r.log.Info("runner started", "program", program, "pid", cmd.Process.Pid)
	// Nobody waits for this goroutine: it ends with the runner, or with this process.
	go func() {
		if err := cmd.Wait(); err != nil {
			r.log.Warn("the runner ended", "pid", cmd.Process.Pid, "error", err)
		}
	}()
	if err := ready.SetReadDeadline(time.Now().Add(runnerReady)); err != nil {
		return fmt.Errorf("wait for the runner: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Unix(1, 0)) }) // wakes the read below
	defer stop()
	line, err := bufio.NewReader(ready).ReadString('\n')
	if strings.TrimSpace(line) != "ready" {
		return fmt.Errorf("the runner did not become ready (%w); its log is %s", err, r.paths.RunnerLog())
	}
	return nil
}

// runnerProgram returns the program that is a runner and the arguments that make it one.
func runnerProgram() (string, []string) {
	self, err := os.Executable()
	if err != nil {
		return os.Args[0], []string{"_runner"}
	}
	small := filepath.Join(filepath.Dir(self), "queuemgr-runner")
	if info, err := os.Stat(small); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		return small, nil
	}
	return self, []string{"_runner"}
}

func closeLogged(log *slog.Logger, f *os.File) {
	if err := f.Close(); err != nil {
		log.Debug("close", "file", f.Name(), "error", err)
	}
}
