// Package e2e tests the built binaries from outside: by the command line, the socket, files and
// signals, as users meet them. With QUEUEMGR_CHAOS=1 the same tests run at full length.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/test/harness"
)

// Folders of the binaries under test.
var (
	binaries      string
	crashBinaries string // built with the tag crashpoint
)

// chaos asks for full lengths.
var chaos = os.Getenv("QUEUEMGR_CHAOS") != ""

// limit bounds whatever a test waits for.
const limit = time.Minute

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	// One test runs them as another user.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	binaries, crashBinaries = filepath.Join(dir, "bin"), filepath.Join(dir, "crash")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := harness.Build(ctx, binaries); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	if err := harness.Build(ctx, crashBinaries, "crashpoint"); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}
