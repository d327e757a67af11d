package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// hearing is the notify socket, one for all runs: what they say of themselves is taken off it, given to
// the run it belongs to, and kept until the core asks. A goroutine of its own reads, see reader; nothing is
// kept of a run that says nothing.
type hearing struct {
	path  string
	fd    int
	log   *slog.Logger
	proc  *procfs
	post  func(func(*Core))
	books books
	own   uint32 // the runner's uid

	limit int    // datagrams that the socket can hold: after so many all that were there are read
	again func() // have read called again, from any goroutine
	held  atomic.Int32
	// Of the goroutine that calls read.
	reader   *reader // idle; nil = none
	patience *time.Timer
	readers  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	runs    map[string]*heardRun
	unborn  map[int]*heardRun // by pid of a child whose fork is not answered yet
	uids    map[string]uint32 // of runs whose fork is not answered yet, when accounts change
	told    []string          // runs with something new, for the next wake-up
	wakeAt  time.Time         // of the wake-up that is due; zero = none
	lastly  time.Time         // of the last wake-up
	alarm   *time.Timer
	closed  bool
	dropped int // datagrams that belong to no run
	sample  string
	saidAt  time.Time // when that was logged
}

// books tell whose a datagram is. Any goroutine may ask.
type books interface {
	// speaker returns the account of a run that has not ended; known is false while only the fork under
	// way knows it.
	speaker(runID string) (uid uint32, known, alive bool)
	// leader returns the run whose leader, a child of this runner and not yet reaped, has the pid.
	leader(pid int) (runID string, ok bool)
	// account says whether a run that has not ended has the account.
	account(uid uint32) bool
}

// heardRun is what one run has said and nobody asked for yet.
type heardRun struct {
	Said
	uid     uint32 // of unborn: who sent it
	ticks   uint64 // of unborn: when it was heard last; see ticksNow
	queued  bool   // in told
	before  bool   // told of once
	foreign int    // refused messages of other accounts
}

const (
	// wakePause is the least time between two wake-ups of the core; firstPause where a run speaks for
	// the first time.
	wakePause  = 100 * time.Millisecond
	firstPause = 10 * time.Millisecond
	// maxUnborn bounds what is kept for runs that are not known yet.
	maxUnborn = 64
	// maxForeign is how many refusals of others' messages a run is told in words: they leave room for those of its own.
	maxForeign = 2
	// dropPause is the time between two lines of log about what belongs to no run.
	dropPause = time.Minute
)

// listenNotify makes the socket at path in place of what a dead runner left.
func listenNotify(path string, log *slog.Logger) (*hearing, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s is in the way: it is not a socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace the notify socket: %w", err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("make the notify socket: %w", err)
	}
	// Before the bind: no datagram shall come without its sender.
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil {
		err = os.Chmod(path, 0o666) // jobs of any account speak; who did is told by the kernel
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on the notify socket %s: %w", path, err), unix.Close(fd))
	}
	h := &hearing{
		path: path, fd: fd, log: log, own: uint32(os.Geteuid()), limit: queueLength(),
		patience: time.NewTimer(time.Hour),
		runs:     map[string]*heardRun{}, unborn: map[int]*heardRun{}, uids: map[string]uint32{},
	}
	return h, nil
}

// queueLength is how many datagrams the new socket can hold.
func queueLength() int {
	const likely = 512 // more than any system's default
	b, err := os.ReadFile("/proc/sys/net/unix/max_dgram_qlen")
	if err != nil {
		return likely
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return likely
	}
	return n + 1 // the kernel asks whether it is longer
}

// close lets the socket go.
func (h *hearing) close() error {
	h.mu.Lock()
	h.closed = true
	if h.alarm != nil {
		h.alarm.Stop()
	}
	h.mu.Unlock()
	if h.reader != nil {
		close(h.reader.do)
	}
	if h.held.Load() > 0 {
		return os.Remove(h.path) // the socket is still in use, for as long as this process is
	}
	h.readers.Wait()
	return errors.Join(os.Remove(h.path), unix.Close(h.fd))
}

// mayBeOurs says whether a sender's account is that of a run, or may speak for all of them. Anybody on the machine can send:
// what others send must cost next to nothing.
func (h *hearing) mayBeOurs(uid uint32) bool {
	if uid == 0 || uid == h.own {
		return true
	}
	h.mu.Lock()
	for _, of := range h.uids {
		if of == uid {
			h.mu.Unlock()
			return true
		}
	}
	h.mu.Unlock()
	return h.books.account(uid)
}

// take gives a datagram to the run id, or keeps it for one that is not known yet.
func (h *hearing) take(id string, unborn bool, d *datagram, wrong string, from sender, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if unborn {
		h.keep(d, wrong, from, now)
		return
	}
	uid, known, alive := h.books.speaker(id)
	if !known {
		uid = h.uids[id]
	}
	if id == "" || !alive {
		h.drop(now, from, id)
		return
	}
	r := h.runs[id]
	if r == nil {
		r = &heardRun{}
		h.runs[id] = r
	}
	if from.uid != uid && from.uid != 0 && from.uid != h.own {
		if r.foreign++; r.foreign <= maxForeign {
			r.refuse(fmt.Sprintf("a message in the name of this job from user %d, process %d", from.uid, from.pid))
		} else {
			r.More++
		}
		h.tell(id, r, now)
		return
	}
	r.hear(d, wrong, now)
	if wrong != "" || d.says() {
		h.tell(id, r, now)
	}
}

// hear takes a datagram of the run itself.
func (r *heardRun) hear(d *datagram, wrong string, now time.Time) {
	r.Heard = now
	if wrong != "" {
		r.refuse("refused: " + wrong)
		return
	}
	r.merge(d)
}

// keep holds what a child said whose fork is not answered yet. The caller holds mu.
func (h *hearing) keep(d *datagram, wrong string, from sender, now time.Time) {
	r := h.unborn[from.pid]
	if r == nil || r.uid != from.uid {
		if len(h.unborn) >= maxUnborn {
			for pid, old := range h.unborn {
				if now.Sub(old.Heard) > time.Second {
					delete(h.unborn, pid)
				}
			}
		}
		if len(h.unborn) >= maxUnborn {
			h.drop(now, from, "")
			return
		}
		r = &heardRun{uid: from.uid}
		h.unborn[from.pid] = r
	}
	r.ticks = ticksNow()
	r.hear(d, wrong, now)
}

// tell arranges for the core to be woken because of run id. The caller holds mu.
func (h *hearing) tell(id string, r *heardRun, now time.Time) {
	if r.queued {
		return
	}
	pause := wakePause
	if !r.before {
		pause = firstPause
	}
	r.queued, r.before = true, true
	h.told = append(h.told, id)
	at := h.lastly.Add(pause)
	if at.Before(now) {
		at = now
	}
	if h.wakeAt.IsZero() || at.Before(h.wakeAt) {
		h.wakeAt = at
	}
}

// wake wakes the core if that is due, and sees to it that it is called again if not.
func (h *hearing) wake(now time.Time) {
	// Not under the lock: the core may be waiting for it.
	if told := h.due(now); told != nil {
		h.post(func(c *Core) { c.HandleSaid(told) })
	}
}

// due returns the runs that the core is to be told of now.
func (h *hearing) due(now time.Time) (told []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch wait := h.wakeAt.Sub(now); {
	case h.wakeAt.IsZero() || h.closed:
		return nil
	case wait > 0 && h.alarm == nil:
		h.alarm = time.AfterFunc(wait, func() { h.wake(time.Now()) })
		return nil
	case wait > 0:
		h.alarm.Reset(wait)
		return nil
	}
	told, h.told = h.told, nil
	h.wakeAt, h.lastly = time.Time{}, now
	for _, id := range told {
		if r := h.runs[id]; r != nil {
			r.queued = false
		}
	}
	return told
}

// said returns what the run has said since it was last asked for. With last nothing more is taken for it.
func (h *hearing) said(id string, p *Process, last bool) (s Said, any bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.runs[id]
	if p != nil && len(h.unborn) > 0 {
		if early := h.unborn[p.PID]; early != nil {
			delete(h.unborn, p.PID)
			stale := early.ticks > 0 && early.ticks < p.Ticks // of an earlier process with the pid
			if !stale && (early.uid == p.UID || early.uid == 0 || early.uid == h.own) {
				if r != nil { // the later counts, as always
					early.join(&r.Said)
				}
				r = early
				h.runs[id] = r
			}
		}
	}
	if r == nil {
		return Said{}, false
	}
	s, r.Said = r.Said, Said{}
	if last {
		delete(h.runs, id)
	}
	return s, true
}

// join adds what was said later.
func (s *Said) join(later *Said) {
	if later.Progress != nil && (s.Progress == nil || *later.Progress > *s.Progress) {
		s.Progress = later.Progress
	}
	if later.Status != nil {
		s.Status = later.Status
	}
	if later.Result != nil {
		s.Result = later.Result
	}
	if later.Error != nil {
		s.Error = later.Error
	}
	if later.Retry != nil {
		s.Retry = later.Retry
	}
	for _, why := range later.Refused {
		s.refuse(why)
	}
	s.More += later.More
	s.Heard = later.Heard
}

// expect says which account the process gets that is about to be forked for a run.
func (h *hearing) expect(id string, uid uint32) {
	h.mu.Lock()
	h.uids[id] = uid
	h.mu.Unlock()
}

// expected forgets that: the core knows it, or there is no process.
func (h *hearing) expected(id string) {
	h.mu.Lock()
	delete(h.uids, id)
	h.mu.Unlock()
}

// drop counts what belongs to no run, and says so now and then. The caller holds mu.
func (h *hearing) drop(now time.Time, from sender, id string) {
	h.dropped++
	if h.sample == "" {
		h.sample = fmt.Sprintf("process %d of user %d, job run %s", from.pid, from.uid, short([]byte(id)))
	}
	if now.Sub(h.saidAt) < dropPause {
		return
	}
	h.log.Warn("messages to the notify socket belong to no job that runs here", "dropped", h.dropped, "one_from", h.sample)
	h.dropped, h.sample, h.saidAt = 0, "", now
}

// notifyPath is the place of the notify socket beside the runner's own.
func notifyPath(socket string) string { return filepath.Join(filepath.Dir(socket), "notify.sock") }

// jobEnvironment puts what the runner says into the environment of a run: where it can speak, and how often it
// must. Nothing of that kind that was there before stays.
func jobEnvironment(env []string, s *wire.Start, speak []string) []string {
	kept := env[:0]
	for _, kv := range env {
		if !ofRunner(kv) {
			kept = append(kept, kv)
		}
	}
	kept = append(kept, speak...)
	if s.WatchdogMS > 0 {
		kept = append(kept, "WATCHDOG_USEC="+strconv.FormatInt(s.WatchdogMS*1000, 10))
	}
	if s.Dir != "" && s.Params != nil {
		kept = append(kept, "QUEUEMGR_PARAMS="+filepath.Join(s.Dir, wire.FileParams))
	}
	return kept
}

// ofRunner says whether a variable is the runner's to set.
func ofRunner(kv string) bool {
	name, _, _ := strings.Cut(kv, "=")
	switch name {
	case notifyVariable, "WATCHDOG_USEC", "WATCHDOG_PID", "MANAGERPID", "MANAGERPIDFDID", "QUEUEMGR_PARAMS":
		return true
	}
	return false
}
