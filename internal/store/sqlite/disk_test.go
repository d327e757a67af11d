package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// diskEnv and refusedEnv make the test binary the process that fills a disk: the value is an empty
// folder.
const (
	diskEnv    = "QUEUEMGR_TEST_DISK_DIR"
	refusedEnv = "QUEUEMGR_TEST_REFUSED_DIR"
)

func TestFullDisk(t *testing.T) { runWithDisk(t, diskEnv) }

func TestFullDiskThatSQLiteDoesNotKnow(t *testing.T) { runWithDisk(t, refusedEnv) }

// runWithDisk runs a child on a real file system of 8 MiB, which a process can mount for itself
// alone.
func runWithDisk(t *testing.T, env string) {
	t.Helper()
	runWithDiskAt(t, env, t.TempDir())
}

// runWithDiskAt runs a child that says by arg where it mounts.
func runWithDiskAt(t *testing.T, env, arg string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), env+"="+arg)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("user namespaces, which mounting a small disk needs, are switched off: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// Of the registries on a small disk.
const ballast, minFree = 1 << 20, 1 << 20

// openOnDisk opens a registry on a new file system; reserve reports whether its ballast is there.
func openOnDisk(ctx context.Context, dir string) (s *sqlite.Store, reserve func() bool, err error) {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		return nil, nil, fmt.Errorf("mount: %w", err)
	}
	path := filepath.Join(dir, "registry.db")
	s, err = sqlite.Open(ctx, sqlite.Options{Path: path, MinFree: minFree, Ballast: ballast})
	return s, func() bool { info, err := os.Stat(path + "-ballast"); return err == nil && info.Size() == ballast }, err
}

// refusedChild has writes fail in a way that SQLite calls an I/O error, as it does where a quota is
// used up: only on a disk that is full too is the reserve used.
func refusedChild(dir string) error {
	ctx := context.Background()
	s, reserve, err := openOnDisk(ctx, dir)
	if err != nil {
		return err
	}
	p := benchAdd(1)
	if _, err := s.AddJobs(ctx, p); err != nil {
		return err
	}
	next := *p.Jobs[0].Job
	next.StatusText = strings.Repeat("x", 1<<20) // the log must grow for it
	signal.Ignore(unix.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 20, Max: unix.RLIM_INFINITY}); err != nil {
		return err
	}
	if err := commitOne(ctx, s, &next, true); err == nil || job.CodeOf(err) == job.Exhausted || !reserve() {
		return fmt.Errorf("on a disk with room: %w, the reserve is there: %v", err, reserve())
	}
	for i := range 16 { // no file may be larger than the limit
		if err := fillDisk(filepath.Join(dir, fmt.Sprint("filler", i)), 0); err != nil && !errors.Is(err, unix.EFBIG) {
			return err
		}
	}
	if err := commitOne(ctx, s, &next, true); err == nil || reserve() {
		return fmt.Errorf("on a full disk: %w, the reserve is there: %v", err, reserve())
	}
	return nil
}

func diskChild(dir string) error {
	ctx := context.Background()
	s, reserve, err := openOnDisk(ctx, dir)
	if err != nil {
		return err
	}
	if !reserve() {
		return errors.New("no room is kept in reserve")
	}
	p := benchAdd(100)
	if _, err := s.AddJobs(ctx, p); err != nil {
		return err
	}
	if err := fillDisk(filepath.Join(dir, "filler"), minFree/2); err != nil {
		return err
	}
	if _, err := s.AddJobs(ctx, benchAdd(1)); job.CodeOf(err) != job.Exhausted || !strings.Contains(err.Error(), "MiB free in "+dir) {
		return fmt.Errorf("below the floor: %w", err)
	}
	login := store.Session{Hash: store.Hash{1}, Name: "ann", Role: job.Viewer, UID: 1001, CreatedAt: time.Unix(1, 0), ExpiresAt: time.Unix(2, 0), SeenAt: time.Unix(1, 0)}
	if err := s.AddSession(ctx, login); err != nil {
		return fmt.Errorf("a login below the floor: %w", err)
	}
	// Fill it to the last byte. What isn't vital is refused, exits are recorded from the reserve.
	if err := fillDisk(filepath.Join(dir, "filler2"), 0); err != nil {
		return err
	}
	exits, err := untilFull(ctx, s, p.Jobs[0].Job)
	if err != nil {
		return err
	}
	if !reserve() {
		return errors.New("the reserve was used for what is not vital")
	}
	if err := commitOne(ctx, s, exits, true); err != nil {
		return fmt.Errorf("a vital write: %w", err)
	}
	if reserve() {
		return errors.New("the vital write did not need the reserve: the test does not fill the disk")
	}
	// The room that it has set free is not for others: it would be gone when the next job ends.
	after := *exits
	after.StatusText = "not vital"
	if err := commitOne(ctx, s, &after, false); job.CodeOf(err) != job.Exhausted {
		return fmt.Errorf("what is not vital, while the reserve is in use: %w", err)
	}
	login.Hash = store.Hash{2}
	if err := s.AddSession(ctx, login); job.CodeOf(err) != job.Exhausted {
		return fmt.Errorf("a login, while the reserve is in use: %w", err)
	}
	after.StatusText = "vital"
	if err := commitOne(ctx, s, &after, true); err != nil {
		return fmt.Errorf("a second vital write: %w", err)
	}
	exits = &after
	got, err := s.Job(ctx, exits.ID)
	if err != nil || got.StatusText != exits.StatusText {
		return fmt.Errorf("after the vital write: %v, %w", got, err)
	}
	// Room again: all goes on by itself, and the reserve comes back.
	for _, name := range []string{"filler", "filler2"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if _, err := s.AddJobs(ctx, benchAdd(1)); err != nil {
		return fmt.Errorf("after there was room again: %w", err)
	}
	if !reserve() {
		return errors.New("the reserve was not made again")
	}
	problems, err := s.Check(ctx)
	if err != nil || len(problems) > 0 {
		return fmt.Errorf("check: %v %w", problems, err)
	}
	return s.Close()
}

// fillDisk leaves no more than some bytes free.
func fillDisk(name string, leave int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 4096)
	for {
		var st unix.Statfs_t
		if err := unix.Statfs(filepath.Dir(name), &st); err != nil {
			return err
		}
		if int64(st.Bavail)*st.Bsize <= leave {
			return nil
		}
		if _, err := f.Write(block); errors.Is(err, unix.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// untilFull updates a job, not vitally, until that is refused: the log's own room is used up.
func untilFull(ctx context.Context, s *sqlite.Store, j *job.Job) (*job.Job, error) {
	for i := range 10_000 {
		next := *j
		next.StatusText = strings.Repeat(fmt.Sprint(i), 500)
		err := commitOne(ctx, s, &next, false)
		if job.CodeOf(err) == job.Exhausted {
			return &next, nil
		}
		if err != nil {
			return nil, err
		}
		j = &next
	}
	return nil, errors.New("the disk does not get full")
}

func commitOne(ctx context.Context, s *sqlite.Store, j *job.Job, vital bool) error {
	done, err := s.Commit(ctx, store.Commit{At: time.Now(), Vital: vital, Updates: []store.Update{{Job: j, From: j.State}}})
	if err == nil && len(done.Conflicts) > 0 {
		return errors.New("a conflict")
	}
	return err
}
