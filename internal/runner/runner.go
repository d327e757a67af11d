// Package runner owns the job processes: it starts, watches, limits, stops and reaps them, keeps a
// journal of it, and tells the daemon over a socket. It outlives the daemon. See DESIGN.md.
package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/internal/crashpoint"
	"golang.org/x/sys/unix"
)

// Config says where a runner lives.
type Config struct {
	Socket  string        // unix socket for the daemon
	Journal string        // file
	Lock    string        // file; its flock is the right to use the other two
	Linger  time.Duration // without daemon and runs, end after this long; 0 = never
	Version string
	// Shutdown caps the grace of each run when the runner is told to end, unless the daemon says
	// otherwise; nil = no cap.
	Shutdown *time.Duration
	Drop     *Drop // nil: every run gets the runner's own account
	Log      *slog.Logger

	notify notifier
}

// Runner is a runner in this process. The process must have no children but the runner's: it reaps
// whatever it does not know as an orphan.
type Runner struct {
	cfg      Config
	lock     *os.File
	listener *net.UnixListener
	journal  *Journal
	sys      *linux
	core     *Core

	inputs chan func(*Core)
	quit   chan struct{} // closed when the core takes no more input
	conns  sync.WaitGroup

	mu      sync.Mutex // guards peers and closing
	peers   map[*peer]struct{}
	closing bool
}

const (
	maxSocketPath = 107 // bytes: sun_path without its NUL; job.MaxSocketPath, which this package may not import
	maxDrain      = 512 // inputs handled for one Flush
	lastWords     = 2 * time.Second
	// gather is how long inputs are let come together while many forks are under way: each wakes
	// this goroutine, and with it the daemon, at the price of a fork's tenth.
	gather = time.Millisecond
	// quietAfter is how long after the last input without a run memory is given back.
	quietAfter = 3 * time.Second
)

// New takes the lock, opens the journal, makes this process a subreaper, finds out what became of
// the runs of the runner before, and listens. A *HeldError says that another runner is at work.
func New(cfg Config) (*Runner, error) {
	for _, path := range []string{cfg.Socket, notifyPath(cfg.Socket)} {
		if n := len(path); n > maxSocketPath {
			return nil, fmt.Errorf("the socket path %s has %d bytes; the system allows %d: use a shorter home directory",
				path, n, maxSocketPath)
		}
	}
	r := &Runner{
		cfg: cfg, inputs: make(chan func(*Core), maxDrain), quit: make(chan struct{}),
		peers: map[*peer]struct{}{},
	}
	if err := r.open(); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *Runner) open() (err error) {
	if r.cfg.Drop != nil {
		if err := r.cfg.checkPlaces(); err != nil {
			return err
		}
	}
	if r.lock, err = takeLock(r.cfg.Lock); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	if r.sys, err = newLinux(&r.cfg, r.post); err != nil {
		return err
	}
	r.journal, err = OpenJournal(r.cfg.Journal, r.cfg.Version, r.sys.BootID(), r.cfg.Log)
	if err != nil {
		return err
	}
	r.core, err = NewCore(r.sys, r.journal, CoreOptions{
		Version: r.cfg.Version, Linger: r.cfg.Linger, Drops: r.cfg.Drop != nil, Shutdown: r.cfg.Shutdown,
		Log: r.cfg.Log, Step: crashpoint.Here,
	})
	if err != nil {
		return err
	}
	if err := r.sys.listen(r.core); err != nil {
		return err
	}
	return r.listen()
}

// listen replaces a socket that a dead runner left; the lock shows that it is dead.
func (r *Runner) listen() error {
	path := r.cfg.Socket
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is in the way: it is not a socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace the runner's socket: %w", err)
	}
	// Until its mode is set somebody else might connect; accept refuses that.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err == nil {
		l.SetUnlinkOnClose(false) // close does it, before the lock is let go
		r.listener = l
		err = os.Chmod(path, 0o600)
	}
	if err == nil && r.cfg.Drop != nil {
		err = os.Chown(path, int(r.cfg.Drop.Daemon), -1)
	}
	if err != nil {
		return fmt.Errorf("listen on the runner's socket %s: %w", path, err)
	}
	return nil
}

// post runs f on the core's goroutine, or drops it once the core takes no more.
func (r *Runner) post(f func(*Core)) {
	select {
	case r.inputs <- f:
	case <-r.quit:
	}
}

// Run serves until the daemon's Quit, until nobody needs the runner any more, or until ctx is done
// and every run was stopped. It then closes everything.
func (r *Runner) Run(ctx context.Context) error {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)
	r.conns.Go(r.accept)
	r.cfg.Log.Info("runner ready", "version", r.cfg.Version, "socket", r.cfg.Socket,
		"journal", r.journal.header.Journal, "alive", r.core.Alive())
	r.told(r.cfg.notify.tell("READY=1"))
	r.loop(ctx, children)
	r.told(r.cfg.notify.tell("STOPPING=1"))
	return r.close()
}

// told takes the result of telling systemd something; nothing depends on it here.
func (r *Runner) told(err error) {
	if err != nil {
		r.cfg.Log.Warn("systemd does not hear from the runner", "error", err)
	}
}

func (r *Runner) loop(ctx context.Context, children <-chan os.Signal) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	// After work the memory it took goes back, once it is quiet.
	quiet := time.NewTimer(quietAfter)
	defer quiet.Stop()
	stop := ctx.Done()
	for {
		r.core.Flush()
		if r.core.Finished() {
			return
		}
		var due <-chan time.Time
		if at, ok := r.core.Next(); ok {
			timer.Reset(time.Until(at))
			due = timer.C
		}
		select {
		case f := <-r.inputs:
			f(r.core)
			if r.core.Busy() {
				time.Sleep(gather)
			}
			r.drain()
			if r.core.Alive() == 0 {
				quiet.Reset(quietAfter)
			}
		case <-quiet.C:
			r.core.Rest()
			debug.FreeOSMemory()
		case <-due:
			r.core.HandleTime()
		case <-children:
			r.core.HandleChild()
		case <-stop:
			stop = nil
			r.told(r.cfg.notify.stopping(r.core.ShutdownWithin()))
			r.core.HandleShutdown()
		}
	}
}

// drain handles what came meanwhile, so that one write to the journal serves it all.
func (r *Runner) drain() {
	for range maxDrain {
		if r.core.Hasty() {
			return
		}
		select {
		case f := <-r.inputs:
			f(r.core)
		default:
			return
		}
	}
}

// accept serves connections until the listener is closed.
func (r *Runner) accept() {
	for {
		nc, err := r.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			r.cfg.Log.Error("accept a connection", "error", err)
			select {
			case <-r.quit:
				return
			case <-time.After(roundWait): // out of descriptors: do not spin
			}
			continue
		}
		uid, err := peerUID(nc)
		if err != nil || uid != 0 && uid != r.cfg.daemonUID() {
			r.cfg.Log.Warn("a connection was refused: only root and the daemon's user may connect",
				"uid", uid, "daemon", r.cfg.daemonUID(), "error", errors.Join(err, nc.Close()))
			continue
		}
		r.serve(newPeer(nc, r.cfg.Log))
	}
}

func (r *Runner) serve(p *peer) {
	r.mu.Lock()
	r.peers[p] = struct{}{}
	if r.closing {
		p.Close()
	}
	r.mu.Unlock()
	r.conns.Go(func() { p.read(r.post) })
	r.conns.Go(func() {
		p.write()
		r.mu.Lock()
		delete(r.peers, p)
		r.mu.Unlock()
	})
}

func (r *Runner) closePeers(how func(*peer)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing = true
	for p := range r.peers {
		how(p)
	}
}

// close ends everything that open and Run began, as far as they came.
func (r *Runner) close() error {
	var errs []error
	close(r.quit)
	if r.listener != nil {
		errs = append(errs, os.Remove(r.cfg.Socket), r.listener.Close())
	}
	if r.sys != nil {
		errs = append(errs, r.sys.close())
	}
	if r.journal != nil {
		errs = append(errs, r.journal.Close())
	}
	// Last, so that a daemon that sees the connection end knows that no file is touched any more.
	r.closePeers((*peer).Close)
	// A daemon that does not read any more must not keep us.
	hurry := time.AfterFunc(lastWords, func() { r.closePeers((*peer).abort) })
	r.conns.Wait()
	hurry.Stop()
	if r.lock != nil {
		errs = append(errs, r.lock.Close())
	}
	return errors.Join(errs...)
}
