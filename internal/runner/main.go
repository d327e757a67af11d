package runner

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Version is set when linking, with -X; without that the build information speaks.
var Version string

// Exit codes of Main.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitHeld   = 3 // another runner holds the lock
)

// Main is the runner as a program. Whoever starts it gives it a session of its own. It returns the
// exit code. SIGTERM and SIGINT stop every job gracefully, and it ends when they have ended.
func Main(args []string) int {
	o, err := parseOptions(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return ExitOK
	case err != nil:
		return ExitFailed
	case o.version:
		fmt.Println("queuemgr-runner", version())
		return ExitOK
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if o.emptyCgroup {
		return emptyCgroup(log)
	}
	o.cfg.Version, o.cfg.Log = version(), log
	if o.cfg.notify, err = takeNotifier(); err != nil {
		log.Error("the runner failed", "error", err)
		return ExitFailed
	}
	return serve(o)
}

func serve(o *options) int {
	cfg := &o.cfg
	if err := closeInherited(); err != nil {
		cfg.Log.Warn("descriptors of the starter stay open here", "error", err)
	}
	if err := leaveDirectory(cfg); err != nil {
		cfg.Log.Error("the runner failed", "error", err)
		return ExitFailed
	}
	// Signals that the starter ignored would be ignored in the jobs, too; a handler is reset by exec.
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
	defer signal.Stop(ignored)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// Little is alive here and much is short-lived: collecting less often costs a few MB.
	debug.SetGCPercent(gcPercent)

	var err error
	if o.drop {
		err = o.dropping(ctx)
	}
	var r *Runner
	if err == nil {
		r, err = New(*cfg)
	}
	if err == nil {
		if cfg.notify == "" {
			announce(cfg.Log)
		}
		err = r.Run(ctx)
	}
	var held *HeldError
	switch {
	case errors.As(err, &held):
		cfg.Log.Error(err.Error())
		return ExitHeld
	case err != nil:
		cfg.Log.Error("the runner failed", "error", err)
		return ExitFailed
	}
	return ExitOK
}

// announce tells the starter, who may wait at the other end of stdout, that the socket is there.
// Nothing is written to stdout afterwards, so the starter need not keep its end.
func announce(log *slog.Logger) {
	if _, err := fmt.Println("ready"); err != nil {
		log.Info("nobody waits for the runner to be ready", "error", err)
	}
}

// leaveDirectory goes to /, so that no mount is kept busy for as long as the runner lives.
func leaveDirectory(cfg *Config) error {
	for _, path := range []*string{&cfg.Socket, &cfg.Journal, &cfg.Lock} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("resolve %s: %w", *path, err)
		}
		*path = abs
	}
	return os.Chdir("/")
}

// closeInherited closes what the starter left open beyond stderr: a pipe of its own would otherwise
// stay open for as long as the runner lives. Inherited descriptors are those that are not marked
// close-on-exec; everything that Go opened already is.
func closeInherited() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	return errors.Join(errs...)
}

// gcPercent is GOGC of the runner.
const gcPercent = 200

func version() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
