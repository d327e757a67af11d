package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// power is a guest that is switched on: the keeper that runs it.
type power struct {
	cmd     *exec.Cmd
	life    io.WriteCloser
	console *console
	ended   chan struct{} // closed when keeper has ended; then code is set
	code    int
}

// name is the name of a cgroup that no other guest of this machine has.
func (g *Ground) name(guest string) string { return "queuemgr-" + filepath.Base(g.dir) + "-" + guest }

// power starts argv under a keeper with flags; extra becomes its descriptor 3. The keeper is not bound
// to ctx: it ends by itself, by cut, or with this process.
func (g *Ground) power(ctx context.Context, flags []string, extra *os.File, argv ...string) (*power, error) {
	args := flags
	if extra != nil {
		args = append(args, "-extra=1")
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), g.tool("keeper"), append(append(args, "--"), argv...)...)
	if extra != nil {
		cmd.ExtraFiles = []*os.File{extra}
	}
	p := &power{cmd: cmd, console: new(console), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.console, p.console
	cmd.Env = append(os.Environ(), "TERM=dumb")
	// Setsid: an interrupt from the terminal is for the test; the guest ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNS}
	var err error
	if p.life, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start keeper: %w", err)
	}
	go func() {
		defer close(p.ended)
		err := cmd.Wait()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			fmt.Fprintf(p.console, "\nwait for keeper: %v\n", err)
			p.code = 125
			return
		}
		p.code = cmd.ProcessState.ExitCode()
	}()
	return p, nil
}

// wait returns the exit code once nothing of the guest is left on the host.
func (p *power) wait() int {
	<-p.ended
	return p.code
}

// cut kills the guest at once, all its processes together, and waits until nothing is left.
func (p *power) cut() {
	_, _ = p.life.Write([]byte{'c'}) // it may have ended
	<-p.ended
}

// console keeps what a guest writes to its console.
type console struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(b)
}

// tail returns the last lines.
func (c *console) tail(lines int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := bytes.SplitAfter(c.text.Bytes(), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], nil))
}
