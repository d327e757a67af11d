package guest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// memory of a guest kernel; it is a file in a memory file system of the host that is a bit larger.
const memory = "1G"

func (v *Guest) disk() string { return filepath.Join(v.dir, "disk.img") }

func (v *Guest) makeKernel(ctx context.Context) error {
	return runQuiet(exec.CommandContext(ctx, "cp", "--sparse=always", "--reflink=auto", v.ground.image, v.disk()))
}

func (v *Guest) startKernel(ctx context.Context) error {
	ours, theirs, err := socketpair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return err
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		v.link.serve(conn)
	}()
	v.hangUp = func() {
		conn.Close()
		<-served
	}
	// noreboot: left to itself it executes itself anew while a helper of its former self may still hold the
	// disk's lock, and then panics for want of a root file system.
	// The tilde of ~/.uml is nobody's here, so its folder goes where its memory is.
	v.power, err = v.ground.power(ctx, []string{
		"-cgroup=" + v.ground.name(filepath.Base(v.dir)), "-remove=" + v.dir, "-tmpfs=/dev/shm:1200M",
	}, theirs,
		"env", "LD_PRELOAD="+v.ground.tool("xstate.so"), "TMPDIR=/dev/shm",
		"linux.uml", "mem="+memory, "umid=guest", "uml_dir=/dev/shm/",
		"ubd0="+v.disk(), "root=/dev/ubda", "rw", "hostfs="+v.shared(),
		"noreboot", "con=null", "con0=null,fd:1", "ssl=null", "ssl0=fd:3",
		"systemd.unified_cgroup_hierarchy=1", "systemd.hostname=guest")
	return err
}

// socketpair returns the two ends of a stream; neither is inherited by accident.
func socketpair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "agent"), os.NewFile(uintptr(fds[1]), "guest"), nil
}
