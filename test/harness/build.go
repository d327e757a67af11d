package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build builds queuemgr and queuemgr-runner from the source tree around the working directory
// into dir, with build tags.
func Build(ctx context.Context, dir string, tags ...string) error {
	root, err := SourceRoot()
	if err != nil {
		return err
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-tags", strings.Join(tags, ","),
		"-o", dir + string(filepath.Separator), "./cmd/queuemgr", "./cmd/queuemgr-runner"}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// SourceRoot returns the folder of go.mod at or above the working directory.
func SourceRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod at or above the working directory: run this inside the source tree")
		}
		dir = filepath.Dir(dir)
	}
}
