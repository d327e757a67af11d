// Package wire is what host and agent of a test guest say to each other: one JSON object a line,
// over a socket or a serial line. A line that is no frame (a kernel message on the serial line, the
// torn half of a frame before a power cut) is skipped, so both ends are in step again at the next.
package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Chunk is the most bytes of a stream that one frame carries.
const Chunk = 16 << 10

// Frame is one message. Exactly one of the fields beside ID is set.
type Frame struct {
	ID uint64 `json:"id,omitempty"` // the command it belongs to, chosen by the host

	// From the host. A serial line of user-mode Linux stalls for good after some 100 KiB of input in a row, so
	// what may be long waits in the shared folder: the Run at RunFile, the command's input at StdinFile.
	Start bool `json:"start,omitempty"`
	Kill  bool `json:"kill,omitempty"` // end the command, by force

	// From the agent.
	Hello  *Hello `json:"hello,omitempty"`
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
	Exit   *Exit  `json:"exit,omitempty"` // the last frame of a command
}

// Hello is the agent's first frame; all commands of earlier ones are gone.
type Hello struct {
	BootID string `json:"boot_id"`
}

// Run starts a command.
type Run struct {
	Argv  []string `json:"argv"`
	User  string   `json:"user"`            // its uid, groups and home
	Login bool     `json:"login,omitempty"` // through PAM: a session of logind, the user's service manager
	Env   []string `json:"env,omitempty"`   // KEY=VALUE, beside what every command gets
	Dir   string   `json:"dir,omitempty"`   // default: the user's home
	Stdin bool     `json:"stdin,omitempty"` // its input is at StdinFile; else it is /dev/null
}

// RunFile names the file with the Run of a command, as JSON, in the shared folder.
func RunFile(id uint64) string { return fmt.Sprintf("run-%d.json", id) }

// StdinFile names the file with the input of a command in the shared folder.
func StdinFile(id uint64) string { return fmt.Sprintf("stdin-%d", id) }

// Exit says how a command ended.
type Exit struct {
	Code  int    `json:"code"`            // 128 + n after signal n
	Error string `json:"error,omitempty"` // it was never started: why
}

// Stream is one end of the conversation. Send may be called by several goroutines at once.
type Stream struct {
	in  *bufio.Reader
	mu  sync.Mutex
	out io.Writer
}

// NewStream returns the conversation over rw.
func NewStream(rw io.ReadWriter) *Stream {
	return &Stream{in: bufio.NewReaderSize(rw, 4*Chunk), out: rw}
}

// Send writes one frame.
func (s *Stream) Send(f Frame) error {
	line, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode a frame: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("send a frame: %w", err)
	}
	return nil
}

// Receive returns the next frame, or io.EOF at the end of the conversation.
func (s *Stream) Receive() (Frame, error) {
	for {
		line, err := s.in.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				return Frame{}, io.EOF // the rest of a torn line tells nothing
			}
			return Frame{}, fmt.Errorf("receive a frame: %w", err)
		}
		// What preceded a frame on its line is the torn end of something else.
		if i := bytes.LastIndex(line, []byte(`{"id"`)); i > 0 {
			line = line[i:]
		} else if i := bytes.LastIndex(line, []byte(`{"hello"`)); i > 0 {
			line = line[i:]
		}
		var f Frame
		if json.Unmarshal(line, &f) == nil {
			return f, nil
		}
	}
}
