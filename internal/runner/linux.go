package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// linux is the System of a real machine. Its methods are called by the core's goroutine; results
// of background work go through post, which runs a function on that goroutine.
type linux struct {
	log     *slog.Logger
	bootID  string
	post    func(func(*Core))
	ready   *poller
	spawns  *spawnPool
	hear    *hearing
	folders folders
	proc    procfs
	fds     atomic.Int64 // pidfds open
	work    sync.WaitGroup
}

func newLinux(cfg *Config, post func(func(*Core))) (*linux, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("read the boot id: %w", err)
	}
	l := &linux{log: cfg.Log, bootID: strings.TrimSpace(string(boot)), post: post}
	l.folders.log = cfg.Log
	if cfg.Drop != nil {
		l.folders.drop, l.folders.daemon = true, cfg.Drop.Daemon
	}
	if err := l.proc.init(); err != nil {
		return nil, err
	}
	if l.hear, err = listenNotify(notifyPath(cfg.Socket), cfg.Log); err != nil {
		return nil, err
	}
	l.hear.proc, l.hear.post = &l.proc, post
	if l.ready, err = newPoller(post); err != nil {
		return nil, errors.Join(err, l.hear.close())
	}
	if l.spawns, err = newSpawnPool(l, cfg.Drop); err != nil {
		return nil, errors.Join(err, l.ready.close(), l.hear.close())
	}
	return l, nil
}

// listen begins to hear what runs say, for c.
func (l *linux) listen(c *Core) error {
	l.hear.books = c
	return l.ready.listen(l.hear)
}

// close stops and awaits all background work.
func (l *linux) close() error {
	l.spawns.close()
	err := errors.Join(l.ready.close(), l.hear.close())
	l.work.Wait()
	l.folders.work.Wait()
	return err
}

// Now implements System.
func (l *linux) Now() time.Time { return time.Now() }

// BootID implements System.
func (l *linux) BootID() string { return l.bootID }

// Spawn implements System.
func (l *linux) Spawn(starts []*wire.Start) { l.spawns.add(starts) }

// Open implements System.
func (l *linux) Open(pid int, ticks uint64) (*Process, bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case err == nil:
		l.fds.Add(1)
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		fd = -1 // Signal and Ended look at the start time instead
	default:
		return nil, false
	}
	p := &Process{PID: pid, Ticks: ticks, FD: fd}
	// The handle is to whatever has the pid now; the start time says whether that is it.
	info, err := l.proc.stat(pid)
	var owner unix.Stat_t
	if err == nil {
		err = unix.Stat("/proc/"+strconv.Itoa(pid), &owner)
	}
	if err != nil || info.Ticks != ticks || info.Zombie {
		l.Release(p)
		return nil, false
	}
	p.UID = owner.Uid
	return p, true
}

// Watch implements System.
func (l *linux) Watch(p *Process, token uint64) error {
	if p.FD < 0 {
		return unix.EMFILE
	}
	return l.ready.add(p.FD, token)
}

// Ended implements System.
func (l *linux) Ended(p *Process) (Exit, bool) {
	if !p.Child {
		return Exit{}, l.gone(p)
	}
	var info unix.Siginfo
	var usage unix.Rusage
	err := waitid(unix.P_PIDFD, p.FD, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, &usage)
	if err != nil {
		l.log.Error("waitid of a job", "pid", p.PID, "error", err)
		return Exit{}, errors.Is(err, unix.ECHILD)
	}
	child := childInfo(&info)
	if child.pid == 0 {
		return Exit{}, false
	}
	x := Exit{Known: true, Usage: usageOf(&usage)}
	switch info.Code {
	case cldExited:
		x.Code = int(child.status)
	default:
		x.Signal, x.Core = int(child.status), info.Code == cldDumped
	}
	return x, true
}

// gone says whether a process that is not our child has ended.
func (l *linux) gone(p *Process) bool {
	if p.FD < 0 {
		info, err := l.proc.stat(p.PID)
		return err != nil || info.Ticks != p.Ticks || info.Zombie
	}
	fds := []unix.PollFd{{Fd: int32(p.FD), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n == 1
		}
	}
}

// Signal implements System.
func (l *linux) Signal(p *Process, sig syscall.Signal) error {
	var err error
	switch {
	case p.FD >= 0:
		err = unix.PidfdSendSignal(p.FD, sig, nil, 0)
	case l.gone(p):
	default:
		err = unix.Kill(p.PID, sig)
	}
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// Reap implements System.
func (l *linux) Reap(p *Process) {
	if err := waitid(unix.P_PIDFD, p.FD, nil, unix.WEXITED|unix.WNOHANG, nil); err != nil {
		l.log.Error("reap a job", "pid", p.PID, "error", err)
	}
	l.Release(p)
}

// Release implements System.
func (l *linux) Release(p *Process) {
	if p.FD < 0 {
		return
	}
	l.ready.remove(p.FD)
	if err := unix.Close(p.FD); err != nil {
		l.log.Error("close a process handle", "pid", p.PID, "error", err)
	}
	p.FD = -1
	l.fds.Add(-1)
}

// Scan implements System.
func (l *linux) Scan() {
	l.work.Go(func() {
		snap, err := l.proc.snapshot()
		if err != nil {
			l.post(func(c *Core) { c.HandleScanFailed(err) })
			return
		}
		l.post(func(c *Core) { c.HandleScan(snap) })
	})
}

// ScanNow implements System.
func (l *linux) ScanNow() (Snapshot, error) { return l.proc.snapshot() }

// Zombie implements System.
func (l *linux) Zombie() int {
	var info unix.Siginfo
	err := waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err != nil { // ECHILD: no child at all
		return 0
	}
	return int(childInfo(&info).pid)
}

// Zombies implements System.
func (l *linux) Zombies() []int {
	pids, err := l.proc.zombieChildren(os.Getpid())
	if err != nil {
		l.log.Error("look for orphans", "error", err)
	}
	return pids
}

// Said implements System.
func (l *linux) Said(runID string, p *Process, last bool) (Said, bool) {
	return l.hear.said(runID, p, last)
}

// Hear implements System.
func (l *linux) Hear() { l.ready.ask() }

// Show implements System.
func (l *linux) Show(f Folder, files map[string]string) error { return l.folders.show(f, files) }

// Result implements System.
func (l *linux) Result(f Folder) (json.RawMessage, string) { return l.folders.result(f) }

// Clear implements System.
func (l *linux) Clear(f Folder) error { return l.folders.clear(f) }

// ReapOrphan implements System.
func (l *linux) ReapOrphan(pid int) {
	err := waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOHANG, nil)
	if err != nil && !errors.Is(err, unix.ECHILD) {
		l.log.Error("reap an orphan", "pid", pid, "error", err)
	}
}

// Codes of siginfo of SIGCHLD, waitid(2).
const (
	cldExited = 1
	cldDumped = 3
)

// childFields are what waitid(2) fills in, after the three common fields and the padding that
// aligns them on 64-bit machines.
type childFields struct{ pid, uid, status int32 }

func childInfo(info *unix.Siginfo) *childFields {
	offset := unsafe.Sizeof(uintptr(0)) + 8 // 16 or 12
	return (*childFields)(unsafe.Add(unsafe.Pointer(info), offset))
}

// waitid is waitid(2), tried again when a signal interrupts it.
func waitid(idType, id int, info *unix.Siginfo, options int, usage *unix.Rusage) error {
	for {
		err := unix.Waitid(idType, id, info, options, usage)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func usageOf(r *unix.Rusage) wire.Usage {
	const block = 512 // bytes, of ru_inblock and ru_oublock
	return wire.Usage{
		CPUUserUS:   int64(r.Utime.Sec)*1e6 + int64(r.Utime.Usec),
		CPUSystemUS: int64(r.Stime.Sec)*1e6 + int64(r.Stime.Usec),
		MaxRSS:      int64(r.Maxrss) * 1024,
		ReadBytes:   int64(r.Inblock) * block,
		WriteBytes:  int64(r.Oublock) * block,
	}
}
