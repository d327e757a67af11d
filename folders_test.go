package queuemgr

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

// stranger is a uid and gid that this machine need not know.
const stranger = 54321

// strangersHome returns the settings of a home whose folders belong to another user.
func strangersHome(t *testing.T) *config.Config {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("what root makes in another user's folder: needs root")
	}
	c, err := config.Load(config.Sources{Home: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := makeFolders(c); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(c.Paths.Lib, stranger, stranger); err != nil {
		t.Fatal(err)
	}
	return c
}

// allStrangers checks that everything in dir belongs to the other user, and that these are there.
func allStrangers(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, e := range entries {
		found[e.Name()] = true
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != stranger || st.Gid != stranger {
			t.Errorf("%s belongs to %d:%d", e.Name(), st.Uid, st.Gid)
		}
	}
	for _, name := range names {
		if !found[name] {
			t.Errorf("there is no %s among %v", name, found)
		}
	}
}

func TestRegistryThatRootWritesBelongsToItsFoldersOwner(t *testing.T) {
	c, ctx := strangersHome(t), t.Context()
	summary, err := backend{}.ImportRegistry(ctx, c, strings.NewReader(""))
	if err != nil {
		t.Fatalf("import: %v (%+v)", err, summary)
	}
	allStrangers(t, c.Paths.Lib, "registry.db", "registry.lock")

	file := filepath.Join(t.TempDir(), "backup.db")
	if _, err := (backend{}).BackupRegistry(ctx, c, file, false); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.Paths.RegistryLock()); err != nil {
		t.Fatal(err)
	}
	if _, err := (backend{}).RestoreRegistry(ctx, c, file, false); err != nil {
		t.Fatal(err)
	}
	allStrangers(t, c.Paths.Lib, "registry.db", "registry.lock")
}

func TestRootFollowsNoLinkInAnothersFolder(t *testing.T) {
	c := strangersHome(t)
	secret := filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(secret, []byte("root's own"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{c.Paths.RegistryLock(), c.Paths.Database() + "-wal"} {
		if err := os.Symlink(secret, link); err != nil {
			t.Fatal(err)
		}
	}
	if lock, err := lockHome(c.Paths.RegistryLock()); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("the lock is a link, and taking it returned %v, %v", lock, err)
	}
	if err := giveRegistryToOwner(c.Paths); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("the log is a link, and giving it away returned %v", err)
	}
	// Nor is a file given away that is root's by another name.
	if err := os.Link(secret, c.Paths.Database()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.Paths.Database() + "-wal"); err != nil {
		t.Fatal(err)
	}
	if err := giveRegistryToOwner(c.Paths); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(secret)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(secret)
	if st := info.Sys().(*syscall.Stat_t); err != nil || st.Uid != 0 || string(text) != "root's own" {
		t.Errorf("root's file is now %d's, with %q (%v)", st.Uid, text, err)
	}
}

func TestSystemFoldersAreNotMade(t *testing.T) {
	dir := t.TempDir()
	p := config.InHome(dir)
	p.System = true
	err := makeFolders(&config.Config{Paths: p})
	var e *job.Error
	if !errors.As(err, &e) || e.Code != job.WrongState || !strings.Contains(e.Message, p.Lib) || !strings.Contains(e.Hint, "sudo queuemgr service install") {
		t.Fatalf("without folders: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("there is now %v (%v)", entries, err)
	}
	for _, made := range []string{p.Lib, p.JobLogs(), p.Run} {
		if err := os.MkdirAll(made, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := makeFolders(&config.Config{Paths: p}); err != nil {
		t.Errorf("with folders: %v", err)
	}
}
