package queuemgr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/internal/cli"
	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/internal/runner"
	"github.com/queuemgr/queuemgr/internal/store/jsonl"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// backend gives the commands what needs the daemon's packages.
type backend struct{ app *App }

var _ cli.Backend = backend{}

// RunDaemon implements cli.Backend.
func (b backend) RunDaemon(ctx context.Context, d cli.Daemon) error { return runDaemon(ctx, b.app, d) }

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

// GlanceRegistry implements cli.Backend.
func (backend) GlanceRegistry(ctx context.Context, file string) (schema, knows int64, err error) {
	return sqlite.Glance(ctx, file)
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
		return summary, errors.Join(err, giveRegistryToOwner(c.Paths))
	}
	defer func() { err = errors.Join(err, s.Close(), giveRegistryToOwner(c.Paths)) }()
	who, err := user.Current()
	if err != nil {
		return summary, fmt.Errorf("find out who imports: %w", err)
	}
	done, err := jsonl.Import(ctx, s, r, jsonl.ImportOptions{Now: time.Now, Owner: who.Username,
		UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())})
	return cli.ImportSummary(done), err
}

// BackupRegistry implements cli.Backend.
func (backend) BackupRegistry(ctx context.Context, c *config.Config, file string, replace bool) (cli.BackupSummary, error) {
	done, err := sqlite.Backup(ctx, sqlite.BackupOptions{Path: c.Paths.Database(), File: file, Replace: replace,
		Spare: []string{c.RegistryPath, c.Paths.RegistryLock(), c.Paths.RunnerJournal(), c.Paths.Config, c.Paths.DaemonLog(), c.Paths.RunnerLog()}})
	return cli.BackupSummary{File: file, Jobs: done.Jobs, Bytes: done.Bytes, NextID: done.NextID}, err
}

// RestoreRegistry implements cli.Backend.
func (backend) RestoreRegistry(ctx context.Context, c *config.Config, file string, force bool) (summary cli.RestoreSummary, err error) {
	if err := makeFolders(c); err != nil {
		return summary, err
	}
	lock, err := lockHome(c.Paths.RegistryLock())
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, giveRegistryToOwner(c.Paths), lock.unlock()) }()
	done, err := sqlite.Restore(ctx, sqlite.RestoreOptions{Path: c.Paths.Database(), File: file, Orphan: force, Now: time.Now().UTC(), Log: quiet,
		Journal: func() (sqlite.Numbers, error) { return journalNumbers(c.RegistryPath) }})
	if err != nil {
		return summary, err
	}
	summary = cli.RestoreSummary{Jobs: done.Jobs, Held: done.HeldJobs, HeldJobs: selector(done.Held), Live: done.Live,
		NextID: done.NextID, OldSchema: done.OldSchema, Replaced: done.Replaced}
	if done.Tokens > 0 {
		summary.Warnings = append(summary.Warnings, fmt.Sprintf("tokens and logins are not restored, for one that was revoked since would hold again: the backup has %d tokens; make new ones: queuemgr token add", done.Tokens))
	}
	if done.Unread != "" {
		summary.Warnings = append(summary.Warnings, "the registry before could not be read: "+done.Unread)
	}
	if done.Unknown != "" {
		summary.Warnings = append(summary.Warnings, "numbers of jobs that were added after the backup may be given out again: "+done.Unknown)
	}
	return summary, nil
}

// selector returns job numbers as commands take them: 3,5-8.
func selector(ranges []job.Range) string {
	var parts []string
	for _, r := range ranges {
		if r.From == r.To {
			parts = append(parts, strconv.FormatInt(r.From, 10))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", r.From, r.To))
		}
	}
	return strings.Join(parts, ",")
}

// journalNumbers returns the numbers that a registry.jsonl shows to have been given out, none where
// there is no such file.
func journalNumbers(path string) (n sqlite.Numbers, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return n, nil
	}
	if err != nil {
		return n, err
	}
	defer f.Close()
	_, err = jsonl.Read(f, func(c job.Change) error {
		n.Seq, n.NextID = max(n.Seq, c.Seq), max(n.NextID, c.JobID+1)
		var header struct {
			NextID int64 `json:"next_id"`
		}
		if c.JobID == 0 && json.Unmarshal(c.JSON, &header) == nil {
			n.NextID = max(n.NextID, header.NextID)
		}
		return nil
	})
	if err != nil {
		return sqlite.Numbers{}, fmt.Errorf("read %s: %w", path, err)
	}
	return n, nil
}

// quiet is the log of commands: what matters they return as errors.
var quiet = slog.New(slog.DiscardHandler)
