package store

import (
	"errors"
	"fmt"
	"os"
)

// SyncDir brings to disk which files a folder holds: a file that was made or renamed there is only
// safe then.
func SyncDir(dir string) (err error) {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}
