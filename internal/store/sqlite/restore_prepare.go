package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	lib "modernc.org/sqlite/lib"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// prepare makes of the backup a registry that may take the present one's place.
func (r *restore) prepare(ctx context.Context) error {
	if err := r.copyIn(); err != nil {
		return err
	}
	if err := r.checkPages(ctx); err != nil {
		return err
	}
	if err := r.ready(ctx); err != nil {
		return err
	}
	if err := r.renumber(ctx); err != nil {
		return err
	}
	return syncFile(r.made)
}

// checkPages refuses a copy with damage or of a newer schema.
func (r *restore) checkPages(ctx context.Context) error {
	problems, err := integrity(ctx, r.made)
	if err != nil && resultCode(err) != lib.SQLITE_CORRUPT && resultCode(err) != lib.SQLITE_NOTADB {
		return fmt.Errorf("check the backup %s: %w", r.o.File, err)
	}
	if err != nil || len(problems) > 0 {
		return badBackup(r.o.File, errors.Join(err, errors.New(strings.Join(problems, "; "))))
	}
	has, err := schemaOf(ctx, r.made)
	if err != nil {
		return badBackup(r.o.File, err)
	}
	newest, err := newestSchema(r.o.migrations)
	if err != nil {
		return err
	}
	if has > newest {
		return newerSchema(r.o.File, has, newest)
	}
	if has < newest {
		r.done.OldSchema = has
	}
	return nil
}

// ready brings the copy up to date, checks what is on record and holds what waits.
func (r *restore) ready(ctx context.Context) (err error) {
	s, err := Open(ctx, Options{Path: r.made, Log: r.o.Log, migrations: r.o.migrations, keepsNoOld: true})
	if err != nil {
		return fmt.Errorf("open the backup %s: %w", r.o.File, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	problems, err := s.findProblems(ctx, checks)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return badBackup(r.o.File, errors.New(strings.Join(problems[:min(3, len(problems))], "; ")))
	}
	live, err := s.LiveJobs(ctx)
	if err != nil {
		return err
	}
	known := map[int64]string{}
	for _, j := range live {
		known[j.ID] = j.RunID
	}
	r.done.Live = int64(len(live))
	if ids := r.orphans(known); len(ids) > 0 && !r.o.Orphan {
		return orphaned(ids)
	}
	for _, byState := range s.Counts().ByQueue {
		for state, n := range byState {
			if state != job.Deleted {
				r.done.Jobs += n
			}
		}
	}
	return r.hold(ctx, s)
}

// orphans returns the jobs that are live by the present registry and whose runs the backup does not
// know: their processes would run on with no record.
func (r *restore) orphans(known map[int64]string) (ids []int64) {
	for _, id := range slices.Sorted(maps.Keys(r.before.live)) {
		if run, ok := known[id]; !ok || run != r.before.live[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

func orphaned(ids []int64) error {
	what := fmt.Sprintf("%d jobs are", len(ids))
	if len(ids) == 1 {
		what = "a job is"
	}
	return &job.Error{Code: job.WrongState, JobID: ids[0],
		Message: fmt.Sprintf("%s live, job %d first, in a run that the backup knows nothing of: its process would go on with no record; nothing was changed", what, ids[0]),
		Hint:    "start the daemon and end it with queuemgr daemon stop, which ends its jobs; or restore all the same: --force"}
}

// holdAtOnce is how many jobs are held in one transaction.
const holdAtOnce = 1000

// hold holds each job that waits: it may have run since the backup was made, and whether it may run
// again only its owner knows.
func (r *restore) hold(ctx context.Context, s *Store) error {
	for {
		jobs, err := queryJobs(ctx, s.lists, "SELECT "+jobColumns+" FROM jobs WHERE state IN ('scheduled', 'blocked', 'queued') ORDER BY id LIMIT ?", holdAtOnce)
		if err != nil {
			return s.explain(fmt.Errorf("read the jobs that wait: %w", err))
		}
		if len(jobs) == 0 {
			slices.SortFunc(r.done.Held, func(a, b job.Range) int { return int(a.From - b.From) })
			return nil
		}
		c := store.Commit{At: r.o.Now}
		for _, j := range jobs {
			c.Updates = append(c.Updates, store.Update{Job: j, From: j.State})
			j.State, j.QueuedAt, j.Head, j.WaitReason = job.Held, time.Time{}, 0, ""
			r.done.HeldJobs++
			if n := len(r.done.Held); n > 0 && r.done.Held[n-1].To == j.ID-1 {
				r.done.Held[n-1].To = j.ID
			} else {
				r.done.Held = append(r.done.Held, job.Range{From: j.ID, To: j.ID})
			}
		}
		done, err := s.Commit(ctx, c)
		if err != nil {
			return fmt.Errorf("hold the jobs that waited: %w", err)
		}
		if len(done.Conflicts) > 0 {
			return fmt.Errorf("hold the jobs that waited: job %d can't be changed", done.Conflicts[0])
		}
	}
}

// renumber gives the copy an identity of its own and numbers above all that were given out. The
// changes so far are forgotten: who follows them has others under the same numbers, and begins anew. Tokens and logins are forgotten, too.
func (r *restore) renumber(ctx context.Context) (err error) {
	given, epoch, err := r.given()
	if err != nil {
		return err
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	db, err := openDB(r.made, "mode=rw&_pragma=busy_timeout(5000)&_pragma=synchronous(FULL)&_pragma=temp_store(2)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE registry_row SET registry_id = ?, next_job = max((SELECT next_job FROM registry), ?),
		last_seq = max((SELECT last_seq FROM registry), ?) + 1, epoch = max(epoch, ?)`,
		hex.EncodeToString(id[:]), given.NextID, int64(given.Seq), int64(epoch))
	if err == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM changes")
	}
	// What was on its way to hooks may have arrived since. Who wants it sent again can say so.
	for _, text := range []string{"INSERT OR REPLACE INTO hook_cursor (id, seq, since) SELECT 1, last_seq, '{}' FROM registry",
		"UPDATE hook_deliveries SET state = 'given_up', due = NULL, run_id = '', last_error = 'the registry was restored from a backup', ended_at = created_at WHERE ended_at IS NULL"} {
		if err == nil {
			_, err = tx.ExecContext(ctx, text)
		}
	}
	// A token that was revoked since must not come back, and which ones were cannot always be told.
	if err == nil {
		err = tx.QueryRowContext(ctx, "SELECT count(*) FROM tokens").Scan(&r.done.Tokens)
	}
	for _, text := range []string{"DELETE FROM tokens", "DELETE FROM sessions"} {
		if err == nil {
			_, err = tx.ExecContext(ctx, text)
		}
	}
	if err == nil {
		err = tx.QueryRowContext(ctx, "SELECT next_job FROM registry").Scan(&r.done.NextID)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("number the backup anew: %w", err), tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("number the backup anew: %w", err)
	}
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode); err != nil || mode != "delete" {
		return fmt.Errorf("close the copy of the backup: its journal mode is %q: %w", mode, err)
	}
	return nil
}

// given returns the numbers and the epoch that were given out since the backup, as far as anything
// on this machine knows.
func (r *restore) given() (Numbers, uint64, error) {
	if r.before.exists && r.before.unread == nil {
		return r.before.Numbers, r.before.epoch, nil
	}
	lost := r.before.unread != nil
	if lost {
		r.done.Unread = r.before.unread.Error()
	}
	if r.o.Journal == nil {
		return Numbers{}, 0, nil
	}
	n, err := r.o.Journal()
	switch {
	case err != nil:
		r.done.Unknown = err.Error()
	case lost && n == Numbers{}:
		r.done.Unknown = "there is no registry.jsonl"
	}
	return n, 0, nil
}

// giveToOwner lets a new file belong to whom its folder does, where we may decide that: root may
// restore a registry that another user's daemon opens.
func giveToOwner(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("read whom the folder %s belongs to: %w", dir, err)
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}
