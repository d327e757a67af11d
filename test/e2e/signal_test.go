package e2e

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fifo is how a job and its test tell each other where they are, without any clock: the job
// writes to one or reads from one with plain shell redirections.
type fifo struct {
	t    *testing.T
	path string
	f    *os.File
	in   *bufio.Reader
}

func newFIFO(h *home, name string) *fifo {
	h.t.Helper()
	path := h.Path(name)
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		h.t.Fatal(err)
	}
	// Open for both, so that neither side's opening ever blocks the test.
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { f.Close() })
	return &fifo{t: h.t, path: path, f: f, in: bufio.NewReader(f)}
}

// line waits for a line from a job.
func (f *fifo) line() string {
	f.t.Helper()
	if err := f.f.SetReadDeadline(time.Now().Add(limit)); err != nil {
		f.t.Fatal(err)
	}
	line, err := f.in.ReadString('\n')
	if err != nil {
		f.t.Fatalf("no job wrote to %s: %v", f.path, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// pid waits for a job to tell its process number.
func (f *fifo) pid() int {
	f.t.Helper()
	pid, err := strconv.Atoi(f.line())
	if err != nil {
		f.t.Fatal(err)
	}
	return pid
}

// release lets n jobs go on that read a line.
func (f *fifo) release(n int) {
	f.t.Helper()
	if _, err := f.f.WriteString(strings.Repeat("go\n", n)); err != nil {
		f.t.Fatal(err)
	}
}

// gates are the two FIFOs of a job that says where it is and waits.
type gates struct{ arrived, gate *fifo }

func newGates(h *home) gates {
	h.t.Helper()
	return gates{newFIFO(h, "arrived"), newFIFO(h, "gate")}
}

// script is a shell script that tells its process number, waits to be let go, then does rest.
func (g gates) script(rest string) string {
	// The shell reads byte by byte no more than its line, so that several jobs can share the gate.
	return fmt.Sprintf("echo $$ >'%s'; read x <'%s'; %s", g.arrived.path, g.gate.path, rest)
}
