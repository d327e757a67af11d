package jsonl

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/queuemgr/queuemgr/job"
)

// maxLine is the longest line that is read, in bytes. The largest record is well below: job.MaxArgv and
// job.MaxParams may take six times their size as JSON, 18 MiB together.
const maxLine = 64 << 20

// Read calls f for each change of a file, the snapshot at its beginning included. A torn last line
// is passed over; torn says so. Another line that is no change is an error, job.Invalid with Line.
func Read(r io.Reader, f func(job.Change) error) (torn bool, err error) {
	return readLines(r, func(n int, _ int64, line []byte) error {
		c, err := job.ParseChange(line)
		if err != nil || c.Kind == "" {
			return badLine(n, errors.Join(errors.New("it is no change of a registry"), err))
		}
		return f(c)
	})
}

// readLines calls f for each line that is JSON, with its number counting from 1 and how many bytes
// come before it. The line is f's to keep. Empty lines are passed over.
func readLines(r io.Reader, f func(n int, offset int64, line []byte) error) (torn bool, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	offset := int64(0)
	for n := 1; ; n++ {
		line, err := readUpTo(in, maxLine)
		begin := offset + int64(len(line)-len(bytes.TrimLeft(line, " \t\r\n")))
		offset += int64(len(line))
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return false, badLine(n, err)
		}
		switch text := bytes.TrimSpace(line); {
		case len(text) == 0:
		case json.Valid(text):
			if err := f(n, begin, text); err != nil {
				return false, err
			}
		case last:
			return true, nil
		default:
			return false, badLine(n, errors.New("it is not JSON"))
		}
		if last {
			return false, nil
		}
	}
}

// readUpTo returns the next line, io.EOF with the last one where no newline ends it.
func readUpTo(in *bufio.Reader, limit int) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > limit {
			return nil, fmt.Errorf("it is longer than %d bytes", limit)
		}
	}
}

func badLine(n int, err error) error {
	return &job.Error{Code: job.Invalid, Message: fmt.Sprintf("line %d can't be read: %v", n, err),
		Hint: "mend or remove that line; nothing was imported", Line: n, Err: err}
}
