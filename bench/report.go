package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Markers in BENCHMARKS.md between which the table stands.
const (
	beginMark = "<!-- results: begin -->"
	endMark   = "<!-- results: end -->"
)

// machine says in one line what was measured on, without names of hosts or paths.
func machine(dir string) string {
	kernel := "unknown kernel"
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		release, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
		kernel = "Linux " + release
	}
	return fmt.Sprintf("%d cores, %s, %s, files on %s, %s", runtime.NumCPU(), runtime.GOARCH, kernel, fileSystem(dir), runtime.Version())
}

// fileSystem names the kind of file system that dir is on.
func fileSystem(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "an unknown file system"
	}
	switch st.Type {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs (no durability: not a fair measurement)"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	}
	return fmt.Sprintf("file system type %#x", st.Type)
}

// writeTable replaces what stands between the markers in the file.
func writeTable(path, machine, table string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, ok1 := bytes.Cut(text, []byte(beginMark))
	_, tail, ok2 := bytes.Cut(rest, []byte(endMark))
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no lines %s and %s to put the table between", path, beginMark, endMark)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s%s\nMeasured on: %s.\n\n%s%s%s", head, beginMark, machine, table, endMark, tail)
	return os.WriteFile(path, out.Bytes(), 0o644)
}
