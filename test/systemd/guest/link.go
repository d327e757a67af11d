package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	shared  string // the folder that the guest sees as /ground
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

func newLink(shared string) *link {
	return &link{shared: shared, calls: map[uint64]*call{}, changed: make(chan struct{})}
}

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

	if err := l.lay(id, r, stdin); err != nil {
		return c, err
	}
	if err := stream.Send(wire.Frame{ID: id, Start: true}); err != nil {
		return c, err
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

// forget gives a call up, if it has not ended, and removes what was laid for it.
func (l *link) forget(id uint64) {
	for _, name := range []string{wire.RunFile(id), wire.StdinFile(id)} {
		_ = os.Remove(filepath.Join(l.shared, name)) // not each has both
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.calls[id]; c != nil {
		delete(l.calls, id)
		close(c.done)
	}
}

// lay puts what the agent needs to start a command into the shared folder.
func (l *link) lay(id uint64, r wire.Run, stdin io.Reader) error {
	r.Stdin = stdin != nil
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.shared, wire.RunFile(id)), text, 0o600); err != nil {
		return err
	}
	if stdin == nil {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(l.shared, wire.StdinFile(id)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, stdin)
	return errors.Join(err, f.Close())
}
