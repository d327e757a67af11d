package jobtype

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// interval is the least time between two datagrams: 20 a second are more than anybody can read.
const interval = 50 * time.Millisecond

// patience is how long a datagram may wait for room in the socket, in the midst of the run and at
// its end. Nothing of the job waits meanwhile, but for its end.
const (
	patience     = time.Second
	lastPatience = 5 * time.Second
)

// maxText is how many bytes a status or an error may have.
const maxText = 1024

// message is what a run has to tell.
type message struct {
	progress int // -1 = nothing said
	status   string
	result   []byte // nil = none, or sent already
	err      string
	retry    string
}

// reporter sends what a run tells of itself to the runner, the newest of it, from a goroutine of its
// own.
type reporter struct {
	socket, id string
	stderr     io.Writer // where it is told when there is no socket: a job type that is run by hand

	mu      sync.Mutex
	now     message
	changed bool
	closed  bool

	wake    chan struct{} // one token stands for any number of changes
	closing chan struct{}
	ended   chan struct{}
	conn    net.Conn // the goroutine's
}

func newReporter(socket, id string, stderr io.Writer) *reporter {
	r := &reporter{socket: socket, id: id, stderr: stderr, now: message{progress: -1},
		wake: make(chan struct{}, 1), closing: make(chan struct{}), ended: make(chan struct{})}
	go r.run()
	return r
}

func (r *reporter) change(what func(*message)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what(&r.now)
	r.changedLocked()
}

func (r *reporter) changedLocked() {
	if r.changed {
		return // the goroutine knows
	}
	r.changed = true
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run sends until close, then what is left.
func (r *reporter) run() {
	defer close(r.ended)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-r.closing:
			r.send(lastPatience)
			if r.conn != nil {
				_ = r.conn.Close() // nothing is read from it
			}
			return
		case <-pause.C:
		}
		select {
		case <-r.closing:
			pause.Reset(0)
			continue
		case <-r.wake:
			if r.send(patience) {
				pause.Reset(interval)
			} else {
				pause.Reset(patience) // and all of it then
			}
		}
	}
}

// close sends what was not sent yet and ends the goroutine. What is told after it is not.
func (r *reporter) close() {
	r.mu.Lock()
	was := r.closed
	r.closed = true
	r.mu.Unlock()
	if !was {
		close(r.closing)
	}
	<-r.ended
}

// send sends all that was said, and reports whether that went well.
func (r *reporter) send(patience time.Duration) bool {
	r.mu.Lock()
	m, changed := r.now, r.changed
	r.now.result, r.changed = nil, false
	r.mu.Unlock()
	if !changed {
		return true
	}
	if r.socket == "" {
		m.print(r.stderr)
		return true
	}
	text := m.text(r.id)
	err := r.write(text, patience)
	if err != nil && r.conn == nil {
		err = r.write(text, patience) // the socket was another's before: it may be there anew
	}
	if err == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now.result == nil {
		r.now.result = m.result
	}
	r.changedLocked()
	return false
}

func (r *reporter) write(text []byte, patience time.Duration) error {
	fresh := r.conn == nil
	if fresh {
		address := &net.UnixAddr{Name: r.socket, Net: "unixgram"} // net knows the @ of an abstract one
		conn, err := net.DialUnix("unixgram", nil, address)
		if err != nil {
			return err
		}
		r.conn = conn
	}
	if err := r.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := r.conn.Write(text)
	if err != nil && !fresh {
		_ = r.conn.Close() // it failed: another is made
		r.conn = nil
	}
	return err
}

// text returns m as the datagram of run id.
func (m *message) text(id string) []byte {
	var b strings.Builder
	line := func(key, value string) { b.WriteString(key + "=" + value + "\n") }
	if id != "" {
		line("X_QUEUEMGR_RUN_ID", id)
	}
	line("WATCHDOG", "1")
	if m.progress >= 0 {
		line("X_QUEUEMGR_PROGRESS", strconv.Itoa(m.progress))
	}
	if m.status != "" {
		line("STATUS", oneLine(m.status))
	}
	if m.err != "" {
		line("X_QUEUEMGR_ERROR", oneLine(m.err))
	}
	if m.retry != "" {
		line("X_QUEUEMGR_RETRY", m.retry)
	}
	if m.result != nil {
		line("X_QUEUEMGR_RESULT", string(m.result))
	}
	return []byte(b.String())
}

// print tells a person who runs a job type by hand.
func (m *message) print(w io.Writer) {
	if m.progress >= 0 || m.status != "" {
		fmt.Fprintf(w, "progress %d %s\n", max(m.progress, 0), oneLine(m.status))
	}
	if m.result != nil {
		fmt.Fprintf(w, "result %s\n", m.result)
	}
}

// oneLine returns text as one line of valid UTF-8 with at most maxText bytes.
func oneLine(text string) string {
	if len(text) > 8*maxText {
		text = text[:8*maxText] // what is cut away need not be looked at
	}
	text = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) <= maxText {
		return text
	}
	end := maxText - len("…")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
