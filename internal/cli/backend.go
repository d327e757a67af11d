package cli

import (
	"context"
	"io"

	"github.com/queuemgr/queuemgr/internal/config"
)

// Backend is what commands need of the daemon's packages, which a client command must not pay for
// and this package does not import. The root package implements it.
type Backend interface {
	// RunDaemon is the daemon in the foreground: it makes the home's folders (0700), takes the
	// home's lock, writes the PID file, opens the registry and serves until it was asked to end or
	// ctx has ended; the end of ctx leaves jobs running. A second daemon on the same home is refused
	// with job.Conflict.
	RunDaemon(ctx context.Context, d Daemon) error
	// RunRunner is the hidden command `queuemgr _runner`: args are those behind it. It returns
	// the exit code.
	RunRunner(args []string) int
	// ExportRegistry writes every job and queue as JSON lines, with or without a daemon.
	ExportRegistry(ctx context.Context, c *config.Config, w io.Writer) error
	// ImportRegistry reads what ExportRegistry or the Python service wrote. No daemon may run:
	// job.WrongState.
	ImportRegistry(ctx context.Context, c *config.Config, r io.Reader) (ImportSummary, error)
	// CheckRegistry returns what is wrong with the registry, in words; nothing when it is sound.
	CheckRegistry(ctx context.Context, c *config.Config) ([]string, error)
	// GlanceRegistry returns the version of the schema of the registry in file, and the one that this
	// program knows. It disturbs nobody.
	GlanceRegistry(ctx context.Context, file string) (schema, knows int64, err error)
	// BackupRegistry writes a checked copy of the registry as it is at one moment to file, with or
	// without a daemon. A file that is there is replaced only when replace says so: job.Conflict.
	BackupRegistry(ctx context.Context, c *config.Config, file string, replace bool) (BackupSummary, error)
	// RestoreRegistry puts a backup in the registry's place. No daemon may run: job.Conflict. Live
	// jobs that the backup knows nothing of are refused unless force says so: job.WrongState.
	RestoreRegistry(ctx context.Context, c *config.Config, file string, force bool) (RestoreSummary, error)
}

// BackupSummary says what a backup holds.
type BackupSummary struct {
	File   string `json:"file"`
	Jobs   int64  `json:"jobs"` // without deleted ones
	Bytes  int64  `json:"bytes"`
	NextID int64  `json:"next_id"` // number of the next job
}

// RestoreSummary says what a restore did.
type RestoreSummary struct {
	Jobs      int64    `json:"jobs"`                 // on record, without deleted ones
	Held      int64    `json:"held"`                 // of Jobs: waiting ones, now held
	HeldJobs  string   `json:"held_jobs,omitempty"`  // those, as a selector
	Live      int64    `json:"live"`                 // of Jobs: live ones, about which the daemon's start decides
	NextID    int64    `json:"next_id"`              // number of the next job
	OldSchema int64    `json:"old_schema,omitempty"` // of the backup, where it was brought up to date
	Replaced  string   `json:"replaced,omitempty"`   // where the registry before is kept
	Warnings  []string `json:"warnings,omitempty"`
}

// Daemon is what a daemon is started with.
type Daemon struct {
	Config  *config.Config
	Reload  func() (*config.Config, error) // reads the settings again, from where they came
	Log     DaemonLog
	Console io.Writer // standard error of a daemon in the foreground, nil in the background
	Ready   func()    // called once, when clients are served
}

// DaemonLog is daemon.log.
type DaemonLog interface {
	io.Writer
	// Reopen goes on in the file of that name, after it was rotated away.
	Reopen() error
}

// ImportSummary says what an import did. Its fields are those of jsonl.Summary.
type ImportSummary struct {
	Jobs      int      `json:"jobs"`               // records written
	Unchanged int      `json:"unchanged"`          // records that were there already, the same
	Queues    int      `json:"queues"`             // queues made or changed
	Held      int      `json:"held"`               // of Jobs: waiting ones, now held
	Legacy    int      `json:"legacy"`             // of Jobs: those of the Python service
	Unread    int      `json:"unread,omitempty"`   // torn lines at the end that were left out
	Warnings  []string `json:"warnings,omitempty"` // what was odd, with its line
}
