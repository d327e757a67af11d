// Command keeper runs a guest and takes care that nothing of it outlives the test: neither process,
// mount nor cgroup, however the test ends, SIGKILL included.
//
// Everything runs in namespaces of its own for processes and mounts and in a cgroup of its own. The
// test holds the writing end of keeper's stdin: a byte is a power cut; the end of the file says that
// the test is gone, and then the guest's folder goes too.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const cgroups = "/sys/fs/cgroup"

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

var (
	inside  = flag.Bool("inside", false, "this is process 1 of the namespace (set by keeper itself)")
	cgroup  = flag.String("cgroup", "", "`name` of the cgroup to make for the guest")
	remove  = flag.String("remove", "", "`folder` to remove when the test is gone")
	overlay = flag.String("overlay", "", "`DIR:LOWER:UPPER:WORK` to mount")
	extra   = flag.Int("extra", 0, "how many descriptors from 3 on the guest inherits")
	tmpfs   list
)

func main() {
	flag.Var(&tmpfs, "tmpfs", "`DIR:SIZE` of a memory file system to mount; repeatable")
	flag.Parse()
	run := outside
	if *inside {
		run = within
	}
	code, err := run(flag.Args())
	if err != nil {
		fmt.Fprintf(os.Stderr, "keeper: %v\n", err)
		code = 125
	}
	os.Exit(code)
}

// outside starts the guest and cleans up after it. It is in a mount namespace of its own already.
func outside(argv []string) (int, error) {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return 0, fmt.Errorf("make mounts private: %w", err)
	}
	// Whatever layout the machine has, the guest shall see what Debian has: version 2 alone.
	if err := unix.Mount("cgroup2", cgroups, "cgroup2", 0, ""); err != nil {
		return 0, fmt.Errorf("mount cgroup2: %w", err)
	}
	group := filepath.Join(cgroups, *cgroup)
	if err := os.Mkdir(group, 0o755); err != nil {
		return 0, err
	}
	defer removeCgroup(group)
	dir, err := os.Open(group)
	if err != nil {
		return 0, err
	}
	defer dir.Close()

	cmd := exec.Command("/proc/self/exe", append([]string{"-inside", fmt.Sprintf("-extra=%d", *extra),
		"-overlay=" + *overlay, "-tmpfs=" + strings.Join(tmpfs, ",")}, append([]string{"--"}, argv...)...)...)
	life, err := cmd.StdinPipe() // process 1 ends when this process does
	if err != nil {
		return 0, err
	}
	defer life.Close()
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = extraFiles()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		UseCgroupFD: true, CgroupFD: int(dir.Fd()),
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start the guest's namespace: %w", err)
	}
	for _, f := range cmd.ExtraFiles {
		f.Close()
	}
	go func() {
		_, err := os.Stdin.Read(make([]byte, 1))
		if errors.Is(err, io.EOF) {
			abandoned <- struct{}{}
		}
		// The kernel kills all others of the namespace before Wait returns.
		_ = cmd.Process.Kill()
	}()
	err = cmd.Wait()
	select {
	case <-abandoned:
		removeCgroup(group)
		return 0, os.RemoveAll(*remove)
	default:
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode() & 0xff, nil
}

// abandoned has an entry when the test is gone.
var abandoned = make(chan struct{}, 1)

// removeCgroup removes a cgroup whose processes are all dead, with those below it.
func removeCgroup(group string) {
	var dirs []string
	_ = filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		_ = os.Remove(dirs[i])
	}
}

// within is process 1 of the namespace: with its end everything in there ends.
func within(argv []string) (int, error) {
	if err := mounts(); err != nil {
		return 0, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	files := append([]*os.File{null, os.Stdout, os.Stderr}, extraFiles()...)
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return 0, err
	}
	main, err := os.StartProcess(path, argv, &os.ProcAttr{Files: files, Env: os.Environ()})
	if err != nil {
		return 0, err
	}
	for _, f := range files[3:] {
		f.Close() // so that the test sees the end of the line when the guest dies
	}
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(1)
	}()
	for { // orphans come here too
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for the guest: %w", err)
		case pid == main.Pid && status.Signaled():
			return 128 + int(status.Signal()), nil
		case pid == main.Pid:
			return status.ExitStatus(), nil
		}
	}
}

func mounts() error {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, spec := range strings.Split(strings.Join(tmpfs, ","), ",") {
		dir, size, ok := strings.Cut(spec, ":")
		if !ok {
			continue
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID, "mode=755,size="+size); err != nil {
			return fmt.Errorf("mount a memory file system on %s: %w", dir, err)
		}
	}
	if *overlay == "" {
		return nil
	}
	o := strings.Split(*overlay, ":")
	if len(o) != 4 {
		return fmt.Errorf("-overlay %q is not DIR:LOWER:UPPER:WORK", *overlay)
	}
	if err := unix.Mount("overlay", o[0], "overlay", 0,
		fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", o[1], o[2], o[3])); err != nil {
		return fmt.Errorf("mount the overlay %s: %w", *overlay, err)
	}
	return nil
}

func extraFiles() []*os.File {
	var files []*os.File
	for i := range *extra {
		fd := 3 + i
		unix.CloseOnExec(fd)
		files = append(files, os.NewFile(uintptr(fd), "extra"))
	}
	return files
}
