package wire_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/test/systemd/wire"
)

func TestReceiveSkipsWhatIsNoFrame(t *testing.T) {
	var line bytes.Buffer
	out := wire.NewStream(&line)
	send := func(f wire.Frame) {
		if err := out.Send(f); err != nil {
			t.Fatal(err)
		}
	}
	want := []wire.Frame{
		{Hello: &wire.Hello{BootID: "a"}},
		{ID: 1, Stdout: []byte("{\"id\"\x00\xff\n")},
		{Hello: &wire.Hello{BootID: "b"}},
		{ID: 2, Exit: &wire.Exit{Code: 137}},
	}
	line.WriteString("[    1.0] a kernel message\r\n\n")
	send(want[0])
	send(want[1])
	line.WriteString(`{"id":1,"stdout":"dG9y`) // the power went here
	send(want[2])
	line.WriteString("[    2.0] no newline")
	send(want[3])
	line.WriteString(`{"id":2,"ex`)

	var got []wire.Frame
	in := wire.NewStream(struct {
		io.Reader
		io.Writer
	}{strings.NewReader(line.String()), io.Discard})
	for {
		f, err := in.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("frames (-sent +received):\n%s", diff)
	}
}
