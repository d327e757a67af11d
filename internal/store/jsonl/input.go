package jsonl

import (
	"fmt"
	"io"
)

// input is what is imported. Of a file it keeps where the lines are, so that a large one needs
// little memory; of a pipe, which can't be read twice, their text.
type input struct {
	r     io.Reader
	at    io.ReaderAt // nil = the text is kept
	begin int64       // where reading began
}

func newInput(r io.Reader) *input {
	in := &input{r: r}
	file, ok := r.(interface {
		io.ReaderAt
		io.Seeker
	})
	if !ok {
		return in
	}
	// A pipe has the methods too, and says so only here.
	if begin, err := file.Seek(0, io.SeekCurrent); err == nil {
		in.at, in.begin = file, begin
	}
	return in
}

// place is a line of an input.
type place struct {
	offset, length int64
	text           []byte // nil = it is read again
}

// place remembers a line that begins behind offset bytes.
func (in *input) place(offset int64, line []byte) place {
	if in.at == nil {
		return place{text: line}
	}
	return place{offset: in.begin + offset, length: int64(len(line))}
}

// text returns a line.
func (in *input) text(p place) ([]byte, error) {
	if p.text != nil {
		return p.text, nil
	}
	line := make([]byte, p.length)
	if _, err := in.at.ReadAt(line, p.offset); err != nil {
		return nil, fmt.Errorf("read it again: %w", err)
	}
	return line, nil
}
