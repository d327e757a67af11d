package client

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// event is one server-sent event: data is nil for one that carries a position alone.
type event struct {
	name  string
	id    uint64
	hasID bool
	data  []byte
}

// maxEvent is the longest line of an event stream, in bytes. A job's record may take six
// times job.MaxArgv and job.MaxParams as JSON, 18 MiB.
const maxEvent = 64 << 20

// eventReader reads the WHATWG's event stream format, as far as the daemon uses it.
type eventReader struct{ lines *bufio.Scanner }

func newEventReader(r io.Reader) *eventReader {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	return &eventReader{lines}
}

// next returns the next event with data or an id. Its error is io.ErrUnexpectedEOF or the
// connection's.
func (r *eventReader) next() (event, error) {
	var ev event
	for r.lines.Scan() {
		line := r.lines.Bytes()
		if len(line) == 0 {
			if ev.hasID || ev.data != nil {
				return ev, nil
			}
			ev = event{}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "id":
			id, err := strconv.ParseUint(string(value), 10, 64)
			if err != nil {
				return ev, fmt.Errorf("id of an event: %w", err)
			}
			ev.id, ev.hasID = id, true
		case "event":
			ev.name = string(value)
		case "data":
			ev.data = bytes.Clone(value)
		}
	}
	if err := r.lines.Err(); err != nil {
		return ev, fmt.Errorf("read the event stream: %w", err)
	}
	return ev, io.ErrUnexpectedEOF
}
