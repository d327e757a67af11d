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

// newProvider returns what brings db up to the newest schema of dir, nil for the program's own.
func newProvider(db *sql.DB, dir fs.FS) (*goose.Provider, error) {
	if dir == nil {
		var err error
		if dir, err = fs.Sub(migrations, "migrations"); err != nil {
			return nil, err
		}
	}
	return goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
}

// newSuffix ends the name of a registry that is being made.
const newSuffix = ".new"

// create makes a new registry. It comes into being under another name and is moved into place when
// it is complete, so that an empty or half-made file is always damage and never a beginning.
func create(ctx context.Context, o *Options) error {
	path := o.Path
	made := path + newSuffix
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
	if err := fill(ctx, made, o.migrations); err != nil {
		return fmt.Errorf("make the registry %s: %w", path, err)
	}
	if err := os.Rename(made, path); err != nil {
		return fmt.Errorf("make the registry %s: %w", path, err)
	}
	return store.SyncDir(filepath.Dir(path))
}

// fill makes a registry of an empty file.
func fill(ctx context.Context, path string, dir fs.FS) (err error) {
	db, err := openDB(path, readWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
		return err
	}
	p, err := newProvider(db, dir)
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
		{"INSERT INTO registry_row (id, registry_id, last_seq) VALUES (1, ?, 1)", []any{hex.EncodeToString(id[:])}},
		{"INSERT INTO queues (name, doc) VALUES (?, ?)", []any{q.Name, string(doc)}},
		{insertChange, []any{1, micros(now), string(job.QueueSet), 0, "", "", q.Name, change}},
	} {
		if _, err := db.ExecContext(ctx, w.text, w.args...); err != nil {
			return err
		}
	}
	return nil
}

// migrate brings an older registry up to this program's schema, of which it keeps a copy first, and
// refuses a newer one.
func migrate(ctx context.Context, o *Options) error {
	has, err := schemaOf(ctx, o.Path)
	if err != nil {
		return err
	}
	newest, err := newestSchema(o.migrations)
	if err != nil {
		return err
	}
	switch {
	case has > newest:
		return newerSchema(o.Path, has, newest)
	case has == newest:
		return nil
	case o.ReadOnly:
		return &job.Error{Code: job.WrongState, Message: fmt.Sprintf("the registry %s has the schema %d of an older queuemgr", o.Path, has),
			Hint: "start the daemon once to bring it up to date"}
	case o.keepsNoOld:
		return upgrade(ctx, o)
	}
	return upgradeKeeping(ctx, o, has)
}

func newerSchema(path string, has, newest int64) error {
	hint := "install that version again; nothing was changed"
	if kept := oldCopy(path, newest); hasContent(kept) {
		hint += ". To stay with this one, go back to the registry as it was before: queuemgr registry restore " + kept
	}
	return &job.Error{Code: job.Internal, Message: fmt.Sprintf("the registry %s was written by a newer queuemgr: its schema is %d, this program knows %d", path, has, newest), Hint: hint}
}

// schemaOf returns the version of a registry's schema.
func schemaOf(ctx context.Context, path string) (int64, error) {
	return schemaBy(ctx, path, reading)
}

// schemaBy is schemaOf with a connection of a certain kind.
func schemaBy(ctx context.Context, path, how string) (has int64, err error) {
	db, err := openDB(path, how)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// Read without goose, which would make its table where it is missing.
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&has)
	if err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return has, nil
}

// newestSchema returns the highest version that dir's migrations lead to; nil is the program's own.
func newestSchema(dir fs.FS) (newest int64, err error) {
	if dir == nil {
		if dir, err = fs.Sub(migrations, "migrations"); err != nil {
			return 0, err
		}
	}
	files, err := fs.Glob(dir, "*.sql")
	if err != nil {
		return 0, err
	}
	for _, name := range files {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return 0, err
		}
		newest = max(newest, version)
	}
	return newest, nil
}

// upgrade brings the registry up to the newest schema.
func upgrade(ctx context.Context, o *Options) (err error) {
	db, err := openDB(o.Path, readWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	p, err := newProvider(db, o.migrations)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// oldCopy is the name of the copy that is kept of a registry of an older schema.
func oldCopy(path string, schema int64) string { return fmt.Sprintf("%s.schema-%d", path, schema) }

// upgradeKeeping keeps a copy of the registry as it is, so that there is a way back to the program
// that wrote it, and brings it up to the newest schema. Copies of schemas before that go then.
func upgradeKeeping(ctx context.Context, o *Options, has int64) error {
	kept := oldCopy(o.Path, has)
	_, err := Backup(ctx, BackupOptions{Path: o.Path, File: kept, Replace: true})
	if err != nil {
		return fmt.Errorf("keep a copy of the registry before it is brought from schema %d up to date: %w", has, err)
	}
	if err := upgrade(ctx, o); err != nil {
		return fmt.Errorf("bring the registry %s from schema %d up to date (as it was it is kept in %s): %w", o.Path, has, kept, err)
	}
	o.Log.InfoContext(ctx, "the registry was brought up to date; as it was it is kept", "schema", has, "file", kept)
	for schema := has - 1; schema > 0; schema-- {
		if err := os.Remove(oldCopy(o.Path, schema)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			o.Log.WarnContext(ctx, "remove an older copy of the registry", "error", err)
		}
	}
	return nil
}
