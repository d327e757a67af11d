package runner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// spawnPool forks on a few threads of its own.
type spawnPool struct {
	sys    *linux
	null   int // /dev/null
	limit  int64
	drop   *Drop    // nil: every run gets the runner's own account
	speak  []string // variables by which runs find the notify socket
	uid    uint32   // the runner's own, as gid
	gid    uint32
	ctx    context.Context // done when the pool closes
	cancel context.CancelFunc

	mu     sync.Mutex // guards queue and closed
	more   sync.Cond
	queue  []*wire.Start
	closed bool
	done   sync.WaitGroup
}

const (
	// logUmask makes log files 0640 and their directories 0750.
	logUmask = 0o027
	// keepFree descriptors are left for everything that is not a job.
	keepFree = 64
	// busyTries is how often a program that somebody still writes is tried, busyWait apart.
	busyTries = 5
	busyWait  = 10 * time.Millisecond
)

func newSpawnPool(sys *linux, drop *Drop) (*spawnPool, error) {
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/null: %w", err)
	}
	p := &spawnPool{sys: sys, null: null, limit: math.MaxInt64, drop: drop}
	p.uid, p.gid = uint32(os.Geteuid()), uint32(os.Getegid())
	p.speak = []string{notifyVariable + "=" + sys.hear.path}
	if p.uid == 0 && drop == nil {
		// systemd-notify of root speaks in the name of its parent, unless that is who takes the messages.
		p.speak = append(p.speak, "MANAGERPID="+strconv.Itoa(os.Getpid()))
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.more.L = &p.mu
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil && files.Cur < math.MaxInt64 {
		p.limit = max(int64(files.Cur)-keepFree, 1)
	}
	// One more than cores: each waits, without a core, while its child execs.
	workers := runtime.NumCPU() + 1
	own := make(chan error)
	for range workers {
		p.done.Go(func() { p.worker(own) })
		if err := <-own; err != nil {
			// The first failed, as all would: it goes on alone with the umask of the whole process.
			sys.log.Info("the system allows no umask to a thread: one job is forked at a time", "error", err)
			break
		}
	}
	return p, nil
}

// add queues starts; it never waits.
func (p *spawnPool) add(starts []*wire.Start) {
	p.mu.Lock()
	p.queue = append(p.queue, starts...)
	p.mu.Unlock()
	if len(starts) == 1 {
		p.more.Signal()
	} else {
		p.more.Broadcast()
	}
}

// close drops what is queued and waits for forks under way.
func (p *spawnPool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.more.Broadcast()
	p.done.Wait()
	if err := unix.Close(p.null); err != nil {
		p.sys.log.Error("close /dev/null", "error", err)
	}
}

func (p *spawnPool) next() (*wire.Start, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) == 0 && !p.closed {
		p.more.Wait()
	}
	if p.closed {
		return nil, false
	}
	s := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return s, true
}

// worker forks on a thread with a umask of its own, which ends with it. It says in own if the system,
// a container's filter most likely, allows none: then it must be the only worker, and nothing else
// in the process may rely on the umask.
func (p *spawnPool) worker(own chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread is not fit for anything else
	err := unix.Unshare(unix.CLONE_FS)
	umask := unix.Umask(logUmask)
	own <- err
	for {
		s, ok := p.next()
		if !ok {
			return
		}
		res := p.start(s, umask)
		p.sys.post(func(c *Core) {
			c.HandleSpawned(res)
			if p.drop != nil {
				p.sys.hear.expected(res.RunID)
			}
		})
	}
}

// start forks and execs one run. The thread's umask is logUmask before and after.
func (p *spawnPool) start(s *wire.Start, umask int) Spawned {
	res := Spawned{RunID: s.RunID}
	if p.sys.fds.Load() >= p.limit {
		res.Err = spawnError(unix.EMFILE, "too many jobs for the limit of open files: %v", unix.EMFILE)
		return res
	}
	s.Env = jobEnvironment(s.Env, s, p.speak)
	who, serr := p.identify(s)
	if serr != nil {
		res.Err = serr
		return res
	}
	path, serr := p.findProgram(s, who)
	if serr != nil {
		res.Err = serr
		return res
	}
	out, err := p.openLog(s.Stdout, who)
	if err != nil {
		res.Err = logError(s.Stdout, err)
		return res
	}
	defer p.closeLog(s.Stdout, out)
	errs := out
	if s.Stderr != "" {
		if errs, err = p.openLog(s.Stderr, who); err != nil {
			res.Err = logError(s.Stderr, err)
			return res
		}
		defer p.closeLog(s.Stderr, errs)
	}
	stdin := p.null
	if s.Stdin != nil {
		if stdin, err = openStdin(s.Stdin); err != nil {
			res.Err = placeError("prepare its standard input", err)
			return res
		}
		defer p.closeLog("standard input", stdin)
	}
	uid, gid := p.uid, p.gid
	if who != nil {
		uid, gid = who.cred.Uid, who.cred.Gid
		p.sys.hear.expect(s.RunID, uid)
	}
	folder := Folder{Dir: s.Dir, UID: uid}
	if s.Dir != "" {
		if err := p.makeFolder(s, folder, gid); err != nil {
			res.Err = placeError("make its folder "+s.Dir, err)
			return res
		}
	}
	if s.Umask != nil {
		umask = int(*s.Umask & 0o777)
	}
	pidfd := -1
	attr := &syscall.ProcAttr{
		Dir: s.Cwd, Env: s.Env,
		Files: []uintptr{uintptr(stdin), uintptr(out), uintptr(errs)},
		Sys:   &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd},
	}
	if who != nil {
		attr.Env, attr.Sys.Credential = who.env, who.cred
	}
	var pid int
	var before uint64
	for try := 1; ; try++ {
		unix.Umask(umask)
		res.At, before = time.Now(), ticksNow()
		pid, err = syscall.ForkExec(path, s.Argv, attr)
		unix.Umask(logUmask)
		// A script that was just written is busy for as long as a process forked meanwhile by
		// the writer still has it open, which is until that process execs.
		if !errors.Is(err, syscall.ETXTBSY) || try == busyTries {
			break
		}
		time.Sleep(busyWait)
	}
	if err != nil {
		res.Err = p.explain(s, path, who, err)
		if s.Dir != "" {
			if err := p.sys.folders.clear(folder); err != nil {
				p.sys.log.Warn("remove the folder of a job that was not started", "run", s.RunID, "folder", s.Dir, "error", err)
			}
		}
		return res
	}
	res.Process = &Process{PID: pid, Child: true, FD: pidfd, UID: uid}
	if s.Dir != "" {
		if err := p.sys.folders.show(folder, map[string]string{wire.FilePID: strconv.Itoa(pid) + "\n"}); err != nil {
			p.sys.log.Warn("write the view of a job", "run", s.RunID, "folder", s.Dir, "error", err)
		}
	}
	p.sys.fds.Add(1)
	if res.Process.Ticks = before; ticksNow() != before || before == 0 {
		// The fork was on one side or the other of a tick: only the kernel can tell.
		info, err := p.sys.proc.stat(pid)
		if err != nil {
			p.sys.log.Warn("a job's start time is not known", "pid", pid, "error", err)
		}
		res.Process.Ticks = info.Ticks
	}
	return res
}

// identify finds out as whom s runs; nil means as the runner itself.
func (p *spawnPool) identify(s *wire.Start) (*identity, *SpawnError) {
	switch {
	case p.drop != nil:
		return p.drop.identify(p.ctx, s)
	case s.User != "":
		return nil, notNow(fmt.Sprintf("this runner starts jobs as its own user only, not as %s", s.User))
	}
	return nil, nil
}

// findProgram is the function of that name with the rights of who. What changes between that and the exec
// opens no door: the child has the same rights, and no other, when it changes directory and execs.
func (p *spawnPool) findProgram(s *wire.Start, who *identity) (path string, err *SpawnError) {
	if who == nil {
		return findProgram(s)
	}
	if aerr := who.as(func() { path, err = findProgram(s) }); aerr != nil {
		return "", notNow(aerr.Error())
	}
	return path, err.forAccount(who)
}

// explain is the function of that name with the rights of who.
func (p *spawnPool) explain(s *wire.Start, path string, who *identity, err error) (e *SpawnError) {
	if who == nil {
		return explain(s, path, err)
	}
	if errors.Is(err, unix.EAGAIN) {
		return processLimit(who)
	}
	if aerr := who.as(func() { e = explain(s, path, err) }); aerr != nil {
		return notNow(aerr.Error())
	}
	return e.forAccount(who)
}

// makeFolder makes the run's folder with what it shows before it runs.
func (p *spawnPool) makeFolder(s *wire.Start, f Folder, gid uint32) error {
	unborn := run{runRecord: runRecord{Intent: intent{View: s.View}}}
	return p.sys.folders.create(f, gid, map[string]string{
		wire.FileStatus:  unborn.view(),
		wire.FileCmdline: strings.Join(s.Argv, "\x00") + "\x00",
	}, s.Params)
}

// openLog opens a log file for appending, for a job of who.
func (p *spawnPool) openLog(path string, who *identity) (int, error) {
	if who == nil {
		return openLog(path)
	}
	return logFolder(p.drop.Logs).open(path, who.cred.Uid)
}

// openLog opens a log file for appending. Its directory is only made once that is seen to be
// missing, so that the usual start costs one system call.
func openLog(path string) (int, error) {
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_CLOEXEC | unix.O_NOCTTY
	for try := 0; ; {
		fd, err := unix.Open(path, flags, 0o640)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOENT) && try == 0:
			try++
			if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
				return -1, err
			}
		default:
			return fd, err
		}
	}
}

func (p *spawnPool) closeLog(path string, fd int) {
	if err := unix.Close(fd); err != nil {
		p.sys.log.Error("close a log file", "path", path, "error", err)
	}
}
