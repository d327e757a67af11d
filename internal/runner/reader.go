package runner

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// reader takes datagrams off the notify socket, in a goroutine of its own, when it is told to. A sender can
// hold it: a descriptor that comes along is closed by the kernel on the reader's thread, and closing some waits. Then
// it is left behind, and another one reads.
type reader struct {
	h    *hearing
	do   chan struct{} // read now
	done chan struct{} // that was done
	left atomic.Bool

	buf    []byte
	oob    []byte
	msg    unix.Msghdr
	iov    unix.Iovec
	kin    []relative // that belong to runs, the one heard of last at the end
	others []relative // that belong to none, so too
	lastID string
}

const (
	// maxKin is how many senders that are no leaders are remembered, and how many that belong to no run.
	maxKin = 16
	// maxEnviron bounds how much of a sender's environment is read: it may have gigabytes.
	maxEnviron = 256 << 10
	// maxParents is how far up a sender's parents are looked at.
	maxParents = 64
	// maxReaders bounds those that are held.
	maxReaders = 8
)

// heldAfter is how long reading may take, twice in a row, so that a machine that slept does not count.
const heldAfter = time.Second

func newReader(h *hearing) *reader {
	r := &reader{h: h, do: make(chan struct{}, 1), done: make(chan struct{}, 1),
		// One byte more than is allowed, so that what is larger is seen to be.
		buf: make([]byte, wire.MaxDatagram+1),
		// Room for the sender alone: descriptors that come along find none.
		oob: make([]byte, unix.CmsgSpace(unix.SizeofUcred)),
	}
	r.iov.Base, r.msg.Iov = &r.buf[0], &r.iov
	r.iov.SetLen(len(r.buf))
	r.msg.SetIovlen(1)
	return r
}

func (r *reader) run() {
	for range r.do {
		r.drain()
		r.done <- struct{}{}
	}
	for _, list := range [][]relative{r.kin, r.others} {
		for i := range list {
			_ = unix.Close(list[i].fd) // nothing is left to do with it
		}
	}
}

// read has everything taken off the socket that is there now. It says whether that was done: not while too
// many readers are held. One goroutine calls it.
func (h *hearing) read() bool {
	for h.reader != nil || h.held.Load() < maxReaders {
		if h.reader == nil {
			h.reader = newReader(h)
			h.readers.Go(h.reader.run)
		}
		if h.reader.read(h.patience) {
			return true
		}
		h.leave(h.reader)
	}
	return false
}

// read has the reader read. It says whether that came to its end in time.
func (r *reader) read(patience *time.Timer) bool {
	r.do <- struct{}{}
	for range 2 {
		patience.Reset(heldAfter)
		select {
		case <-r.done:
			patience.Stop()
			return true
		case <-patience.C:
		}
	}
	return false
}

// leave leaves a reader behind that is held.
func (h *hearing) leave(r *reader) {
	held := h.held.Add(1)
	h.log.Error("reading the notify socket is held up, by a descriptor that somebody sent along or by a process of his", "held", held)
	if held >= maxReaders {
		h.log.Error("nobody reads the notify socket until one is let go: what jobs say is lost, no watchdog stops any", "held", held)
	}
	r.left.Store(true)
	close(r.do)
	h.reader = nil
	go func() { // ends with the sender's patience, or with the process
		<-r.done
		h.held.Add(-1)
		h.again()
	}()
}

// sender is who the kernel says has sent a datagram.
type sender struct {
	pid int
	uid uint32
}

// receive takes one datagram off the socket. whole is false when it was larger than is allowed.
func (r *reader) receive() (b []byte, from sender, whole bool, err error) {
	for {
		r.msg.Control = &r.oob[0]
		r.msg.SetControllen(len(r.oob))
		n, _, errno := unix.Syscall(unix.SYS_RECVMSG, uintptr(r.h.fd), uintptr(unsafe.Pointer(&r.msg)), unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		default:
			return nil, from, false, errno
		}
		head := (*unix.Cmsghdr)(unsafe.Pointer(&r.oob[0]))
		if int(r.msg.Controllen) >= unix.CmsgLen(unix.SizeofUcred) && head.Level == unix.SOL_SOCKET && head.Type == unix.SCM_CREDENTIALS {
			cred := (*unix.Ucred)(unsafe.Pointer(&r.oob[unix.CmsgLen(0)]))
			from = sender{pid: int(cred.Pid), uid: cred.Uid}
		}
		return r.buf[:n], from, r.msg.Flags&unix.MSG_TRUNC == 0 && n <= wire.MaxDatagram, nil
	}
}

// drain takes off the socket what was there when it was called, and wakes the core when that is due.
func (r *reader) drain() {
	now := time.Now()
	for range r.h.limit {
		b, from, whole, err := r.receive()
		if err != nil {
			if !errors.Is(err, unix.EAGAIN) {
				r.h.log.Error("read the notify socket", "error", err)
			}
			break
		}
		r.take(b, from, whole, now)
		if r.left.Load() {
			break // another one reads
		}
	}
	r.h.wake(now)
}

// take finds out who sent a datagram.
func (r *reader) take(b []byte, from sender, whole bool, now time.Time) {
	d, wrong := parseDatagram(b)
	if !whole {
		wrong = fmt.Sprintf("a message of more than %d bytes; a larger result is put into $QUEUEMGR_DIR/%s by rename",
			wire.MaxDatagram, wire.FileResult)
	}
	var id string
	var unborn bool
	if d.runID != nil {
		id = r.name(d.runID)
	} else {
		id, unborn = r.whose(from)
	}
	r.h.take(id, unborn, &d, wrong, from, now)
}

// name is string(b); most datagrams in a row name the same run.
func (r *reader) name(b []byte) string {
	if string(b) != r.lastID {
		r.lastID = string(b)
	}
	return r.lastID
}

// relative is a process that is no leader, and the run that it belongs to. The handle shows for how long the
// number is still the same process.
type relative struct {
	pid, fd int
	runID   string // "" = none
}

// whose finds the run that a sender belongs to. unborn says that it is a child of the runner whose
// fork is not answered yet.
func (r *reader) whose(from sender) (runID string, unborn bool) {
	pid := from.pid
	if pid <= 0 {
		return "", false // of another pid namespace
	}
	if !r.h.mayBeOurs(from.uid) {
		return "", false
	}
	if id, ok := r.h.books.leader(pid); ok {
		return id, false
	}
	for _, list := range []*[]relative{&r.kin, &r.others} {
		if k, known := recall(list, pid); known {
			return k.runID, false
		}
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		fd = -1 // gone and reaped, or out of descriptors
	}
	id, below := r.search(pid)
	if fd >= 0 && (id == "" && below > 0 || !stillThere(fd)) {
		_ = unix.Close(fd) // nothing is left to do with it
		fd = -1
	}
	if fd < 0 {
		return id, id == "" && below == 1
	}
	list := &r.kin
	if id == "" {
		list = &r.others
	}
	remember(list, relative{pid: pid, fd: fd, runID: id})
	return id, false
}

// recall finds a process that is remembered and has not ended.
func recall(list *[]relative, pid int) (relative, bool) {
	i := slices.IndexFunc(*list, func(k relative) bool { return k.pid == pid })
	if i < 0 {
		return relative{}, false
	}
	k := (*list)[i]
	if stillThere(k.fd) {
		return k, true
	}
	_ = unix.Close(k.fd) // nothing is left to do with it
	*list = slices.Delete(*list, i, i+1)
	return relative{}, false
}

// remember adds k to list, in place of the oldest where it is full.
func remember(list *[]relative, k relative) {
	if len(*list) == maxKin {
		_ = unix.Close((*list)[0].fd) // nothing is left to do with it
		*list = slices.Delete(*list, 0, 1)
	}
	*list = append(*list, k)
}

// stillThere says whether the process of a pidfd has not ended.
func stillThere(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n == 0
		}
	}
}

// search looks for a run in what /proc tells: the session and the parents, then the run id of the environment. below says how far
// below this process pid is: 0 = not; 1 = a child that leads its session, as a run does whose fork is not
// answered yet; 2 = another one, which may
// belong to such a run, or nobody knows.
func (r *reader) search(pid int) (runID string, below int) {
	self := os.Getpid()
	for depth, at := 0, pid; at > 1 && depth < maxParents; depth++ {
		info, err := r.h.proc.stat(at)
		if err != nil {
			below = 2 // gone, or this process is out of descriptors: nobody knows
			break
		}
		for _, p := range []int{at, info.Session} {
			if id, ok := r.h.books.leader(p); ok {
				return id, below
			}
		}
		if info.PPID == self {
			below = 2
			if at == pid && info.Session == pid {
				below = 1
			}
			break
		}
		at = info.PPID
	}
	b, whole, err := readAtMost("/proc/"+strconv.Itoa(pid)+"/environ", maxEnviron)
	if outOf(err) {
		return "", max(below, 2)
	}
	if err != nil || !whole {
		return "", below
	}
	id := variable(b, runIDVariable)
	if _, _, alive := r.h.books.speaker(id); alive && id != "" {
		return id, below
	}
	return "", below
}
