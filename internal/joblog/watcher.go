package joblog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// watch is one subscription to changes of a file or directory.
type watch struct {
	c  chan struct{} // gets a token after a change; one token stands for any number
	f  func()        // called after a change, or nil
	in *watcher
	wd int32
}

// watcher is the process's one inotify instance: the kernel allows few of them to a user, and one
// goroutine serves any number of files. It lives as long as somebody subscribes.
type watcher struct {
	f     *os.File
	byWD  map[int32]map[*watch]bool
	ended chan struct{} // closed when its goroutine has ended
}

// watchers guards the shared watcher with everything in it.
var watchers struct {
	sync.Mutex
	shared *watcher // nil while nobody follows
}

// inDirectory are the events that tell of new entries of a directory. A file grows and is truncated
// with unix.IN_MODIFY, which a directory has for those in it.
const inDirectory = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_ONLYDIR

// OnGrowth has f called after each change of the log at path, which must be there, until stop is
// called. f must neither block nor follow other logs.
func OnGrowth(path string, f func()) (stop func(), err error) {
	s, err := subscribe(path, unix.IN_MODIFY, f)
	if err != nil {
		return nil, err
	}
	return s.close, nil
}

// subscribe watches a file or a directory for the events of mask. f may be nil.
func subscribe(path string, mask uint32, f func()) (*watch, error) {
	watchers.Lock()
	w := watchers.shared
	if w == nil {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		if err != nil {
			watchers.Unlock()
			return nil, fmt.Errorf("follow a log: %w (the limit is the sysctl fs.inotify.max_user_instances)", err)
		}
		w = &watcher{f: os.NewFile(uintptr(fd), "inotify"), byWD: map[int32]map[*watch]bool{}, ended: make(chan struct{})}
		watchers.shared = w
		go w.run()
	}
	s, err := w.add(path, mask, f)
	idle := w.takeIfIdle() // made for this alone, and of no use
	watchers.Unlock()
	return s, errors.Join(err, idle.end())
}

// close ends the subscription, and the watcher with its goroutine when it was the last one.
func (s *watch) close() {
	watchers.Lock()
	w := s.in
	if same := w.byWD[s.wd]; same[s] {
		delete(same, s)
		if len(same) == 0 {
			delete(w.byWD, s.wd)
			// The kernel has dropped the watch already where the file is gone: EINVAL, as wanted.
			_, _ = w.control(func(fd int) (int, error) { return unix.InotifyRmWatch(fd, uint32(s.wd)) })
		}
	}
	idle := w.takeIfIdle()
	watchers.Unlock()
	_ = idle.end() // closing an inotify descriptor loses nothing
}

func (w *watcher) add(path string, mask uint32, f func()) (*watch, error) {
	wd, err := w.control(func(fd int) (int, error) { return unix.InotifyAddWatch(fd, path, mask|unix.IN_MASK_ADD) })
	if errors.Is(err, unix.ENOSPC) {
		return nil, fmt.Errorf("follow a log: %w (the limit is the sysctl fs.inotify.max_user_watches)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("follow a log: watch %s: %w", path, err)
	}
	s := &watch{c: make(chan struct{}, 1), f: f, in: w, wd: int32(wd)}
	if w.byWD[s.wd] == nil {
		w.byWD[s.wd] = map[*watch]bool{}
	}
	w.byWD[s.wd][s] = true
	return s, nil
}

// control calls f with the inotify descriptor, which stays in the hands of the runtime's poller.
func (w *watcher) control(f func(fd int) (int, error)) (n int, err error) {
	raw, err := w.f.SyscallConn()
	if err != nil {
		return 0, err
	}
	if e := raw.Control(func(fd uintptr) { n, err = f(int(fd)) }); e != nil {
		return 0, e
	}
	return n, err
}

// takeIfIdle makes w no longer the shared one when nobody subscribes, and returns it to be ended
// without the lock; nil else.
func (w *watcher) takeIfIdle() *watcher {
	if len(w.byWD) > 0 || watchers.shared != w {
		return nil
	}
	watchers.shared = nil
	return w
}

// end closes the instance and waits for its goroutine. A nil watcher ends at once.
func (w *watcher) end() error {
	if w == nil {
		return nil
	}
	err := w.f.Close()
	<-w.ended
	return err
}

// run hands the kernel's events to the subscribers until end closes the descriptor.
func (w *watcher) run() {
	defer close(w.ended)
	buf := make([]byte, 16<<10)
	for {
		n, err := w.f.Read(buf)
		if err != nil {
			return // closed: an inotify descriptor has no other errors with a buffer of this size
		}
		w.dispatch(buf[:n])
	}
}

func (w *watcher) dispatch(b []byte) {
	watchers.Lock()
	defer watchers.Unlock()
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		name := binary.NativeEndian.Uint32(b[12:])
		b = b[unix.SizeofInotifyEvent+int(name):]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			for _, same := range w.byWD { // events were lost: everybody looks
				wake(same)
			}
			continue
		}
		wake(w.byWD[wd])
	}
}

func wake(subscribers map[*watch]bool) {
	for s := range subscribers {
		if s.f != nil {
			s.f()
		}
		select {
		case s.c <- struct{}{}:
		default: // it has not looked since the last token
		}
	}
}
