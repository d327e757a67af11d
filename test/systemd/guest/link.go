package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/queuemgr/queuemgr/test/systemd/wire"
)

// errLinkLost ends commands whose guest, or its agent, ended before they did.
var errLinkLost = errors.New("the guest went away before the command ended")

// killWait is how long a killed command gets to be gone.
const killWait = 15 * time.Second

// link is the host's end of the conversation with a guest, over its reboots.
type link struct {
	mu      sync.Mutex
	stream  *wire.Stream // nil: no agent there
	bootID  string
	next    uint64
	calls   map[uint64]*call
	changed chan struct{} // closed and replaced at each hello and each end
}

// call is a command under way. While link.calls has it, link.mu guards its fields; afterwards they are
// whose run it is.
type call struct {
	stdout, stderr bytes.Buffer
	exit           wire.Exit
	err            error
	done           chan struct{}
}

func newLink() *link { return &link{calls: map[uint64]*call{}, changed: make(chan struct{})} }

// serve receives from one stream until it ends.
func (l *link) serve(rw io.ReadWriter) {
	stream := wire.NewStream(rw)
	defer l.lose(stream)
	for {
		f, err := stream.Receive()
		if err != nil {
			return
		}
		l.mu.Lock()
		if f.Hello != nil {
			l.drop()
			l.stream, l.bootID = stream, f.Hello.BootID
			l.wake()
		}
		if c := l.calls[f.ID]; c != nil { // else it was given up
			c.stdout.Write(f.Stdout)
			c.stderr.Write(f.Stderr)
			if f.Exit != nil {
				delete(l.calls, f.ID)
				c.exit = *f.Exit
				close(c.done)
			}
		}
		l.mu.Unlock()
	}
}

// lose ends the calls of a stream that has ended.
func (l *link) lose(stream *wire.Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream == stream {
		l.drop()
		l.stream = nil
		l.wake()
	}
}

// drop ends all calls; l.mu is held.
func (l *link) drop() {
	for id, c := range l.calls {
		delete(l.calls, id)
		c.err = errLinkLost
		close(c.done)
	}
}

func (l *link) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// booted waits for the agent of another boot than old and returns its boot id.
func (l *link) booted(ctx context.Context, old string, ended <-chan struct{}) (string, error) {
	for {
		l.mu.Lock()
		id, there, changed := l.bootID, l.stream != nil, l.changed
		l.mu.Unlock()
		if there && id != old {
			return id, nil
		}
		select {
		case <-changed:
		case <-ended:
			return "", errors.New("the guest ended before it was up")
		case <-ctx.Done():
			return "", fmt.Errorf("wait for the guest's agent: %w", context.Cause(ctx))
		}
	}
}

// run runs a command in the guest until it ends or ctx does; then it is killed.
func (l *link) run(ctx context.Context, r wire.Run, stdin io.Reader) (*call, error) {
	r.Stdin = stdin != nil
	c := &call{done: make(chan struct{})}
	l.mu.Lock()
	stream := l.stream
	if stream == nil {
		l.mu.Unlock()
		return c, errors.New("the guest is not up")
	}
	l.next++
	id := l.next
	l.calls[id] = c
	l.mu.Unlock()
	defer l.forget(id)

	if err := stream.Send(wire.Frame{ID: id, Run: &r}); err != nil {
		return c, err
	}
	if stdin != nil {
		var feeding sync.WaitGroup
		feeding.Go(func() { feed(stream, id, stdin, c.done) })
		defer feeding.Wait()
	}
	select {
	case <-c.done:
		return c, c.err
	case <-ctx.Done():
	}
	if err := stream.Send(wire.Frame{ID: id, Kill: true}); err != nil {
		return c, err
	}
	select {
	case <-c.done:
		return c, context.Cause(ctx)
	case <-time.After(killWait):
		l.forget(id)
		return c, fmt.Errorf("%w; the command was told to end and did not within %s", context.Cause(ctx), killWait)
	}
}

// forget gives a call up, if it has not ended.
func (l *link) forget(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.calls[id]; c != nil {
		delete(l.calls, id)
		close(c.done)
	}
}

// feed sends the input of a command until it or the command ends.
func feed(stream *wire.Stream, id uint64, stdin io.Reader, ended <-chan struct{}) {
	buf := make([]byte, wire.Chunk)
	for {
		n, err := stdin.Read(buf)
		select {
		case <-ended:
			return
		default:
		}
		if n > 0 && stream.Send(wire.Frame{ID: id, Stdin: buf[:n]}) != nil {
			return
		}
		if err != nil {
			_ = stream.Send(wire.Frame{ID: id, StdinEOF: true}) // if it fails, the call ends too
			return
		}
	}
}
