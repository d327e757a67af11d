package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Conn sends and receives messages. One goroutine may receive while any number send.
type Conn struct {
	nc net.Conn
	br *bufio.Reader

	mu  sync.Mutex // guards buf and writes
	buf bytes.Buffer
	enc *json.Encoder
}

// ErrTooLong is returned for a message over MaxMessage.
var ErrTooLong = errors.New("wire: message too long")

// writeTimeout bounds a send to a peer that no longer reads.
const writeTimeout = 30 * time.Second

// NewConn speaks the protocol over nc and owns it from then on.
func NewConn(nc net.Conn) *Conn {
	c := &Conn{nc: nc, br: bufio.NewReaderSize(nc, 64<<10)}
	c.enc = json.NewEncoder(&c.buf)
	c.enc.SetEscapeHTML(false)
	return c
}

// Send writes one message. After an error the connection is of no use any more.
func (c *Conn) Send(m *Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf.Reset()
	if err := c.enc.Encode(m); err != nil {
		return fmt.Errorf("wire: encode: %w", err)
	}
	if c.buf.Len() > MaxMessage {
		return ErrTooLong
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("wire: send: %w", err)
	}
	if _, err := c.nc.Write(c.buf.Bytes()); err != nil {
		return fmt.Errorf("wire: send: %w", err)
	}
	if c.buf.Cap() > 1<<20 { // one large message must not hold its memory for ever
		c.buf = bytes.Buffer{}
	}
	return nil
}

// Receive reads the next message. It returns io.EOF when the peer closed between two messages.
func (c *Conn) Receive() (*Message, error) {
	line, err := c.readLine()
	if err != nil {
		return nil, err
	}
	m := new(Message)
	if err := json.Unmarshal(line, m); err != nil {
		return nil, fmt.Errorf("wire: decode: %w", err)
	}
	return m, nil
}

func (c *Conn) readLine() ([]byte, error) {
	var long []byte
	for {
		part, err := c.br.ReadSlice('\n')
		switch {
		case err == nil && long == nil:
			return part, nil
		case err == nil:
			return append(long, part...), nil
		case errors.Is(err, bufio.ErrBufferFull):
			if len(long)+len(part) > MaxMessage {
				return nil, ErrTooLong
			}
			long = append(long, part...)
		default:
			return nil, err
		}
	}
}

// Close ends the connection; a pending Receive returns an error.
func (c *Conn) Close() error { return c.nc.Close() }
