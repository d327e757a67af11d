package sqlite

import (
	"context"
	"io/fs"

	"github.com/queuemgr/queuemgr/job"
)

// Copying has f called before the first page is copied.
func Copying(o BackupOptions, f func()) BackupOptions {
	o.copying = f
	return o
}

// At has f called between two steps of a restore.
func At(o RestoreOptions, f func(step string)) RestoreOptions {
	o.at = f
	return o
}

// WithMigrations has a registry opened by a program whose migrations are those of dir.
func WithMigrations(o Options, dir fs.FS) Options {
	o.migrations = dir
	return o
}

// Migrations are the program's own.
func Migrations() (fs.FS, error) { return fs.Sub(migrations, "migrations") }

// NewestSchema is the program's.
func NewestSchema() (int64, error) { return newestSchema(nil) }

// RestoreWithMigrations is WithMigrations for a restore.
func RestoreWithMigrations(o RestoreOptions, dir fs.FS) RestoreOptions {
	o.migrations = dir
	return o
}

// Query returns how the store asks SQLite for a list.
func (s *Store) Query(ctx context.Context, f job.Filter) (string, []any, error) {
	l := &list{order: orderOf(&f), limit: 50, from: "jobs", id: "id"}
	if err := s.choose(ctx, l, &f); err != nil {
		return "", nil, err
	}
	text, err := l.sql()
	return text, l.args, err
}
