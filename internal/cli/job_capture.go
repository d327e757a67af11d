package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

// outerJob are the variables by which a job knows itself: one that a job adds is another job.
var outerJob = []string{"QUEUEMGR_JOB_ID", "QUEUEMGR_RUN_ID", "QUEUEMGR_ATTEMPT", "QUEUEMGR_QUEUE", "QUEUEMGR_FENCE",
	"QUEUEMGR_PARAMS", "QUEUEMGR_DIR", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

// captureEnv returns the environment for a job: the present one unless clean, and the flags' K=V
// and K. Variables that are not UTF-8 are left out with one warning, since JSON cannot carry them.
func (a *app) captureEnv(flags []string, clean bool) (map[string]string, error) {
	env := make(map[string]string, len(a.Environ)+len(flags))
	var left []string
	if !clean {
		for _, e := range a.Environ {
			k, v, ok := strings.Cut(e, "=")
			switch {
			case !ok || k == "" || slices.Contains(outerJob, k):
			case !utf8.ValidString(e):
				left = append(left, printable(k))
			default:
				env[k] = v
			}
		}
	}
	for _, e := range flags {
		k, v, ok := strings.Cut(e, "=")
		if k == "" {
			return nil, usage(fmt.Sprintf("--env %q has no name", e), "give K=V, or K to copy the variable K")
		}
		if !ok {
			if !slices.ContainsFunc(a.Environ, func(e string) bool { return strings.HasPrefix(e, k+"=") }) {
				return nil, usage(fmt.Sprintf("--env %s: the variable is not set", printable(k)), fmt.Sprintf("give its value: --env %s=VALUE", printable(k)))
			}
			v = a.env(k)
		}
		env[k] = v
	}
	if len(left) > 0 {
		a.warn("left out of the job's environment, not valid UTF-8: %s", strings.Join(left, ", "))
	}
	return env, nil
}

// changesUser reports whether a job that this process adds runs as another account: root's do in the
// system service.
func (a *app) changesUser() bool {
	if os.Geteuid() != 0 {
		return false
	}
	paths, err := config.FindPaths(a.home, a.Environ, config.ForClient)
	return err == nil && paths.System
}

// forAll reports whether everybody may enter a directory, by the modes of it and of those above it.
func forAll(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		above := filepath.Dir(dir)
		if above == dir {
			return true
		}
		dir = above
	}
}

// readUmask returns this process's umask without setting it, as umask(2) would.
func readUmask() (*uint32, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, fmt.Errorf("reading the umask: %w", err)
	}
	_, rest, ok := bytes.Cut(status, []byte("\nUmask:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 8, 32)
	if !ok || err != nil {
		return nil, &job.Error{Code: job.Internal, Message: "reading the umask: /proc/self/status has no line Umask", Err: err}
	}
	mask := uint32(n)
	return &mask, nil
}
