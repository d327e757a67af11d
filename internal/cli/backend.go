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
	// home's lock, writes c.PIDFile, opens the registry and serves until it was asked to end or
	// ctx has ended; the end of ctx leaves jobs running. It calls ready once, when clients are
	// served. A second daemon on the same home is refused with job.Conflict.
	RunDaemon(ctx context.Context, c *config.Config, log io.Writer, ready func()) error
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
