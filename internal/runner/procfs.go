package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// procfs reads /proc.
type procfs struct {
	boot time.Time // when the clock of start ticks began
}

// userHZ is the unit of start times in /proc: 100 on every Linux that Go runs on.
const userHZ = 100

const runIDVariable = "QUEUEMGR_RUN_ID"

func (p *procfs) init() error {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return fmt.Errorf("read the time since boot: %w", err)
	}
	p.boot = time.Now().Add(-time.Duration(ts.Nano()))
	return nil
}

// ticksNow is the clock of start times; 0 when it cannot be read. A process forked between two
// equal readings has that start time, which saves a look into /proc.
func ticksNow() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return uint64(ts.Nano()) / (uint64(time.Second) / userHZ)
}

// readFile reads a small /proc file into buf, growing it, without the costs of os.ReadFile.
func readFile(path string, buf []byte) ([]byte, error) {
	var fd int
	var err error
	for {
		if fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return buf[:0], err
	}
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, max(4096, cap(buf)))...)[:len(buf)]
		}
		n, rerr := unix.Read(fd, buf[len(buf):cap(buf)])
		if errors.Is(rerr, unix.EINTR) {
			continue
		}
		if n <= 0 {
			return buf, errors.Join(rerr, unix.Close(fd))
		}
		buf = buf[:len(buf)+n]
	}
}

// readAtMost reads a /proc file of at most limit bytes; whole is false for a larger one, which is not read to its end.
func readAtMost(path string, limit int) (b []byte, whole bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	b, err = io.ReadAll(io.LimitReader(f, int64(limit)+1))
	return b, len(b) <= limit, errors.Join(err, f.Close())
}

// stat reads the facts of one process, its run id excepted.
func (p *procfs) stat(pid int) (ProcessInfo, error) {
	var buf [1024]byte
	b, err := readFile("/proc/"+strconv.Itoa(pid)+"/stat", buf[:0])
	if err != nil {
		return ProcessInfo{}, err
	}
	return p.parseStat(pid, b)
}

func (p *procfs) parseStat(pid int, b []byte) (ProcessInfo, error) {
	info := ProcessInfo{PID: pid}
	// The name, field 2, is in parentheses and may hold anything; fields are counted from 3 after it.
	end := bytes.LastIndexByte(b, ')')
	fields := bytes.Fields(b[end+1:])
	if end < 0 || len(fields) < 20 {
		return info, fmt.Errorf("/proc/%d/stat is not understood", pid)
	}
	number := func(field int) (n uint64) {
		for _, d := range fields[field-3] {
			if d < '0' || d > '9' {
				return 0
			}
			n = n*10 + uint64(d-'0')
		}
		return n
	}
	info.PPID, info.Session = int(number(4)), int(number(6))
	state, threads := fields[0][0], number(20)
	// A main thread that ended while others run is shown as Z, too.
	info.Zombie = (state == 'Z' || state == 'X') && threads <= 1
	info.Ticks = number(22)
	info.Started = p.boot.Add(time.Duration(info.Ticks) * (time.Second / userHZ))
	return info, nil
}

// pids lists all processes.
func (p *procfs) pids() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// snapshot looks at all processes. Those that end meanwhile are left out.
func (p *procfs) snapshot() (Snapshot, error) {
	pids, err := p.pids()
	if err != nil {
		return nil, err
	}
	snap := make(Snapshot, 0, len(pids))
	var buf []byte
	for _, pid := range pids {
		dir := "/proc/" + strconv.Itoa(pid)
		if buf, err = readFile(dir+"/stat", buf); outOf(err) {
			return nil, err
		} else if err != nil {
			continue
		}
		info, err := p.parseStat(pid, buf)
		if err != nil {
			continue
		}
		if !info.Zombie {
			// Unreadable for another user's process: then it is none of ours.
			if buf, err = readFile(dir+"/environ", buf); err == nil {
				info.RunID = variable(buf, runIDVariable)
			} else if outOf(err) {
				return nil, err
			}
		}
		snap = append(snap, info)
	}
	return snap, nil
}

// outOf says whether err is about the reader's own limits and not about what was read.
func outOf(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

// variable finds a variable in NUL-separated KEY=VALUE pairs.
func variable(environ []byte, key string) string {
	for len(environ) > 0 {
		pair := environ
		if i := bytes.IndexByte(environ, 0); i >= 0 {
			pair, environ = environ[:i], environ[i+1:]
		} else {
			environ = nil
		}
		if len(pair) > len(key) && pair[len(key)] == '=' && string(pair[:len(key)]) == key {
			return string(pair[len(key)+1:])
		}
	}
	return ""
}

// zombieChildren lists the children of parent that ended and are not reaped.
func (p *procfs) zombieChildren(parent int) ([]int, error) {
	pids, err := p.pids()
	if err != nil {
		return nil, err
	}
	var zombies []int
	for _, pid := range pids {
		if info, err := p.stat(pid); err == nil && info.Zombie && info.PPID == parent {
			zombies = append(zombies, pid)
		}
	}
	return zombies, nil
}
