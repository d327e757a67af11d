package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the file as a registry of queuemgr: "qmgr" in ASCII.
const applicationID = 0x716d6772

func newProvider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
}

// create makes a new registry. It comes into being under another name and is moved into place when
// it is complete, so that an empty or half-made file is always damage and never a beginning.
func create(ctx context.Context, path string) error {
	made := path + ".new"
	for _, leftover := range []string{made, made + "-wal", made + "-shm"} {
		if err := os.Remove(leftover); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make the registry %s: %w", path, err)
		}
	}
	f, err := os.OpenFile(made, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return &job.Error{Code: job.Internal, Message: fmt.Sprintf("can't make the registry %s: %v", path, err),
			Hint: "its folder must be there and be writable for the user of the daemon", Err: err}
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("make the registry %s: %w", path, err)
	}
	if err := fill(ctx, made); err != nil {
		return fmt.Errorf("make the registry %s: %w", path, err)
	}
	if err := os.Rename(made, path); err != nil {
		return fmt.Errorf("make the registry %s: %w", path, err)
	}
	return store.SyncDir(filepath.Dir(path))
}

// fill makes a registry of an empty file.
func fill(ctx context.Context, path string) (err error) {
	db, err := openDB(path, readWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
		return err
	}
	p, err := newProvider(db)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	return first(ctx, db)
}

// first writes what every registry has from its beginning: an identity and the default queue.
func first(ctx context.Context, db *sql.DB) error {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	q := job.Queue{Name: job.DefaultQueue, Start: job.StartAuto, CreatedAt: now}
	doc, err := json.Marshal(q)
	if err != nil {
		return err
	}
	change, err := queueDoc(&q)
	if err != nil {
		return err
	}
	for _, w := range []struct {
		text string
		args []any
	}{
		{"INSERT INTO registry (id, registry_id, last_seq) VALUES (1, ?, 1)", []any{hex.EncodeToString(id[:])}},
		{"INSERT INTO queues (name, doc) VALUES (?, ?)", []any{q.Name, string(doc)}},
		{insertChange, []any{1, micros(now), string(job.QueueSet), 0, "", q.Name, change}},
	} {
		if _, err := db.ExecContext(ctx, w.text, w.args...); err != nil {
			return err
		}
	}
	return nil
}

// migrate brings an older registry up to this program's schema and refuses a newer one.
func migrate(ctx context.Context, path string, readOnly bool) (err error) {
	how := readWrite
	if readOnly {
		how = reading
	}
	db, err := openDB(path, how)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var has int64
	// Read without goose, which would make its table where it is missing.
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&has)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	p, err := newProvider(db)
	if err != nil {
		return err
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	switch {
	case has > newest:
		return &job.Error{Code: job.Internal, Message: fmt.Sprintf("the registry %s was written by a newer queuemgr: its schema is %d, this program knows %d", path, has, newest),
			Hint: "install that version again; nothing was changed"}
	case has < newest && readOnly:
		return &job.Error{Code: job.WrongState, Message: fmt.Sprintf("the registry %s has the schema %d of an older queuemgr", path, has),
			Hint: "start the daemon once to bring it up to date"}
	case has < newest:
		_, err = p.Up(ctx)
	}
	return err
}
