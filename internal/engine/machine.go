package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/queuemgr/queuemgr/job"
)

// Machine implements job.Service.
func (e *Engine) Machine(context.Context) (*job.Machine, error) {
	m := &job.Machine{CPUs: runtime.NumCPU()}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil, fmt.Errorf("read the machine's load: %w", err)
	}
	fields := strings.Fields(string(load))
	if len(fields) < len(m.Load) {
		return nil, fmt.Errorf("read the machine's load: %q", load)
	}
	for i := range m.Load {
		if m.Load[i], err = strconv.ParseFloat(fields[i], 64); err != nil {
			return nil, fmt.Errorf("read the machine's load: %w", err)
		}
	}
	if err := readMemory(m); err != nil {
		return nil, fmt.Errorf("read how much memory there is: %w", err)
	}
	fsys, err := statfs(e.o.LogDir)
	if err != nil {
		return nil, fmt.Errorf("space for logs: %w", err)
	}
	m.DiskTotal = int64(fsys.Blocks) * fsys.Bsize
	m.DiskFree = int64(fsys.Bavail) * fsys.Bsize
	return m, nil
}

// readMemory reads /proc/meminfo, whose sizes are KiB.
func readMemory(m *job.Machine) error {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		to := map[string]*int64{"MemTotal": &m.MemoryTotal, "MemAvailable": &m.MemoryAvailable}[name]
		if to == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return err
		}
		if *to = kib << 10; name == "MemAvailable" {
			return nil // it follows MemTotal
		}
	}
	return errors.New("/proc/meminfo does not tell")
}

// statfs asks for the file system of a folder, or of the one in which it will be made.
func statfs(dir string) (s syscall.Statfs_t, err error) {
	for {
		if err = syscall.Statfs(dir, &s); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return s, err
		}
		dir = filepath.Dir(dir)
	}
}
