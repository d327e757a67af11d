package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/queuemgr/queuemgr/job"
)

// Job implements store.Jobs.
func (s *Store) Job(ctx context.Context, id int64) (*job.Job, error) {
	j, err := scanJob(s.reads.QueryRowContext(ctx, "SELECT "+jobColumns+" FROM jobs WHERE id = ?", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &job.Error{Code: job.NotFound, Message: fmt.Sprintf("there is no job %d", id),
			Hint: "queuemgr job list shows the jobs on record", JobID: id}
	}
	if err != nil {
		return nil, s.explain(fmt.Errorf("read job %d: %w", id, err))
	}
	return j, nil
}

// JobByKey implements store.Jobs.
func (s *Store) JobByKey(ctx context.Context, key string) (*job.Job, error) {
	j, err := scanJob(s.reads.QueryRowContext(ctx, "SELECT "+jobColumns+" FROM jobs WHERE key = ?", key).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &job.Error{Code: job.NotFound, Message: fmt.Sprintf("there is no job with the key %q", key),
			Hint: "queuemgr job list shows the jobs on record", Field: "key"}
	}
	if err != nil {
		return nil, s.explain(fmt.Errorf("read the job with the key %q: %w", key, err))
	}
	return j, nil
}

// Candidates implements store.Jobs.
func (s *Store) Candidates(ctx context.Context, queue string, n int) ([]*job.Job, error) {
	jobs, err := queryJobs(ctx, s.reads, "SELECT "+jobColumns+` FROM jobs WHERE queue = ? AND state = 'queued'
		ORDER BY head DESC, priority DESC, id LIMIT ?`, queue, n)
	if err != nil {
		return nil, s.explain(fmt.Errorf("read the first jobs of queue %s: %w", queue, err))
	}
	return jobs, nil
}

// LiveJobs implements store.Jobs.
func (s *Store) LiveJobs(ctx context.Context) ([]*job.Job, error) {
	jobs, err := queryJobs(ctx, s.reads, "SELECT "+jobColumns+" FROM jobs WHERE state IN ('starting', 'running', 'paused', 'stopping') ORDER BY id")
	if err != nil {
		return nil, s.explain(fmt.Errorf("read the live jobs: %w", err))
	}
	return jobs, nil
}

// OnRecord implements store.Jobs.
func (s *Store) OnRecord(ctx context.Context, from, to int64) (ids []int64, err error) {
	defer func() {
		if err != nil {
			err = s.explain(fmt.Errorf("read which of the jobs %d to %d are on record: %w", from, to, err))
		}
	}()
	rows, err := s.lists.QueryContext(ctx, "SELECT id FROM jobs WHERE id BETWEEN ? AND ? ORDER BY id", from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// queryJobs runs a query for jobColumns.
func queryJobs(ctx context.Context, db *sql.DB, query string, args ...any) (jobs []*job.Job, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		j, err := scanJob(rows.Scan)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, rows.Err()
}

// Attempts implements store.Jobs.
func (s *Store) Attempts(ctx context.Context, id int64) (attempts []job.Attempt, err error) {
	defer func() {
		if err != nil {
			err = s.explain(fmt.Errorf("read the attempts of job %d: %w", id, err))
		}
	}()
	rows, err := s.lists.QueryContext(ctx, "SELECT doc FROM attempts WHERE job_id = ? ORDER BY attempt", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var doc []byte
		if err := rows.Scan(&doc); err != nil {
			return nil, err
		}
		var a job.Attempt
		if err := json.Unmarshal(doc, &a); err != nil {
			return nil, err
		}
		attempts = append(attempts, a)
	}
	return attempts, rows.Err()
}
