package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/internal/store/storetest"
)

func TestMain(m *testing.M) {
	for env, child := range map[string]func(string) error{crashEnv: crashChild, diskEnv: diskChild, refusedEnv: refusedChild, backupDiskEnv: backupDiskChild, restoreEnv: restoreChild} {
		if arg := os.Getenv(env); arg != "" {
			if err := child(arg); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, sqlite.Options{Path: filepath.Join(t.TempDir(), "registry.db")})
	})
}

// open opens a registry that the test closes.
func open(t *testing.T, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
