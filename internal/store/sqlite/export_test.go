package sqlite

// Copying has f called before the first page is copied.
func Copying(o BackupOptions, f func()) BackupOptions {
	o.copying = f
	return o
}
