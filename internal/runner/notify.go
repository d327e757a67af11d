package runner

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// notifier tells systemd, or who else speaks sd_notify(3), how the runner is. Nobody is told when
// it is empty.
type notifier string

const notifyVariable = "NOTIFY_SOCKET"

// takeNotifier takes the socket out of the environment: no child shall speak for the runner.
func takeNotifier() (notifier, error) {
	n := notifier(os.Getenv(notifyVariable))
	return n, os.Unsetenv(notifyVariable)
}

// tell sends assignments, such as READY=1, in one datagram.
func (n notifier) tell(assignments ...string) error {
	if n == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: string(n), Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer func() { _ = conn.Close() }() // what was sent is sent
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	if _, err := conn.Write([]byte(strings.Join(assignments, "\n"))); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}

// killMargin is how long ends may take after the last KILL: the looks at what survives it and the
// last words to the daemon.
const killMargin = 20 * time.Second

// stopping says that the runner ends and asks for within, and for what comes after it.
func (n notifier) stopping(within time.Duration) error {
	return n.tell("STOPPING=1", "STATUS=stopping all jobs",
		fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (within+killMargin).Microseconds()))
}
