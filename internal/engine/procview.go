package engine

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// procView keeps proc/<job id>/status, the view of live jobs that is read with cat. It follows the
// registry at its own pace: a job that starts and ends in between leaves no trace there.
type procView struct {
	dir string
	log *slog.Logger

	mu      sync.Mutex
	pending map[int64]*job.Job
	ready   chan struct{}
}

// newProcView empties <dir>/proc of what an earlier daemon left.
func newProcView(dir string, log *slog.Logger) (*procView, error) {
	dir = filepath.Join(dir, "proc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of setting proc_dir: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the folder of setting proc_dir: %w", err)
	}
	for _, e := range entries {
		if _, err := strconv.ParseInt(e.Name(), 10, 64); err != nil {
			continue // not ours
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("empty the folder of setting proc_dir: %w", err)
		}
	}
	return &procView{dir: dir, log: log, pending: map[int64]*job.Job{}, ready: make(chan struct{}, 1)}, nil
}

// set shows j as it is now, or takes it away when it is not live.
func (p *procView) set(j *job.Job) {
	p.mu.Lock()
	p.pending[j.ID] = j
	p.mu.Unlock()
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

// viewDelay is how long the view may be behind: what starts and ends within it costs nothing.
const viewDelay = 50 * time.Millisecond

// run writes what is set until ctx ends.
func (p *procView) run(ctx context.Context) {
	shown := map[int64]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.ready:
		}
		select { // let short jobs pass
		case <-ctx.Done():
			return
		case <-time.After(viewDelay):
		}
		p.mu.Lock()
		pending := p.pending
		p.pending = map[int64]*job.Job{}
		p.mu.Unlock()
		for id, j := range pending {
			dir := filepath.Join(p.dir, strconv.FormatInt(id, 10))
			var err error
			switch {
			case j.State.Live() && j.State != job.Starting:
				err = p.write(dir, j)
				shown[id] = true
			case shown[id]:
				err = os.RemoveAll(dir)
				delete(shown, id)
			}
			if err != nil {
				p.log.Warn("write a job's view", "dir", dir, "error", err)
			}
		}
	}
}

func (p *procView) write(dir string, j *job.Job) error {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", key, strings.ReplaceAll(value, "\n", `\n`))
		}
	}
	line("Job", strconv.FormatInt(j.ID, 10))
	line("Key", j.Key)
	line("Name", j.Name)
	line("Queue", j.Queue)
	line("Type", j.Type)
	line("State", string(j.State))
	line("Pid", strconv.Itoa(j.PID))
	line("Attempt", strconv.Itoa(j.Attempt))
	line("RunId", j.RunID)
	line("Owner", j.Owner)
	line("Cwd", j.Cwd)
	line("Command", strings.Join(j.Command, " "))
	if !j.StartedAt.IsZero() {
		line("StartedAt", j.StartedAt.UTC().Format(time.RFC3339Nano))
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	// Put in place by rename, so that a reader never sees half of it.
	tmp := filepath.Join(dir, ".status")
	if err := os.WriteFile(tmp, []byte(b.String()), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "status"))
}
