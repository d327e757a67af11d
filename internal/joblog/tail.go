package joblog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// blockSize is how much is read at once from the end: what a tail costs in memory.
const blockSize = 64 << 10

// tailStart returns where the last lines of r between start and end begin. A last line without a
// newline is a line.
func tailStart(ctx context.Context, r io.ReaderAt, start, end int64, lines int) (int64, error) {
	block := make([]byte, min(blockSize, end-start))
	last := end - 1 // a newline here ends the last line and begins none
	for at := end; at > start; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		from := max(start, at-blockSize)
		b := block[:at-from]
		n, err := r.ReadAt(b, from)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("read a log backwards: %w", err)
		}
		b = b[:n] // short where the file was truncated meanwhile
		for {
			i := bytes.LastIndexByte(b, '\n')
			if i < 0 {
				break
			}
			if pos := from + int64(i); pos != last {
				if lines--; lines == 0 {
					return pos + 1, nil
				}
			}
			b = b[:i]
		}
		at = from
	}
	return start, nil
}
