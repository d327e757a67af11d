package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/queuemgr/queuemgr/test/systemd/wire"
)

// command is one that runs.
type command struct{ cmd *exec.Cmd }

// serve obeys the host until the conversation ends.
func serve(host *wire.Stream, bootID string) error {
	if err := host.Send(wire.Frame{Hello: &wire.Hello{BootID: bootID}}); err != nil {
		return err
	}
	var mu sync.Mutex
	running := map[uint64]*command{}
	for {
		f, err := host.Receive()
		if err != nil {
			return err
		}
		mu.Lock()
		c := running[f.ID]
		mu.Unlock()
		switch {
		case f.Start:
			c, out, err := start(f.ID)
			if err != nil {
				if err := host.Send(wire.Frame{ID: f.ID, Exit: &wire.Exit{Error: err.Error()}}); err != nil {
					return err
				}
				continue
			}
			mu.Lock()
			running[f.ID] = c
			mu.Unlock()
			go func() {
				code := c.finish(host, f.ID, out)
				mu.Lock()
				delete(running, f.ID)
				mu.Unlock()
				_ = host.Send(wire.Frame{ID: f.ID, Exit: &wire.Exit{Code: code}}) // if it fails, Receive fails too
			}()
		case c == nil: // it ended while this frame was under way
		case f.Kill:
			c.kill()
		}
	}
}

// output holds the reading ends of a command's pipes.
type output struct{ stdout, stderr io.Reader }

func start(id uint64) (*command, output, error) {
	text, err := os.ReadFile(filepath.Join(shared, wire.RunFile(id)))
	if err != nil {
		return nil, output{}, err
	}
	var r wire.Run
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, output{}, err
	}
	u, err := user.Lookup(r.User)
	if err != nil {
		return nil, output{}, err
	}
	argv := r.Argv
	if r.Login {
		// runuser's own PAM service opens a session of logind, as sshd and login do.
		argv = []string{"runuser", "-l", r.User, "-c", loginLine(r)}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + u.HomeDir, "USER=" + u.Username, "LOGNAME=" + u.Username, "SHELL=/bin/sh", "LANG=C.UTF-8",
	}, r.Env...)
	cmd.Dir = r.Dir
	if cmd.Dir == "" {
		cmd.Dir = u.HomeDir
		if _, err := os.Stat(cmd.Dir); err != nil {
			cmd.Dir = "/"
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !r.Login {
		if cmd.SysProcAttr.Credential, err = credential(u); err != nil {
			return nil, output{}, err
		}
	}
	c := &command{cmd: cmd}
	if r.Stdin {
		in, err := os.Open(filepath.Join(shared, wire.StdinFile(id)))
		if err != nil {
			return nil, output{}, err
		}
		defer in.Close() // the command has its own
		cmd.Stdin = in
	}
	var out output
	if out.stdout, err = cmd.StdoutPipe(); err != nil {
		return nil, output{}, err
	}
	if out.stderr, err = cmd.StderrPipe(); err != nil {
		return nil, output{}, err
	}
	return c, out, cmd.Start()
}

// loginLine is the shell command that becomes r's command: a login shell takes no argument vector.
func loginLine(r wire.Run) string {
	line := "exec env"
	if r.Dir != "" {
		line = "cd " + quote(r.Dir) + " && " + line
	}
	for _, word := range append(append([]string{}, r.Env...), r.Argv...) {
		line += " " + quote(word)
	}
	return line
}

func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func credential(u *user.User) (*syscall.Credential, error) {
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	c := new(syscall.Credential)
	if c.Uid, err = id(u.Uid); err != nil {
		return nil, err
	}
	if c.Gid, err = id(u.Gid); err != nil {
		return nil, err
	}
	for _, s := range ids {
		g, err := id(s)
		if err != nil {
			return nil, err
		}
		c.Groups = append(c.Groups, g)
	}
	return c, nil
}

func id(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}

// finish passes the output on until all who hold it have closed it, and returns the exit code.
func (c *command) finish(host *wire.Stream, id uint64, out output) int {
	var copies sync.WaitGroup
	copies.Go(func() { pass(out.stdout, func(b []byte) error { return host.Send(wire.Frame{ID: id, Stdout: b}) }) })
	copies.Go(func() { pass(out.stderr, func(b []byte) error { return host.Send(wire.Frame{ID: id, Stderr: b}) }) })
	copies.Wait()
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if err == nil || !errors.As(err, &exit) {
		return 0
	}
	if s := exit.Sys().(syscall.WaitStatus); s.Signaled() {
		return 128 + int(s.Signal())
	}
	return exit.ExitCode()
}

func pass(r io.Reader, send func([]byte) error) {
	buf := make([]byte, wire.Chunk)
	for {
		n, err := r.Read(buf)
		if n > 0 && send(buf[:n]) != nil {
			return
		}
		if err != nil {
			return
		}
	}
}

// kill ends the command's process group. runuser puts a login's command into a session of its own and
// ends it when it is told to end, so it is asked.
func (c *command) kill() {
	sig := syscall.SIGKILL
	if c.cmd.Args[0] == "runuser" {
		sig = syscall.SIGTERM
	}
	_ = syscall.Kill(-c.cmd.Process.Pid, sig) // it may have ended
}
