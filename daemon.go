package queuemgr

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"os/user"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/internal/auth"
	"github.com/queuemgr/queuemgr/internal/cli"
	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/engine"
	"github.com/queuemgr/queuemgr/internal/hooks"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/internal/store/jsonl"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/internal/systemd"
	"github.com/queuemgr/queuemgr/internal/types"
	"github.com/queuemgr/queuemgr/job"
	page "github.com/queuemgr/queuemgr/web"
)

// ballast is the room kept in reserve for recording exits on a full disk, in bytes: at well under
// 1 KiB an exit it takes tens of thousands of them.
const ballast = 16 << 20

// gcPercent is GOGC of the daemon: little is alive in it and requests are short-lived, so that
// collecting less often costs a few MB and saves a tenth of the time of additions.
const gcPercent = 300

// httpGrace is how long requests may take to end when the daemon ends.
const httpGrace = 3 * time.Second

// daemon is the running parts of a daemon, from the first made to the last.
type daemon struct {
	cli.Daemon
	app    *App
	c      *config.Config // to begin with
	now    atomic.Pointer[config.Config]
	log    *slog.Logger
	level  *slog.LevelVar
	notify *systemd.Notifier

	inJournal bool // the log goes to systemd's journal, too
	lock      *homeLock
	jsonl     *jsonl.Writer
	hub       *engine.Hub
	store     *sqlite.Store
	types     *types.Registry
	hooks     *hooks.Service

	engine *engine.Engine
	web    *web // nil = no port is wanted
	gate   atomic.Pointer[auth.Gate]
}

// runDaemon serves c's home until ctx ends, which leaves jobs running, or Shutdown is asked for.
func runDaemon(ctx context.Context, app *App, how cli.Daemon) (err error) {
	debug.SetGCPercent(gcPercent)
	c := how.Config
	d := &daemon{Daemon: how, app: app, c: c, level: new(slog.LevelVar)}
	d.now.Store(c)
	d.level.Set(c.LogLevel)
	d.inJournal = d.Console != nil && systemd.JournalWanted()
	d.log = slog.New(d.logHandler())
	d.notify = systemd.NewNotifier(d.log)
	if err := makeFolders(c); err != nil {
		return err
	}
	if d.lock, err = lockHome(c.Paths.RegistryLock()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.lock.unlock()) }()

	following, stopFollowing := context.WithCancel(context.Background())
	defer stopFollowing()
	if err := d.openTypes(); err != nil {
		return err
	}
	if err := d.openRegistry(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.store.Close()) }()
	followed := make(chan error, 1)
	go func() { followed <- d.jsonl.Run(following) }()
	defer func() {
		stopFollowing() // it writes what is committed before it ends
		err = errors.Join(err, <-followed)
	}()

	listener, err := d.listen()
	if err != nil {
		return err
	}
	d.web = d.newWeb()
	if err := d.openHooks(ctx); err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := d.startEngine(ctx); err != nil {
		return errors.Join(err, listener.Close())
	}
	defer d.engine.Close()
	telling, stopTelling := context.WithCancel(context.Background())
	var beside sync.WaitGroup
	beside.Go(func() { d.hooks.Run(telling, hookEngine{d.engine}) })
	defer beside.Wait()
	defer stopTelling()
	return d.serve(ctx, listener)
}

// logHandler returns where the log goes: daemon.log, and the journal with fields or, where standard
// error is not the journal, that.
func (d *daemon) logHandler() slog.Handler {
	text := func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, &slog.HandlerOptions{Level: d.level}) }
	switch {
	case d.Console == nil:
		return text(d.Log)
	case d.inJournal:
		return slog.NewMultiHandler(text(d.Log), systemd.NewJournalHandler(d.level))
	}
	return text(io.MultiWriter(d.Log, d.Console))
}

// listen opens the socket: the system service's for the members of its group.
func (d *daemon) listen() (net.Listener, error) {
	if d.c.Paths.System {
		group, err := user.LookupGroup(config.SystemGroup)
		if err == nil {
			gid, err := strconv.Atoi(group.Gid)
			if err != nil {
				return nil, fmt.Errorf("group %s: %w", group.Name, err)
			}
			return httpapi.ListenGroup(d.c.Paths.Socket(), gid)
		}
		d.log.Warn("only root and the daemon's user can reach the service: its group is not there", "group", config.SystemGroup, "error", err)
	}
	return httpapi.Listen(d.c.Paths.Socket())
}

func (d *daemon) openRegistry(ctx context.Context) error {
	if err := refuseLostRegistry(d.c); err != nil {
		return err
	}
	d.hub = engine.NewHub()
	var err error
	d.store, err = sqlite.Open(ctx, sqlite.Options{Path: d.c.Paths.Database(), OnCommit: d.hub.Publish,
		MinFree: d.c.MinFreeSpace, Ballast: ballast, Log: d.log})
	if err != nil {
		return err
	}
	d.jsonl, err = jsonl.New(jsonl.Options{Path: d.c.RegistryPath, Store: d.store, Log: d.log})
	if err != nil {
		return errors.Join(err, d.store.Close())
	}
	d.hub.OnCommit(d.jsonl.Wake)
	return nil
}

// refuseLostRegistry refuses to begin an empty registry where a readable journal shows that there
// was one: numbers would begin again at 1 and jobs on record would be forgotten.
func refuseLostRegistry(c *config.Config) error {
	if _, err := os.Stat(c.Paths.Database()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	info, err := os.Stat(c.RegistryPath)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return &job.Error{Code: job.Internal, Message: fmt.Sprintf("the registry %s is gone, but its journal %s is there; nothing was changed", c.Paths.Database(), c.RegistryPath),
		Hint: fmt.Sprintf("rebuild it: queuemgr registry import %s; or begin anew: move that file away", c.RegistryPath)}
}

func (d *daemon) startEngine(ctx context.Context) error {
	var err error
	d.engine, err = engine.Start(ctx, engine.Options{
		Store: d.store, Hub: d.hub, Dial: runnerStarter(d.c.Paths, d.log).Dial, Now: time.Now, NewRunID: newRunID, Log: d.log,
		Node: d.c.Node, Version: Version(), Home: d.c.Paths.Home, LogDir: d.c.Paths.JobLogs(), ProcDir: d.c.ProcDir,
		Settings: engineSettings(d.c), ReadSettings: d.readSettings, Drops: d.c.Paths.System, Types: d.types, Problems: []func() string{d.jsonl.Problem, d.typesProblem, d.hooks.Problem}, Hidden: d.hooks, HiddenAccount: d.hookAccount(), Web: d.web.status, BeforePrune: d.safelyWritten,
	})
	return err
}

// readSettings reads the settings again, opens the log anew and puts into force what is not the
// engine's.
func (d *daemon) readSettings() (engine.Settings, job.Reloaded, error) {
	d.notify.Reloading()
	defer d.notify.Ready(ready)
	c, err := d.Reload()
	if err != nil {
		d.log.Error("the settings can't be read again: those before stay", "error", err)
		return engine.Settings{}, job.Reloaded{}, err
	}
	configured, err := configuredHooks(c)
	if err != nil {
		d.log.Error("the settings can't be read again: those before stay", "error", err)
		return engine.Settings{}, job.Reloaded{}, err
	}
	if err := d.Log.Reopen(); err != nil {
		d.log.Error("open the log anew", "error", err)
		return engine.Settings{}, job.Reloaded{}, err
	}
	what := d.now.Swap(c).Compare(c)
	what.Types, what.Problems = d.reloadTypes()
	what.Restart = d.c.Compare(c).Restart // what is in force is what the daemon began with
	d.level.Set(c.LogLevel)
	d.web.reload()
	d.hooks.Set(configured, d.types.Hooks())
	if gate := d.gate.Load(); gate != nil {
		gate.Sweep(context.Background())
	}
	for _, s := range what.Changed {
		d.log.Info("setting changed", "key", s.Key, "old", s.Old, "new", s.New)
	}
	for _, s := range what.Restart {
		d.log.Warn("setting takes effect when the daemon is started again", "key", s.Key, "old", s.Old, "new", s.New)
	}
	return engineSettings(c), what, nil
}

// ready is what systemd shows of a daemon that serves.
const ready = "serving"

// engineSettings are those of the settings that are the engine's.
func engineSettings(c *config.Config) engine.Settings {
	return engine.Settings{
		MaxConcurrent: int(c.MaxConcurrentJobs), ShutdownTimeout: c.ShutdownTimeout, CleanupInterval: c.CleanupInterval,
		Retention: retention(c.Retention), MaxRetained: c.MaxRetainedTerminalJobs, MaxQueueSize: c.MaxQueueSize, TypeLimits: c.TypeLimits,
	}
}

// safelyWritten returns up to which change registry.jsonl is on disk and hooks are told.
func (d *daemon) safelyWritten() uint64 {
	if err := d.jsonl.Sync(); err != nil {
		d.log.Warn("sync registry.jsonl", "error", err)
		return 0
	}
	return min(d.jsonl.Position(), d.hooks.Position(context.Background()))
}

func (d *daemon) serve(ctx context.Context, listener net.Listener) error {
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	handler, stopAccess, err := d.guard(ctx)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer stopAccess() // when nothing is served any more: what was recorded last is written then
	served := make(chan error, 1)
	go func() { served <- handler.Serve(serving, listener, httpGrace) }()
	if err := os.WriteFile(d.c.PIDFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		stop()
		return errors.Join(fmt.Errorf("write the PID file: %w", err), <-served)
	}
	if d.web != nil {
		d.web.handler = handler
		d.web.port.Open(ctx) // what it opens, only Run below closes
	}
	d.log.Info("daemon ready", "version", Version(), "pid", os.Getpid(), "home", d.c.Paths.Home)
	d.notify.Ready(ready)
	d.Ready()
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	beside.Go(func() { d.notify.Watch(serving, d.alive) })
	beside.Go(func() { d.reloadOnHangup(serving) })
	work := make(chan struct{}, 1)
	d.hub.OnCommit(func() {
		select {
		case work <- struct{}{}:
		default: // one token stands for any number
		}
	})
	beside.Go(func() { giveBack(serving, work) })
	if d.web != nil {
		beside.Go(func() { d.web.port.Run(serving) })
	}
	if d.inJournal {
		beside.Go(func() { d.logJobs(serving) })
	}

	select {
	case <-ctx.Done():
		d.log.Info("asked to end: jobs go on running")
		d.notify.Stopping(httpGrace)
		stop()
		err = <-served
	case <-d.engine.Done():
		d.log.Info("shutdown complete")
		stop()
		err = <-served
	case err = <-served:
	}
	if e := os.Remove(d.c.PIDFile); e != nil && !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

// guard puts who may do what before the engine. stop ends what that has running.
func (d *daemon) guard(ctx context.Context) (handler *httpapi.Handler, stop func(), err error) {
	uid := uint32(os.Geteuid())
	roles := auth.Roles(uid, func() []string { return d.now.Load().Operators })
	audit := auth.NewRecorder(d.store, time.Now, d.log)
	gate, err := d.openGate(ctx, roles, audit)
	if err != nil {
		return nil, nil, err
	}
	d.gate.Store(gate)
	service := auth.New(d.engine, auth.Options{UID: uid, GID: uint32(os.Getegid()), RoleOf: roles, Accounts: d.accounts(), Audit: audit})
	o := httpapi.Options{Service: service, Gate: gate, Access: gate, Hooks: auth.NewHooks(service, d.hooks), Version: Version(), Log: d.log, BehindProxy: d.c.Web.BehindProxy, Page: page.Page(), Metrics: d.metrics, Custom: d.app.routes}
	if d.web != nil {
		o.Hosts = d.web.names
	}
	recording, stopRecording := context.WithCancel(context.Background())
	var beside sync.WaitGroup
	beside.Go(func() { audit.Run(recording) })
	beside.Go(func() { gate.Run(recording) })
	return httpapi.New(o), func() { stopRecording(); beside.Wait() }, nil
}

// alive asks the parts that everything goes through, the engine's core and the registry's writer, for
// a sign of life.
func (d *daemon) alive(ctx context.Context) error {
	return d.engine.Alive(ctx)
}

// reloadOnHangup reads the settings again at each SIGHUP until ctx ends.
func (d *daemon) reloadOnHangup(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			_, _ = d.engine.Reload(ctx) // the log tells
		}
	}
}

func retention(r config.Retention) map[job.State]time.Duration {
	ages := map[job.State]time.Duration{}
	for state, age := range map[job.State]time.Duration{
		job.Completed: r.Completed, job.Failed: r.Failed, job.Skipped: r.Failed, job.Stopped: r.Stopped, job.Deleted: r.Deleted,
	} {
		if age > 0 {
			ages[state] = age
		}
	}
	return ages
}

// newRunID returns 128 random bits in hex.
func newRunID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return hex.EncodeToString(b[:])
}
