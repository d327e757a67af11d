package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// checks are queries that find nothing in a sound registry; each row is what is wrong, in words.
var checks = []string{
	`SELECT 'job ' || id || ' is in the unknown state ' || state FROM jobs WHERE state NOT IN
		('held', 'scheduled', 'blocked', 'queued', 'starting', 'running', 'paused', 'stopping', 'completed', 'failed', 'stopped', 'skipped', 'deleted')`,
	`SELECT 'job ' || id || ' is ' || state || ' in the queue ' || queue || ', which does not exist' FROM jobs
		WHERE ended_at IS NULL AND queue NOT IN (SELECT name FROM queues)`,
	`SELECT 'job ' || id || ' is ' || state || iif(ended_at IS NULL, ' and has no time of its end', ' and has a time of its end') FROM jobs
		WHERE (ended_at IS NOT NULL) <> (state IN ('completed', 'failed', 'stopped', 'skipped', 'deleted'))`,
	`SELECT 'job ' || id || ' is ' || state || ' but its record says ' || (doc ->> '$.state') FROM jobs WHERE doc ->> '$.state' IS NOT state`,
	`SELECT 'the counter of ' || state || ' jobs of type ' || type || ' in queue ' || queue || ' is ' || sum(counted) || ', there are ' || sum(there) FROM
		(SELECT queue, type, state, n AS counted, 0 AS there FROM counters UNION ALL
		 SELECT queue, type, state, 0, count(*) FROM jobs GROUP BY queue, type, state)
		GROUP BY queue, type, state HAVING sum(counted) <> sum(there)`,
	`SELECT 'environment ' || id || ' counts ' || refs || ' jobs, there are ' || there FROM
		(SELECT envs.id, refs, coalesce(n, 0) AS there FROM envs LEFT JOIN (SELECT env_id, count(*) AS n FROM jobs GROUP BY env_id) ON env_id = envs.id)
		WHERE refs <> there`,
	`SELECT 'job ' || id || ' has the environment ' || env_id || ', which does not exist' FROM jobs
		WHERE env_id <> 0 AND env_id NOT IN (SELECT envs.id FROM envs JOIN env_texts ON env_texts.env_id = envs.id)`,
	`SELECT 'the text of environment ' || env_id || ' belongs to none' FROM env_texts WHERE env_id NOT IN (SELECT id FROM envs)`,
	`SELECT 'the tag ' || tag || ' of job ' || job_id || iif(sum(looked_up), ' is only in the table that lists look up', ' is not in the table that lists look up') FROM
		(SELECT tag, job_id, 1 AS looked_up FROM job_tags UNION ALL SELECT DISTINCT value, jobs.id, 0 FROM jobs, json_each(tags))
		GROUP BY tag, job_id HAVING count(*) <> 2`,
	`SELECT 'an attempt of job ' || job_id || ' is kept, the job is not' FROM attempts WHERE job_id NOT IN (SELECT id FROM jobs)`,
	`SELECT 'of the changes ' || min(seq) || ' to ' || max(seq) || ' there are ' || count(*) FROM changes HAVING count(*) <> max(seq) - min(seq) + 1`,
	`SELECT 'the last change is ' || max(seq) || ', recorded is ' || last_seq FROM changes, registry HAVING max(seq) < last_seq`,
}

// checkRows is how many findings of one kind are worth naming.
const checkRows = 20

// Check looks through the whole registry and returns what is wrong with it, in words. It reads
// everything: at a million jobs it takes ten seconds. It sees one state of a registry in use.
func (s *Store) Check(ctx context.Context) (problems []string, err error) {
	return s.findProblems(ctx, append([]string{"PRAGMA integrity_check(20)"}, checks...))
}

func (s *Store) findProblems(ctx context.Context, queries []string) (problems []string, err error) {
	tx, err := s.lists.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, s.explain(fmt.Errorf("check the registry: %w", err))
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	for _, query := range queries {
		found, err := checkOne(ctx, tx, query)
		if err != nil {
			return nil, s.explain(fmt.Errorf("check the registry: %w", err))
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

func checkOne(ctx context.Context, tx *sql.Tx, query string) (found []string, err error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		if len(found) == checkRows {
			return append(found, "… and more of this kind"), nil
		}
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		if text != "ok" {
			found = append(found, text)
		}
	}
	return found, rows.Err()
}
