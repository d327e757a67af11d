package queuemgr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"time"

	"github.com/queuemgr/queuemgr/internal/cli"
	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/runner"
	"github.com/queuemgr/queuemgr/internal/store/jsonl"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
)

// backend gives the commands what needs the daemon's packages.
type backend struct{}

var _ cli.Backend = backend{}

// RunDaemon implements cli.Backend.
func (backend) RunDaemon(ctx context.Context, c *config.Config, log io.Writer, ready func()) error {
	return runDaemon(ctx, c, log, ready)
}

// RunRunner implements cli.Backend.
func (backend) RunRunner(args []string) int { return runner.Main(args) }

// ExportRegistry implements cli.Backend.
func (backend) ExportRegistry(ctx context.Context, c *config.Config, w io.Writer) (err error) {
	s, err := sqlite.Open(ctx, sqlite.Options{Path: c.Paths.Database(), ReadOnly: true, Log: quiet})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return jsonl.Export(ctx, s, w)
}

// CheckRegistry implements cli.Backend.
func (backend) CheckRegistry(ctx context.Context, c *config.Config) (problems []string, err error) {
	s, err := sqlite.Open(ctx, sqlite.Options{Path: c.Paths.Database(), ReadOnly: true, Log: quiet})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Check(ctx)
}

// ImportRegistry implements cli.Backend.
func (backend) ImportRegistry(ctx context.Context, c *config.Config, r io.Reader) (summary cli.ImportSummary, err error) {
	if err := makeFolders(c); err != nil {
		return summary, err
	}
	lock, err := lockHome(c.Paths.RegistryLock())
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, lock.unlock()) }()
	s, err := sqlite.Open(ctx, sqlite.Options{Path: c.Paths.Database(), MinFree: c.MinFreeSpace, Log: quiet})
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	who, err := user.Current()
	if err != nil {
		return summary, fmt.Errorf("find out who imports: %w", err)
	}
	done, err := jsonl.Import(ctx, s, r, jsonl.ImportOptions{Now: time.Now, Owner: who.Username,
		UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())})
	return cli.ImportSummary(done), err
}

// quiet is the log of commands: what matters they return as errors.
var quiet = slog.New(slog.DiscardHandler)
