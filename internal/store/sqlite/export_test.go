package sqlite

import "io/fs"

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
