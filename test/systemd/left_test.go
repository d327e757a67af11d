//go:build systemd

package systemd_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/test/systemd/guest"
)

// leftOf says which processes and mounts of the host have to do with a guest's folder; "" is none.
func leftOf(t *testing.T, dir string) string {
	t.Helper()
	var left []string
	for _, pattern := range []string{"cmdline", "mountinfo"} {
		files, err := filepath.Glob("/proc/[0-9]*/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err == nil && bytes.Contains(text, []byte(dir)) { // with an error it has ended
				left = append(left, name)
			}
		}
	}
	// A cgroup is removed last, when all of its processes are dead.
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasSuffix(path, "-"+filepath.Base(dir)) {
			left = append(left, path)
		}
		return nil // with an error it has just gone
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(left, " ")
}

const abandonedKind = "QUEUEMGR_TEST_ABANDONED"

// TestAbandonedGuest is not a test but the process that TestKilledTestLeavesNothing kills.
func TestAbandonedGuest(t *testing.T) {
	kind := os.Getenv(abandonedKind)
	if kind == "" {
		return
	}
	v := ground.Boot(t, guest.Kind(kind))
	keeper := keeperOf(t, v.Dir())
	fmt.Printf("\nUP %d %s\n", keeper, v.Dir())
	_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
}

func TestKilledTestLeavesNothing(t *testing.T) {
	for _, kind := range []guest.Kind{guest.Container, guest.Kernel} {
		t.Run(string(kind), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAbandonedGuest$", "-test.v")
			cmd.Env = append(os.Environ(), abandonedKind+"="+string(kind))
			cmd.Stderr = os.Stderr
			if _, err := cmd.StdinPipe(); err != nil { // open, so that it waits
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var keeper int
			var dir string
			lines := bufio.NewScanner(out)
			for dir == "" && lines.Scan() {
				_, _ = fmt.Sscanf(lines.Text(), "UP %d %s", &keeper, &dir) // other lines are go test's
			}
			if dir == "" {
				t.Fatalf("the test to be killed did not boot its guest: %v", cmd.Wait())
			}
			fd, err := unix.PidfdOpen(keeper, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if leftOf(t, dir) == "" {
				t.Error("nothing of a running guest is seen on the host, so this test would pass whatever is left")
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // killed
			if err := waitPidfd(fd); err != nil {
				t.Fatal(err)
			}
			if left := leftOf(t, dir); left != "" {
				t.Errorf("left on the host: %s", left)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the guest's folder is left: %v", err)
			}
		})
	}
}

// keeperOf returns the process that runs a guest: this process's child that names its folder.
func keeperOf(t *testing.T, dir string) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "pgrep", "-P", fmt.Sprint(os.Getpid()), "-f", dir).Output()
	var pid int
	if err == nil {
		_, err = fmt.Sscan(string(out), &pid)
	}
	if err != nil {
		t.Fatalf("find the guest's keeper: %v", err)
	}
	return pid
}

func waitPidfd(fd int) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
