package jsonl

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// snapshotKind is the kind of the line that a file begins with.
const snapshotKind job.ChangeKind = "snapshot"

// header is the first line of a file. The lines after it, with the same seq, are what was on
// record; then come the changes after seq.
type header struct {
	Seq        uint64         `json:"seq"`
	At         time.Time      `json:"at"`
	Kind       job.ChangeKind `json:"change"`
	RegistryID string         `json:"registry_id"`
	NextID     int64          `json:"next_id"` // number of the next job
	Bytes      int64          `json:"bytes"`   // about how large the snapshot is, which rotation goes by
}

// recordLine is a job as a snapshot has it.
type recordLine struct {
	Seq  uint64         `json:"seq"`
	At   time.Time      `json:"at"`
	Kind job.ChangeKind `json:"change"`
	store.Record
	Attempts []job.Attempt `json:"attempts,omitempty"` // the archived ones
}

// Export writes a registry that may be in use: a snapshot, and the changes that came while it was
// written, so that importing it gives the registry as it was when the last change was read.
func Export(ctx context.Context, r Registry, w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	seq := r.Seq()
	if err := writeSnapshot(ctx, r, out, seq, time.Now()); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	for n := batch; n == batch; { // fewer are the last ones
		changes, err := r.Changes(ctx, seq, batch)
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		for i := range changes {
			if err := writeLine(out, changes[i].JSON); err != nil {
				return fmt.Errorf("export: %w", err)
			}
			seq = changes[i].Seq
		}
		n = len(changes)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// writeSnapshot writes all queues and jobs as they are, or were since seq was the last change:
// together with the changes after seq they are right.
func writeSnapshot(ctx context.Context, r Registry, w io.Writer, seq uint64, now time.Time) error {
	at := now.UTC().Truncate(time.Microsecond)
	body := bufio.NewWriterSize(w, 1<<16)
	enc := json.NewEncoder(body)
	if err := writeHeader(body, r, seq, now); err != nil {
		return err
	}
	queues, err := r.Queues(ctx)
	if err != nil {
		return err
	}
	for i := range queues {
		c, err := job.NewQueueChange(seq, at, job.QueueSet, &queues[i])
		if err != nil {
			return err
		}
		if err := writeLine(body, c.JSON); err != nil {
			return err
		}
	}
	f := job.Filter{States: job.States, Oldest: true, Limit: job.MaxLimit}
	for {
		page, err := r.ListJobs(ctx, f)
		if err != nil {
			return err
		}
		for _, j := range page.Jobs {
			line := recordLine{Seq: seq, At: at, Kind: job.JobAdded, Record: store.NewRecord(j)}
			// The first attempt is archived when the second one is asked for, which then waits to begin.
			if j.Attempt > 1 || j.Attempt == 1 && j.StartedAt.IsZero() {
				if line.Attempts, err = r.Attempts(ctx, j.ID); err != nil {
					return err
				}
			}
			if err := enc.Encode(line); err != nil {
				return fmt.Errorf("job %d: %w", j.ID, err)
			}
		}
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			return body.Flush()
		}
	}
}

// writeHeader writes the first line of a file.
func writeHeader(w io.Writer, r Registry, seq uint64, now time.Time) error {
	h := header{Seq: seq, At: now.UTC().Truncate(time.Microsecond), Kind: snapshotKind, RegistryID: r.RegistryID(), NextID: r.NextID()}
	for _, byState := range r.Counts().ByQueue {
		for _, n := range byState {
			h.Bytes += n * recordBytes
		}
	}
	return json.NewEncoder(w).Encode(h)
}

// recordBytes is about the length of a job's line.
const recordBytes = 400

func writeLine(w *bufio.Writer, line []byte) error {
	if _, err := w.Write(line); err != nil {
		return err
	}
	return w.WriteByte('\n')
}
