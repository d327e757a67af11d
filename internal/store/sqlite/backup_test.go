package sqlite_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// TestBackupBesideAWriter takes backups while another process writes as fast as it can: each is sound,
// holds whole batches, and all that was acknowledged before it began.
func TestBackupBesideAWriter(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "registry.db")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	acked := map[string]map[int64]int64{"added": {}, "moved": {}}
	for round := range 3 {
		for range 100 {
			if !lines.Scan() {
				t.Fatal("the writer has ended")
			}
			var what string
			var id, value int64
			if _, err := fmt.Sscan(lines.Text(), &what, &id, &value); err != nil {
				t.Fatal(err)
			}
			acked[what][id] = value
		}
		file := filepath.Join(dir, fmt.Sprintf("backup-%d", round))
		made := make(chan error, 1)
		var done sqlite.BackedUp
		go func() {
			var err error
			done, err = sqlite.Backup(context.Background(), sqlite.BackupOptions{Path: path, File: file})
			made <- err
		}()
		// The writer is never held up by a full pipe while the backup is made.
		for made != nil {
			select {
			case err := <-made:
				if err != nil {
					t.Fatal(err)
				}
				made = nil
			default:
				if !lines.Scan() {
					t.Fatal("the writer has ended")
				}
			}
		}
		s, err := sqlite.Open(t.Context(), sqlite.Options{Path: file, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		verifyCrash(t, s, acked)
		sum := int64(0)
		for _, byState := range s.Counts().ByQueue {
			for state, n := range byState {
				if state != job.Deleted {
					sum += n
				}
			}
		}
		if info, err := os.Stat(file); err != nil || info.Size() != done.Bytes || info.Mode().Perm() != 0o600 || done.Jobs != sum || done.NextID != s.NextID() {
			t.Errorf("said to hold %+v; it has %d jobs, next %d, %v, %v", done, sum, s.NextID(), info, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
		t.Errorf("the writer has ended by itself: %v", err)
	}
	for _, name := range names(t, dir) {
		if strings.HasPrefix(name, "backup-") && (strings.Contains(name, "part") || strings.HasSuffix(name, "-wal") || strings.HasSuffix(name, "-shm")) {
			t.Errorf("%s is left behind", name)
		}
	}
}

// names returns what is in a folder.
func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestBackupIsReadWhereNothingCanBeWritten holds that a backup needs no files beside it.
func TestBackupIsReadWhereNothingCanBeWritten(t *testing.T) {
	path := filled(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "b")
	if _, err := sqlite.Backup(t.Context(), sqlite.BackupOptions{Path: path, File: file}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: file, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if j, err := s.Job(t.Context(), 500); err != nil || j.State != job.Queued {
		t.Errorf("job 500: %+v %v", j, err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("reading it has made %q", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("reading it has changed it: %v", err)
	}
}

func TestBackupRefuses(t *testing.T) {
	path := filled(t)
	lib := filepath.Dir(path)
	other := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	there := write(filepath.Join(other, "there"), "something else")
	linked, link := filepath.Join(other, "lib"), filepath.Join(other, "link")
	if err := errors.Join(os.Symlink(lib, linked), os.Symlink(path, link), os.Link(path, filepath.Join(other, "hard"))); err != nil {
		t.Fatal(err)
	}
	spare := filepath.Join(lib, "registry.jsonl")
	cases := []struct {
		name, path, file string
		replace          bool
		code             job.Code
		says             string
	}{
		{"a file that is there", path, there, false, job.Conflict, "--force"},
		{"the registry", path, path, true, job.Invalid, "belongs to the service"},
		{"the registry by another way", path, filepath.Join(linked, "registry.db"), true, job.Invalid, "belongs to the service"},
		{"the registry by a hard link", path, filepath.Join(other, "hard"), true, job.Invalid, "belongs to the service"},
		{"a link to the registry", path, link, true, job.Invalid, "no regular file"},
		{"its log, which is not there", path, path + "-wal", false, job.Invalid, "belongs to the service"},
		{"what else is the service's", path, spare, false, job.Invalid, "belongs to the service"},
		{"a folder", path, other, true, job.Invalid, "no regular file"},
		{"a device", path, "/dev/null", true, job.Invalid, "no regular file"},
		{"no such folder", path, filepath.Join(other, "none", "b"), false, job.NotFound, "no folder"},
		{"a folder that is a file", path, filepath.Join(there, "b"), false, job.NotFound, "no folder"},
		{"no registry", filepath.Join(other, "registry.db"), filepath.Join(other, "b"), false, job.NotFound, "no registry"},
		{"a damaged registry", write(filepath.Join(other, "damaged"), strings.Repeat("x", 5000)), filepath.Join(other, "b"), false, job.Internal, "damaged"},
		{"a file system that takes no files", path, "/proc/b", false, "", "/proc"},
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before := names(t, other)
	for _, c := range cases {
		_, err := sqlite.Backup(t.Context(), sqlite.BackupOptions{Path: c.path, File: c.file, Replace: c.replace, Spare: []string{spare}})
		var e *job.Error
		if !errors.As(err, &e) || c.code != "" && e.Code != c.code || !strings.Contains(e.Message+e.Hint, c.says) || e.Hint == "" {
			t.Errorf("%s: the error is %+v", c.name, e)
		}
	}
	if after := names(t, other); !slices.Equal(after, before) {
		t.Errorf("the folder held %q, and now %q", before, after)
	}
	for _, name := range names(t, lib) {
		if name != "registry.db" && name != "registry.db-shm" && name != "registry.db-wal" { // those of reading it
			t.Errorf("%s was made beside the registry", name)
		}
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, whole) {
		t.Errorf("the registry was changed: %v", err)
	}
	if _, err := sqlite.Backup(t.Context(), sqlite.BackupOptions{Path: path, File: there, Replace: true}); err != nil {
		t.Errorf("replacing a file: %v", err)
	}
	open(t, sqlite.Options{Path: there, ReadOnly: true})
}

// TestBackupOfADamagedRegistry has pages overwritten which the start does not read: no backup is
// left that could be taken for a good one.
func TestBackupOfADamagedRegistry(t *testing.T) {
	path := filled(t)
	s := open(t, sqlite.Options{Path: path}) // so that the log is not empty: an inspection alone finds nothing
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, 4096), info.Size()/2/4096*4096); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, err = sqlite.Backup(t.Context(), sqlite.BackupOptions{Path: path, File: filepath.Join(dir, "b")})
	if job.CodeOf(err) != job.Internal || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), path) {
		t.Errorf("the error is %v", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
	if s.RegistryID() == "" {
		t.Error("the registry is not open any more")
	}
}

func TestBackupCancelled(t *testing.T) {
	path := filled(t)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlite.Backup(ctx, sqlite.BackupOptions{Path: path, File: filepath.Join(dir, "b")}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

// backupDiskEnv makes the test binary the process that backs up onto a full disk: the value is
// "FOLDER:REGISTRY".
const backupDiskEnv = "QUEUEMGR_TEST_BACKUP_DISK"

func TestBackupOntoAFullDisk(t *testing.T) {
	path := filled(t)
	runWithDiskAt(t, backupDiskEnv, t.TempDir()+":"+path)
}

// backupDiskChild has a disk that is too small as is known before, and one that fills meanwhile.
func backupDiskChild(arg string) error {
	dir, path, _ := strings.Cut(arg, ":")
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", info.Size()/2)); err != nil {
		return err
	}
	_, err = sqlite.Backup(context.Background(), sqlite.BackupOptions{Path: path, File: filepath.Join(dir, "b")})
	if job.CodeOf(err) != job.Exhausted || !strings.Contains(err.Error(), dir) {
		return fmt.Errorf("a small disk: the error is %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		return err
	}
	var filled error
	_, err = sqlite.Backup(context.Background(), sqlite.Copying(sqlite.BackupOptions{Path: path, File: filepath.Join(dir, "b")}, func() {
		filled = os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 64<<20-info.Size()/2), 0o600)
	}))
	if filled != nil {
		return filled
	}
	if job.CodeOf(err) != job.Exhausted || !strings.Contains(err.Error(), dir) {
		return fmt.Errorf("a disk that fills: the error is %w", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(left) != 1 {
		return fmt.Errorf("left behind: %v", left)
	}
	return nil
}
