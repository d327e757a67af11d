// Package enginetest makes engines for tests: real registry, real runner process, real jobs.
package enginetest

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/queuemgr/queuemgr/internal/engine"
	"github.com/queuemgr/queuemgr/internal/runner"
	"github.com/queuemgr/queuemgr/internal/runner/launch"
	"github.com/queuemgr/queuemgr/internal/servicetest"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// Main is what a package's TestMain calls: the test binary is also the runner that its engines
// start, and no goroutine may be left at the end.
func Main(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "_runner" {
		os.Exit(runner.Main(os.Args[2:]))
	}
	// One goroutine waits for each runner that was started; it ends with that runner.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/queuemgr/queuemgr/internal/runner/launch.(*Starter).start.func1"))
}

// Fixture is an engine and its home.
type Fixture struct {
	*engine.Engine
	Store *sqlite.Store
	Dir   string

	t   testing.TB
	mod func(*engine.Options)
}

// Start starts an engine in a folder of its own. mod may change its options; nil leaves them. When
// the test ends, every job is killed and the runner ended.
func Start(t testing.TB, mod func(*engine.Options)) *Fixture {
	t.Helper()
	f := &Fixture{Dir: t.TempDir(), t: t, mod: mod}
	f.open()
	t.Cleanup(f.end)
	return f
}

func (f *Fixture) open() {
	f.t.Helper()
	log := slog.New(slog.NewTextHandler(f.t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	hub := engine.NewHub()
	var err error
	ctx := context.Background()
	f.Store, err = sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(f.Dir, "registry.db"), OnCommit: hub.Publish, Log: log})
	if err != nil {
		f.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	starter := &launch.Starter{Program: self, Args: []string{"_runner"}, Log: slog.New(slog.DiscardHandler),
		Socket: filepath.Join(f.Dir, "r.sock"), Journal: filepath.Join(f.Dir, "runner.journal"),
		Lock: filepath.Join(f.Dir, "runner.lock"), LogFile: filepath.Join(f.Dir, "runner.log")}
	o := engine.Options{Store: f.Store, Hub: hub, Dial: starter.Dial, Now: time.Now, NewRunID: rand.Text, Log: log,
		Node: "test", Version: "test", Home: f.Dir, LogDir: filepath.Join(f.Dir, "log"), ProcDir: f.Dir, Types: servicetest.Types{},
		Settings: engine.Settings{MaxConcurrent: 8, ShutdownTimeout: 5 * time.Second, CleanupInterval: time.Hour}}
	o.ReadSettings = func() (engine.Settings, job.Reloaded, error) { // nothing ever changes
		return o.Settings, job.Reloaded{Changed: []job.SettingChange{}, Restart: []job.SettingChange{}}, nil
	}
	if f.mod != nil {
		f.mod(&o)
	}
	if f.Engine, err = engine.Start(ctx, o); err != nil {
		f.t.Fatal(err)
	}
}

// Restart ends the engine as a crash would leave it, jobs running, and starts another.
func (f *Fixture) Restart() {
	f.t.Helper()
	f.Close()
	if err := f.Store.Close(); err != nil {
		f.t.Fatal(err)
	}
	f.open()
}

func (f *Fixture) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := f.Shutdown(ctx, false); err != nil && job.CodeOf(err) != job.Unavailable {
		f.t.Error(err)
	}
	select {
	case <-f.Done():
	case <-ctx.Done():
		f.t.Error("the engine did not end")
	}
	f.Close()
	if err := errors.Join(f.Store.Close()); err != nil {
		f.t.Error(err)
	}
}
