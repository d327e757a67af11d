package runner

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// withoutUnshare is the environment variable that makes this test binary a program that execs its
// arguments with unshare(2) forbidden, as containers do it.
const withoutUnshare = "QUEUEMGR_TEST_WITHOUT_UNSHARE"

// execWithoutUnshare never returns.
func execWithoutUnshare() {
	runtime.LockOSThread() // the filter is the thread's, and what it execs inherits it
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_UNSHARE},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if err == nil {
		err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
	}
	if err == nil {
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "forbid unshare:", err)
	os.Exit(1)
}

func TestUmaskWithoutUnshare(t *testing.T) {
	h := newHome(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	wrap := write(t, h.path("wrap"), fmt.Sprintf("#!/bin/sh\nexec %s %s \"$@\"\n", self, binary(t, "")), 0o700)
	p := startBinary(t, h, wrap, withoutUnshare+"=1")
	c := hello(t, h, wire.Hello{Registry: "r", Epoch: 1})
	var batch []wire.Start
	for i := range 64 {
		batch = append(batch, with(h.sh(fmt.Sprint("run", i), "umask"), func(s *wire.Start) {
			umask := uint32(i)
			s.Umask = &umask
		}))
	}
	c.start(batch...)
	for i := range batch {
		id := fmt.Sprint("run", i)
		c.waitExited(id)
		if got, want := strings.TrimSpace(h.output(t, id)), fmt.Sprintf("%04o", i); got != want {
			t.Errorf("umask %s, want %s", got, want)
		}
		info, err := os.Stat(h.path("log/" + id + ".log"))
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("log file: %v, %v", info.Mode(), err)
		}
	}
	p.kill()
	if !strings.Contains(p.stderr.String(), "one job is forked at a time") {
		t.Errorf("unshare was not forbidden:\n%s", p.stderr.String())
	}
}

// TestRewriteIgnoresUmask: the journal must stay readable whatever a job's umask is.
func TestRewriteIgnoresUmask(t *testing.T) {
	j := openJournal(t, newHome(t).journal())
	defer closeJournal(t, j)
	before := unix.Umask(0o777)
	err := j.Rewrite(nil, false)
	unix.Umask(before)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(j.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
