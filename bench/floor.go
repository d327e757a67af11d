package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
	"golang.org/x/sys/unix"
)

// What an addition cannot do without, each alone, in the same rounds: how much of an addition's time
// is the disk's, SQLite's and HTTP's.

// pagesOfAdd is about how much one addition writes to the registry's log: ten pages.
const pagesOfAdd = 10 * 4096

// measureFloor measures the parts of an addition by themselves.
func measureFloor(ctx context.Context, b *bench) error {
	if err := measureSync(b); err != nil {
		return fmt.Errorf("fdatasync: %w", err)
	}
	if err := measureRegistry(ctx, b); err != nil {
		return fmt.Errorf("the registry alone: %w", err)
	}
	return measureHTTP(ctx, b)
}

// measureSync overwrites parts of a file, each waited for with fdatasync(2).
func measureSync(b *bench) (err error) {
	f, err := os.Create(filepath.Join(b.dir, "synced"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	const length = 16 << 20
	if _, err := f.Write(make([]byte, length)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	part := bytes.Repeat([]byte{1}, pagesOfAdd)
	n := b.size.adds / 5
	begin := time.Now()
	for i := range n {
		if _, err := f.WriteAt(part, int64(i%(length/pagesOfAdd))*pagesOfAdd); err != nil {
			return err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return err
		}
	}
	b.addRate(syncFloor, n, time.Since(begin))
	return nil
}

// measureRegistry adds jobs to a registry in this process: SQLite and the store around it.
func measureRegistry(ctx context.Context, b *bench) (err error) {
	dir, err := os.MkdirTemp(b.dir, "registry")
	if err != nil {
		return err
	}
	s, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "registry.db"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	env := environment()
	for _, load := range []struct {
		name       string
		callers, n int
	}{{registry1, 1, b.size.adds / 5}, {registry50, 50, b.size.adds * 2}} {
		took, err := together(load.callers, load.n, func() error {
			now := time.Now().UTC()
			j := &job.Job{Queue: job.DefaultQueue, Type: job.TypeCommand, State: job.Queued, Command: []string{program}, Cwd: "/",
				Owner: "root", MaxAttempts: 1, CreatedAt: now, QueuedAt: now, Grace: job.Duration(10 * time.Second)}
			_, err := s.AddJobs(ctx, store.AddJobs{At: now, Jobs: []store.NewJob{{Job: j, Env: env}}})
			return err
		})
		if err != nil {
			return err
		}
		b.addRate(load.name, load.n, took)
	}
	return nil
}

// together does something n times by so many goroutines and returns how long it took.
func together(callers, n int, do func() error) (time.Duration, error) {
	errs := make([]error, callers)
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range callers {
		wg.Go(func() {
			for k := i; k < n && errs[i] == nil; k += callers {
				errs[i] = do()
			}
		})
	}
	wg.Wait()
	return time.Since(begin), errors.Join(errs...)
}

// measureHTTP posts the same jobs to a server that does nothing with them.
func measureHTTP(ctx context.Context, b *bench) (err error) {
	dir, err := os.MkdirTemp(b.dir, "http")
	if err != nil {
		return err
	}
	socket := filepath.Join(dir, "sock")
	self, err := os.Executable()
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(serving, self, "-bare-server", socket)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		stop()
		return err
	}
	defer func() {
		stop()
		_ = cmd.Wait() // killed: that is its end
	}()
	nc, err := dialWhenThere(ctx, socket)
	if err != nil {
		return err
	}
	if err := nc.Close(); err != nil {
		return err
	}
	for _, load := range []struct {
		name       string
		clients, n int
	}{{http1, 1, b.size.adds / 5}, {http50, 50, b.size.adds * 2}} {
		took, err := addBy(ctx, socket, load.clients, load.n)
		if err != nil {
			return fmt.Errorf("HTTP alone, %d clients: %w", load.clients, err)
		}
		b.addRate(load.name, load.n, took)
	}
	return nil
}

// serveBare answers every post on a socket as an addition is answered, and adds nothing.
func serveBare(socket string) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	if err != nil {
		return err
	}
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var s job.Spec
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		now := time.Now().UTC()
		j := job.Job{ID: 1, Queue: s.Queue, Type: job.TypeCommand, State: job.Queued, Command: s.Command, Cwd: s.Cwd, Owner: "root", CreatedAt: now, QueuedAt: now}
		_ = json.NewEncoder(w).Encode(&j) // a client that has gone away needs no answer
	})}
	return srv.Serve(l)
}
