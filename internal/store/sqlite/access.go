package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// accessOp is a write to the tables of tokens, sessions and audit.
type accessOp struct {
	opBase
	refuse func(*tx) error // nil = nothing is refused
	do     func(*tx) error
}

func (op *accessOp) check(t *tx) error {
	if op.refuse == nil {
		return nil
	}
	return op.refuse(t)
}

func (op *accessOp) write(t *tx) error { return op.do(t) }

// exists reports whether a query finds a row.
func (t *tx) exists(query string, args ...driver.Value) (found bool, err error) {
	err = t.conn.query(query, 1, func([]driver.Value) error {
		found = true
		return nil
	}, args...)
	return found, err
}

// microsOrNone is micros with 0 for no time.
func microsOrNone(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return micros(t)
}

func timeOrNone(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// readAll reads the rows of a query that is no part of what the engine waits for.
func readAll[T any](ctx context.Context, s *Store, what string, scan func(*sql.Rows, *T) error, query string, args ...any) (all []T, err error) {
	rows, err := s.lists.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.explain(fmt.Errorf("read %s: %w", what, err))
	}
	defer rows.Close()
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, s.explain(fmt.Errorf("read %s: %w", what, err))
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, s.explain(fmt.Errorf("read %s: %w", what, err))
	}
	return all, nil
}

// scanHash reads a hash of a row.
func scanHash(b []byte) (h store.Hash, err error) {
	if len(b) != len(h) {
		return h, fmt.Errorf("a hash of %d bytes", len(b))
	}
	copy(h[:], b)
	return h, nil
}

// Tokens implements store.Tokens.
func (s *Store) Tokens(ctx context.Context) ([]store.Token, error) {
	return readAll(ctx, s, "the tokens", func(rows *sql.Rows, t *store.Token) (err error) {
		var hash []byte
		var created, expires, used int64
		if err := rows.Scan(&t.ID, &t.Name, &t.Role, &hash, &created, &t.CreatedBy, &expires, &used); err != nil {
			return err
		}
		t.CreatedAt, t.ExpiresAt, t.LastUsedAt = timeOrNone(created), timeOrNone(expires), timeOrNone(used)
		t.Hash, err = scanHash(hash)
		return err
	}, "SELECT id, name, role, hash, created_at, created_by, expires_at, used_at FROM tokens ORDER BY name")
}

// AddToken implements store.Tokens.
func (s *Store) AddToken(ctx context.Context, t store.Token) error {
	return s.write(ctx, &accessOp{opBase: opBase{lane: settling, grows: true, size: 1},
		refuse: func(x *tx) error {
			taken, err := x.exists("SELECT 1 FROM tokens WHERE id = ? OR name = ? OR hash = ?", t.ID, t.Name, t.Hash[:])
			if err == nil && taken {
				err = &job.Error{Code: job.Conflict, Field: "name", Message: fmt.Sprintf("there is a token called %q already", t.Name),
					Hint: "give another name, or revoke that one first"}
			}
			return err
		},
		do: func(x *tx) error {
			_, err := x.conn.exec("INSERT INTO tokens (id, name, role, hash, created_at, created_by, expires_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
				t.ID, t.Name, string(t.Role), t.Hash[:], microsOrNone(t.CreatedAt), t.CreatedBy, microsOrNone(t.ExpiresAt), microsOrNone(t.LastUsedAt))
			return err
		}})
}

// DeleteToken implements store.Tokens.
func (s *Store) DeleteToken(ctx context.Context, id string) error {
	return s.write(ctx, &accessOp{opBase: opBase{lane: settling, vital: true, size: 1},
		refuse: func(x *tx) error {
			there, err := x.exists("SELECT 1 FROM tokens WHERE id = ?", id)
			if err == nil && !there {
				err = noToken(id)
			}
			return err
		},
		do: func(x *tx) error {
			if _, err := x.conn.exec("DELETE FROM sessions WHERE token_id = ?", id); err != nil {
				return err
			}
			_, err := x.conn.exec("DELETE FROM tokens WHERE id = ?", id)
			return err
		}})
}

func noToken(id string) error {
	return &job.Error{Code: job.NotFound, Field: "id", Message: fmt.Sprintf("there is no token %q", id), Hint: "queuemgr token list shows all"}
}

// UseTokens implements store.Tokens.
func (s *Store) UseTokens(ctx context.Context, used map[string]time.Time) error {
	if len(used) == 0 {
		return nil
	}
	return s.write(ctx, &accessOp{opBase: opBase{lane: adding, size: len(used)}, do: func(x *tx) error {
		for id, at := range used {
			if _, err := x.conn.exec("UPDATE tokens SET used_at = ? WHERE id = ?", micros(at), id); err != nil {
				return err
			}
		}
		return nil
	}})
}

// Sessions implements store.Sessions.
func (s *Store) Sessions(ctx context.Context) ([]store.Session, error) {
	return readAll(ctx, s, "the sessions", func(rows *sql.Rows, k *store.Session) (err error) {
		var hash []byte
		var uid, created, expires, seen int64
		if err := rows.Scan(&hash, &k.Name, &k.Role, &uid, &k.TokenID, &created, &expires, &seen); err != nil {
			return err
		}
		k.UID, k.CreatedAt, k.ExpiresAt, k.SeenAt = uint32(uid), timeOrNone(created), timeOrNone(expires), timeOrNone(seen)
		k.Hash, err = scanHash(hash)
		return err
	}, "SELECT hash, name, role, uid, token_id, created_at, expires_at, seen_at FROM sessions ORDER BY created_at, hash")
}

// AddSession implements store.Sessions.
func (s *Store) AddSession(ctx context.Context, k store.Session) error {
	// Below the free-space floor one may log in: who is to make room needs it, and their number is
	// bounded. The room kept for exits it does not take.
	return s.write(ctx, &accessOp{opBase: opBase{lane: settling, size: 1},
		refuse: func(x *tx) error {
			if err := s.disk.checkReserve(); err != nil {
				return err
			}
			taken, err := x.exists("SELECT 1 FROM sessions WHERE hash = ?", k.Hash[:])
			if err == nil && taken {
				err = &job.Error{Code: job.Conflict, Message: "there is such a session already", Hint: "log in again"}
			}
			if err != nil || k.TokenID == "" {
				return err
			}
			there, err := x.exists("SELECT 1 FROM tokens WHERE id = ?", k.TokenID)
			if err == nil && !there {
				err = noToken(k.TokenID)
			}
			return err
		},
		do: func(x *tx) error {
			_, err := x.conn.exec("INSERT INTO sessions (hash, name, role, uid, token_id, created_at, expires_at, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
				k.Hash[:], k.Name, string(k.Role), int64(k.UID), k.TokenID, microsOrNone(k.CreatedAt), microsOrNone(k.ExpiresAt), microsOrNone(k.SeenAt))
			return err
		}})
}

// SeeSessions implements store.Sessions.
func (s *Store) SeeSessions(ctx context.Context, seen map[store.Hash]time.Time) error {
	if len(seen) == 0 {
		return nil
	}
	return s.write(ctx, &accessOp{opBase: opBase{lane: adding, size: len(seen)}, do: func(x *tx) error {
		for hash, at := range seen {
			if _, err := x.conn.exec("UPDATE sessions SET seen_at = ? WHERE hash = ?", micros(at), hash[:]); err != nil {
				return err
			}
		}
		return nil
	}})
}

// DeleteSessions implements store.Sessions.
func (s *Store) DeleteSessions(ctx context.Context, hashes ...store.Hash) error {
	if len(hashes) == 0 {
		return nil
	}
	return s.write(ctx, &accessOp{opBase: opBase{lane: settling, vital: true, size: len(hashes)}, do: func(x *tx) error {
		for _, hash := range hashes {
			if _, err := x.conn.exec("DELETE FROM sessions WHERE hash = ?", hash[:]); err != nil {
				return err
			}
		}
		return nil
	}})
}
