package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/queuemgr/queuemgr/job"
)

// env returns the number of an environment, which is stored when it is new: then it gets the number
// of the job that brings it, because those are never used again, and readers may keep what they
// have read by its number. The caller counts the references in t.envs.
func (t *tx) env(e *env, jobID int64) (int64, error) {
	if t.state.lastEnv.id != 0 && t.state.lastEnv.hash == e.hash {
		return t.state.lastEnv.id, nil
	}
	id, err := t.storeEnv(e, jobID)
	t.state.lastEnv = knownEnv{hash: e.hash, id: id}
	return id, err
}

func (t *tx) storeEnv(e *env, jobID int64) (int64, error) {
	id := int64(0)
	err := t.conn.query("SELECT id FROM envs WHERE hash = ?", 1, func(v []driver.Value) error {
		id, _ = v[0].(int64)
		return nil
	}, e.hash[:])
	if err != nil || id != 0 {
		return id, err
	}
	if _, err := t.conn.exec("INSERT INTO envs (id, hash, refs) VALUES (?, ?, 0)", jobID, e.hash[:]); err != nil {
		return 0, err
	}
	_, err = t.conn.exec("INSERT INTO env_texts (env_id, text) VALUES (?, ?)", jobID, e.text)
	return jobID, err
}

// countEnvs writes the changed references and drops the environments that no job has any more.
func (t *tx) countEnvs() error {
	for id, by := range t.envs {
		if by != 0 {
			if _, err := t.conn.exec("UPDATE envs SET refs = refs + ? WHERE id = ?", by, id); err != nil {
				return err
			}
		}
		if by >= 0 {
			continue
		}
		dropped, err := t.conn.exec("DELETE FROM envs WHERE id = ? AND refs <= 0", id)
		if err != nil {
			return err
		}
		if dropped > 0 {
			if t.state.lastEnv.id == id {
				t.state.lastEnv = knownEnv{}
			}
			if _, err := t.conn.exec("DELETE FROM env_texts WHERE env_id = ?", id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Env implements store.Jobs.
func (s *Store) Env(ctx context.Context, id int64) ([]string, error) {
	if id == 0 {
		return nil, nil
	}
	e := new(env)
	err := s.reads.QueryRowContext(ctx, "SELECT text FROM env_texts WHERE env_id = ?", id).Scan(&e.text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &job.Error{Code: job.NotFound, Message: fmt.Sprintf("there is no environment %d on record", id)}
	}
	if err != nil {
		return nil, s.explain(fmt.Errorf("read environment %d: %w", id, err))
	}
	return e.entries(), nil
}
