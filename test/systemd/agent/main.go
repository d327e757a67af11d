// Command agent runs in a test guest as a unit of systemd and executes what the host asks for, with
// the rights of the user that the host names.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/test/systemd/wire"
)

const (
	shared = "/ground"              // a folder of the host
	socket = shared + "/agent.sock" // the host listens here where host and guest share a kernel
	serial = "/dev/ttyS0"           // its other end is a file descriptor of the host
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "agent: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	host, err := dial()
	if err != nil {
		return err
	}
	if err := serve(wire.NewStream(host), strings.TrimSpace(string(boot))); !errors.Is(err, io.EOF) {
		return err
	}
	return nil // the host hung up
}

// dial reaches the host over whichever way this kind of guest has.
func dial() (io.ReadWriter, error) {
	if _, err := os.Stat(socket); err == nil {
		return new(net.Dialer).DialContext(context.Background(), "unix", socket)
	}
	// Without O_NOCTTY the serial line would become this session's terminal and its hang-ups kill.
	tty, err := os.OpenFile(serial, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("neither %s nor a serial line: %w", socket, err)
	}
	if err := raw(int(tty.Fd())); err != nil {
		return nil, fmt.Errorf("set %s to raw: %w", serial, err)
	}
	return tty, nil
}

// raw turns off everything a terminal does to bytes (cfmakeraw(3)).
func raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB
	t.Cflag |= unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}
