package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
)

// window is how many runs the runner has at once, as the daemon's default setting allows.
const window = 50

// measureRunner drives queuemgr-runner by its protocol, without a daemon or registry.
func measureRunner(ctx context.Context, b *bench) error {
	dir, err := os.MkdirTemp(b.dir, "runner")
	if err != nil {
		return err
	}
	conn, stop, err := startRunner(ctx, b, dir)
	if err != nil {
		return err
	}
	d := driver{conn: conn, dir: dir, total: b.size.spawn}
	begin := time.Now()
	err = d.run()
	took := time.Since(begin)
	if err = errors.Join(err, stop()); err != nil {
		return err
	}
	b.addRate(runnerAlone, b.size.spawn, took)
	return nil
}

// startRunner starts a runner and shakes hands. stop asks it to end and waits for that.
func startRunner(ctx context.Context, b *bench, dir string) (*wire.Conn, func() error, error) {
	socket := filepath.Join(dir, "runner.sock")
	log, err := os.Create(filepath.Join(dir, "runner.log"))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "queuemgr-runner"), "--socket", socket,
		"--journal", filepath.Join(dir, "runner.journal"), "--lock", filepath.Join(dir, "runner.lock"), "--linger", "1s")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	kill := func(err error) error {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	nc, err := dialWhenThere(ctx, socket)
	if err != nil {
		return nil, nil, kill(err)
	}
	conn := wire.NewConn(nc)
	hello := &wire.Hello{Proto: wire.Proto, Version: "bench", Registry: rand.Text(), Epoch: 1}
	if err := conn.Send(&wire.Message{Hello: hello}); err != nil {
		return nil, nil, kill(err)
	}
	m, err := conn.Receive()
	if err != nil || m.Welcome == nil {
		return nil, nil, kill(fmt.Errorf("the runner gave no welcome: %+v, %w", m, err))
	}
	stop := func() error {
		err := conn.Send(&wire.Message{Quit: &wire.Quit{}})
		for err == nil {
			_, err = conn.Receive()
		}
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			err = nil
		}
		return errors.Join(err, cmd.Wait())
	}
	return conn, stop, nil
}

// dialWhenThere connects to a socket that a process just started will make.
func dialWhenThere(ctx context.Context, socket string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		nc, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err == nil {
			return nc, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// driver keeps a window of runs going until total have ended.
type driver struct {
	conn           *wire.Conn
	dir            string
	total          int
	started, ended int
}

func (d *driver) run() error {
	env := environment()
	for d.ended < d.total {
		if err := d.refill(env); err != nil {
			return err
		}
		m, err := d.conn.Receive()
		if err != nil {
			return err
		}
		if len(m.Events) == 0 {
			continue
		}
		for _, e := range m.Events {
			if e.Kind != wire.Exited {
				continue
			}
			if e.Cause != wire.CauseExit || e.ExitCode == nil || *e.ExitCode != 0 {
				return fmt.Errorf("run %s ended by %s: %s", e.RunID, e.Cause, e.Error)
			}
			d.ended++
		}
		last := m.Events[len(m.Events)-1].Seq
		if err := d.conn.Send(&wire.Message{Ack: &wire.Ack{Cursor: last}}); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) refill(env []string) error {
	var starts []wire.Start
	for d.started < d.total && d.started-d.ended < window {
		d.started++
		starts = append(starts, wire.Start{
			RunID: fmt.Sprintf("%016x", d.started), JobID: int64(d.started), Fence: 1,
			Argv: []string{program}, Env: env, Cwd: "/",
			Stdout: filepath.Join(d.dir, "jobs", fmt.Sprint(d.started/1000), fmt.Sprintf("%d.1.log", d.started)), GraceMS: 10_000,
		})
	}
	if len(starts) == 0 {
		return nil
	}
	return d.conn.Send(&wire.Message{Start: starts})
}

// environment is one of usual size: 20 variables.
func environment() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
	for i := len(env); i < 20; i++ {
		env = append(env, fmt.Sprintf("VARIABLE_%02d=%s", i, strings.Repeat("v", 30)))
	}
	return env
}
