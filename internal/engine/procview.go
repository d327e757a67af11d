package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/job"
)

// procView keeps proc/<job id>/, the view of live jobs that is read with cat: the files status,
// cmdline and pid, and progress where a job reports it. It follows the registry at its own pace: a job that
// starts and ends in between leaves no trace there. The folders of jobs with parameters are the
// runner's: see hasFolder. Those belong to the jobs' accounts, and nothing here goes into one.
type procView struct {
	dir string
	log *slog.Logger

	mu      sync.Mutex
	pending map[int64]*job.Job
	ready   chan struct{}
}

// newProcView makes <dir>/proc.
func newProcView(dir string, log *slog.Logger) (*procView, error) {
	dir = filepath.Join(dir, "proc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of setting proc_dir: %w", err)
	}
	return &procView{dir: dir, log: log, pending: map[int64]*job.Job{}, ready: make(chan struct{}, 1)}, nil
}

// clear removes what an earlier daemon left, but for the folders of the jobs in keep, and those that belong to
// somebody else: the runner has made them, and takes them away.
func (p *procView) clear(keep map[int64]bool) error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return fmt.Errorf("read the folder of setting proc_dir: %w", err)
	}
	for _, e := range entries {
		id, err := strconv.ParseInt(e.Name(), 10, 64)
		if err != nil || keep[id] {
			continue // not ours
		}
		dir := filepath.Join(p.dir, e.Name())
		if err := ownFolder(dir); err != nil {
			p.log.Warn("a folder of a job that is over is left there", "dir", dir, "why", err)
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("empty the folder of setting proc_dir: %w", err)
		}
	}
	return nil
}

// ownFolder returns an error unless dir is a folder, no link to one, that belongs to this process's user.
func ownFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "view", Path: dir, Err: syscall.ENOTDIR}
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != uint32(os.Geteuid()) {
		return &fs.PathError{Op: "view", Path: dir, Err: fmt.Errorf("it belongs to the user with the number %d", st.Uid)}
	}
	return nil
}

// set shows j as it is now, or takes it away when it is not live.
func (p *procView) set(j *job.Job) {
	if hasFolder(j) {
		return
	}
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
	shown := map[int64]*job.Job{}
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
				err = p.write(dir, j, shown[id])
				shown[id] = j
			case shown[id] != nil:
				err = os.RemoveAll(dir)
				delete(shown, id)
			}
			if err != nil {
				p.log.Warn("write a job's view", "dir", dir, "error", err)
			}
		}
	}
}

// write shows j where before was shown, nil for nothing.
func (p *procView) write(dir string, j, before *job.Job) error {
	if before == nil {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := ownFolder(dir); err != nil {
			return err
		}
	}
	if before == nil || before.RunID != j.RunID || before.PID != j.PID {
		if err := put(dir, "cmdline", strings.Join(j.Command, "\x00")+"\x00"); err != nil {
			return err
		}
		if err := put(dir, "pid", strconv.Itoa(j.PID)+"\n"); err != nil {
			return err
		}
	}
	switch {
	case j.Progress != nil && (before == nil || before.Progress == nil || *before.Progress != *j.Progress):
		if err := put(dir, "progress", strconv.Itoa(*j.Progress)+"\n"); err != nil {
			return err
		}
	case j.Progress == nil && before != nil && before.Progress != nil: // another attempt
		if err := os.Remove(filepath.Join(dir, "progress")); err != nil {
			return err
		}
	}
	return put(dir, "status", statusOf(j))
}

// put puts a file in place by rename, so that a reader never sees half of it.
func put(dir, name, text string) error {
	tmp := filepath.Join(dir, "."+name)
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL | syscall.O_NOFOLLOW
	f, err := os.OpenFile(tmp, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		// It is no file of ours: one that was put in place is gone from here.
		if err = os.Remove(tmp); err == nil {
			f, err = os.OpenFile(tmp, flags, 0o644)
		}
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, name))
}

// view is lines "Key: value".
type view struct{ strings.Builder }

func (v *view) line(key, value string) {
	if value != "" {
		fmt.Fprintf(v, "%s: %s\n", key, strings.ReplaceAll(value, "\n", `\n`))
	}
}

// viewOf returns the lines that stay as they are while an attempt of j runs.
func viewOf(j *job.Job) string {
	var v view
	v.line("Job", strconv.FormatInt(j.ID, 10))
	v.line("Key", j.Key)
	v.line("Name", j.Name)
	v.line("Queue", j.Queue)
	v.line("Type", j.Type)
	v.line("Attempt", strconv.Itoa(j.Attempt))
	v.line("RunId", j.RunID)
	v.line("Owner", j.Owner)
	v.line("Cwd", j.Cwd)
	v.line("Command", strings.Join(j.Command, " "))
	return v.String()
}

// statusOf returns the whole status of a live job.
func statusOf(j *job.Job) string {
	var v view
	v.WriteString(viewOf(j))
	v.line("State", string(j.State))
	v.line("Pid", strconv.Itoa(j.PID))
	if j.Progress != nil {
		v.line("Progress", strconv.Itoa(*j.Progress))
	}
	v.line("StatusText", j.StatusText)
	if !j.StartedAt.IsZero() {
		v.line("StartedAt", j.StartedAt.UTC().Format(time.RFC3339Nano))
	}
	return v.String()
}
