package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"golang.org/x/sys/unix"
)

// TestEventMessagesAreBounded sends many events with texts that grow sixfold when encoded: none may
// be lost, none out of order, and no message too large.
func TestEventMessagesAreBounded(t *testing.T) {
	const events = 600
	text := strings.Repeat("\x01", 16<<10)
	var one, many staged
	var queue []*wire.Message
	for i := range events {
		e := &wire.Event{Seq: uint64(i + 1), Kind: wire.Exited, RunID: fmt.Sprint(i), Error: text}
		if i%3 == 0 {
			e.Error = "short"
		}
		many.event(e)
		one = staged{}
		one.event(e)
		queue = append(queue, one.out...)
	}
	for name, msgs := range map[string][]*wire.Message{"staged": many.out, "merged": merge(queue)} {
		seq := uint64(0)
		for _, m := range msgs {
			for i := range m.Events {
				if seq++; m.Events[i].Seq != seq {
					t.Fatalf("%s: got seq %d, want %d", name, m.Events[i].Seq, seq)
				}
			}
			b, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > maxEventSize+1024 {
				t.Errorf("%s: a message of %d bytes", name, len(b))
			}
		}
		if seq != events || len(msgs) > events/10 {
			t.Errorf("%s: %d events in %d messages", name, seq, len(msgs))
		}
	}
}

func TestErrorTextIsBounded(t *testing.T) {
	s := &wire.Start{Argv: []string{"/" + strings.Repeat("é\x01", 2<<20)}}
	err := explain(s, s.Argv[0], unix.ENAMETOOLONG)
	if !errors.Is(err.Errno, unix.ENAMETOOLONG) || !strings.HasSuffix(err.Text, "file name too long") {
		t.Errorf("%.80q", err.Text[max(0, len(err.Text)-80):])
	}
	line, rerr := appendRecord(nil, record{Exit: &wire.Event{Kind: wire.Exited, RunID: "a", Error: err.Text}})
	if rerr != nil || len(line) > maxRecord/2 {
		t.Errorf("a record of %d bytes, %v", len(line), rerr)
	}
}

// TestReportsDoNotPileUp: while the daemon does not read, the newest of each run is kept, none of one that ended.
func TestReportsDoNotPileUp(t *testing.T) {
	p := newPeer(nil, discard)
	for i := range 1000 {
		for _, id := range []string{"a", "b", "c"} {
			p.Send(&wire.Message{Reports: []wire.Report{{RunID: id, Status: fmt.Sprint(i)}}})
		}
	}
	p.Send(&wire.Message{Events: []wire.Event{{Kind: wire.Started, RunID: "b"}, {Kind: wire.Exited, RunID: "c"}}})
	if len(p.queue) != 1 || len(p.reports) != 2 || p.reports["a"].Status != "999" || p.reports["b"].Status != "999" {
		t.Errorf("%d messages and %+v wait", len(p.queue), p.reports)
	}
}

// TestReportMessagesAreBounded does so with results that are as large as a datagram allows.
func TestReportMessagesAreBounded(t *testing.T) {
	const runs = 300
	reports := map[string]wire.Report{}
	for i := range runs {
		id := fmt.Sprint(i)
		reports[id] = wire.Report{RunID: id, Result: json.RawMessage(`"` + strings.Repeat("x", wire.MaxResult-2) + `"`)}
	}
	got := 0
	for _, m := range reportMessages(reports) {
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > maxEventSize+1024 {
			t.Errorf("a message of %d bytes", len(b))
		}
		got += len(m.Reports)
	}
	if got != runs {
		t.Errorf("%d of %d reports", got, runs)
	}
}
