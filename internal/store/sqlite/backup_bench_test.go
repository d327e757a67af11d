package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store/sqlite"
)

// BenchmarkBackup backs up a registry of 200,000 jobs while one client adds as fast as it can: how long
// it takes, how the additions fare meanwhile, and how long the log gets.
func BenchmarkBackup(b *testing.B) {
	dir := b.TempDir()
	path := filepath.Join(dir, "registry.db")
	s, err := sqlite.Open(b.Context(), sqlite.Options{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	for range 20 {
		if _, err := s.AddJobs(b.Context(), benchAdd(10_000)); err != nil {
			b.Fatal(err)
		}
	}
	// add adds one by one until stop is closed and returns the rate.
	add := func(stop <-chan struct{}) float64 {
		begun, n := time.Now(), 0
		for {
			select {
			case <-stop:
				return float64(n) / time.Since(begun).Seconds()
			default:
			}
			if _, err := s.AddJobs(b.Context(), benchAdd(1)); err != nil {
				b.Error(err)
				return 0
			}
			n++
		}
	}
	alone := make(chan struct{})
	time.AfterFunc(2*time.Second, func() { close(alone) })
	rateAlone := add(alone)
	for i := 0; b.Loop(); i++ {
		stop, rate := make(chan struct{}), make(chan float64)
		go func() { rate <- add(stop) }()
		done, err := sqlite.Backup(b.Context(), sqlite.BackupOptions{Path: path, File: filepath.Join(dir, fmt.Sprint("backup-", i))})
		close(stop)
		b.ReportMetric(<-rate, "adds/s-beside")
		if err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(path + "-wal")
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/(1<<20), "log-MiB")
		b.ReportMetric(float64(done.Bytes)/(1<<20), "MiB")
	}
	b.ReportMetric(rateAlone, "adds/s-alone")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
