package runner

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"pgregory.net/rapid"
)

func openJournal(t testing.TB, path string) *Journal {
	t.Helper()
	j, err := OpenJournal(path, "v", "boot", discard)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func closeJournal(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, j *Journal, recs ...record) {
	t.Helper()
	var buf []byte
	for _, r := range recs {
		var err error
		if buf, err = appendRecord(buf, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.reserve(len(buf)); err != nil {
		t.Fatal(err)
	}
	if err := j.write(buf); err != nil {
		t.Fatal(err)
	}
}

func exitRecord(id string, seq uint64) record {
	code := 3
	return record{Exit: &wire.Event{Kind: wire.Exited, RunID: id, Seq: seq, Cause: wire.CauseExit, ExitCode: &code}}
}

func TestJournalKeepsWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	id := j.header.Journal
	put(t, j,
		record{Intent: &intent{RunID: "a", JobID: 1, Fence: 2, TimeoutMS: 3, GraceMS: 4, StopSignal: 5}},
		record{Intent: &intent{RunID: "b"}},
		record{Started: &wire.Event{Kind: wire.Started, RunID: "a", Seq: 1, PID: 7, StartTicks: 8}},
		record{Epoch: &epoch{Registry: "r", Epoch: 9}},
		record{Started: &wire.Event{Kind: wire.Started, RunID: "b", Seq: 2}},
		exitRecord("b", 3),
		record{Done: &done{Cursor: 3}})
	closeJournal(t, j)
	j = openJournal(t, path)
	want := []*runRecord{{
		Intent:  intent{RunID: "a", JobID: 1, Fence: 2, TimeoutMS: 3, GraceMS: 4, StopSignal: 5},
		Started: &wire.Event{Kind: wire.Started, RunID: "a", Seq: 1, PID: 7, StartTicks: 8},
	}}
	if diff := cmp.Diff(want, j.found); diff != "" {
		t.Error(diff)
	}
	wantHeader := header{Journal: id, Version: "v", BootID: "boot", Epoch: epoch{"r", 9}, LastSeq: 3, Acked: 3}
	if diff := cmp.Diff(wantHeader, j.header); diff != "" {
		t.Error(diff)
	}
	if err := j.Rewrite(j.found, false); err != nil {
		t.Fatal(err)
	}
	closeJournal(t, j)
	again := openJournal(t, path)
	if diff := cmp.Diff(wantHeader, again.header); diff != "" {
		t.Errorf("after a rewrite: %s", diff)
	}
	if diff := cmp.Diff(want, again.found); diff != "" {
		t.Errorf("after a rewrite: %s", diff)
	}
	closeJournal(t, again)
}

func TestDamagedJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	for i := range 3 {
		put(t, j, record{Intent: &intent{RunID: fmt.Sprint("run", i)}})
	}
	closeJournal(t, j)
	good := read(t, path)
	for _, tt := range []struct {
		name   string
		damage func([]byte) []byte
		want   string
		cut    bool
	}{
		{"torn tail", func(b []byte) []byte { return b[:len(b)-5] }, "run0 run1", true},
		{"no newline", func(b []byte) []byte { return b[:len(b)-1] }, "run0 run1", true},
		{"garbage at the end", func(b []byte) []byte { return append(b, "garbage"...) }, "run0 run1 run2", true},
		{"a flipped bit", func(b []byte) []byte { return bytes.Replace(b, []byte("run1"), []byte("rum1"), 1) }, "run0 run2", true},
		{"zeroes", func(b []byte) []byte { return append(b, make([]byte, 3<<20)...) }, "run0 run1 run2", true},
		{"no header", func(b []byte) []byte { return b[bytes.IndexByte(b, '\n')+1:] }, "run0 run1 run2", false},
		{"empty", func([]byte) []byte { return nil }, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			write(t, path, string(tt.damage(bytes.Clone(good))), 0o600)
			j := openJournal(t, path)
			var ids []string
			for _, r := range j.found {
				ids = append(ids, r.Intent.RunID)
			}
			if got := strings.Join(ids, " "); got != tt.want {
				t.Errorf("left %q, want %q", got, tt.want)
			}
			id := j.header.Journal
			if id == "" || strings.Contains(string(good), id) {
				t.Errorf("identity %q is not new", id)
			}
			_, err := os.Stat(path + ".torn-1")
			if (err == nil) != tt.cut {
				t.Errorf("what was cut: %v", err)
			}
			closeJournal(t, j)
			j = openJournal(t, path) // now it is whole
			if j.header.Journal != id || len(j.found) != len(ids) {
				t.Errorf("opened again: %+v", j.header)
			}
			closeJournal(t, j)
		})
	}
}

// TestReplayNeverInvents damages a journal at random: reading never fails, and never finds a run
// or an end that was not written.
func TestReplayNeverInvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		written := map[string]bool{}
		buf, err := appendRecord(nil, record{Header: &header{Journal: "j"}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range rapid.IntRange(0, 20).Draw(t, "records") {
			id := fmt.Sprint("run", i)
			written[id] = true
			if buf, err = appendRecord(buf, record{Intent: &intent{RunID: id}}); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "ended") {
				if buf, err = appendRecord(buf, exitRecord(id, uint64(i+1))); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range rapid.IntRange(0, 4).Draw(t, "damages") {
			at := rapid.IntRange(0, len(buf)).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				buf = buf[:at]
			case 1:
				if at < len(buf) {
					buf[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				}
			case 2:
				noise := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "noise")
				buf = append(buf[:at:at], append(noise, buf[at:]...)...)
			}
		}
		p, err := replay(bytes.NewReader(buf))
		if err != nil {
			t.Fatal(err)
		}
		for id, r := range p.runs {
			if !written[id] {
				t.Fatalf("invented %s", id)
			}
			if r.Exited != nil && (r.Exited.ExitCode == nil || *r.Exited.ExitCode != 3) {
				t.Fatalf("invented an end: %+v", r.Exited)
			}
		}
		if len(p.cut) > len(buf) {
			t.Fatalf("cut %d of %d bytes", len(p.cut), len(buf))
		}
	})
}

func FuzzReplay(f *testing.F) {
	line, err := appendRecord(nil, exitRecord("a", 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte("00000000 {}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := replay(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.live() {
			if r.Intent.RunID == "" {
				t.Fatal("a run without an id")
			}
		}
	})
}

func TestJournalIsRewritten(t *testing.T) {
	h := newHome(t)
	sys := newFake()
	j := openJournal(t, h.journal())
	core, err := NewCore(sys, j, CoreOptions{Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	p := &recorder{}
	core.HandleHello(p, &wire.Hello{Proto: 1, Registry: "r", Epoch: 1})
	core.HandleMessage(p, &wire.Message{Start: []wire.Start{{RunID: "stays", JobID: 42}}})
	core.Flush()
	id, seq := j.header.Journal, uint64(0)
	j.size = rewriteSize - 1000 // stands for hours of work
	for i := 0; j.size >= rewriteSize-1000; i++ {
		core.HandleMessage(p, &wire.Message{Start: []wire.Start{{RunID: fmt.Sprint("run", i)}}})
		core.Flush()
		core.HandleSpawned(Spawned{RunID: fmt.Sprint("run", i), Err: &SpawnError{Text: "no"}})
		core.Flush()
		seq = j.header.LastSeq
		core.HandleMessage(p, &wire.Message{Ack: &wire.Ack{Cursor: seq}})
		core.Flush()
	}
	closeJournal(t, j)
	j = openJournal(t, h.journal())
	defer closeJournal(t, j)
	if j.header.Journal != id || j.header.Epoch != (epoch{"r", 1}) || j.header.LastSeq != seq || j.size > 4096 {
		t.Errorf("size %d, %+v", j.size, j.header)
	}
	found := false
	for _, r := range j.found {
		found = found || r.Intent.RunID == "stays" && r.Intent.JobID == 42
	}
	if !found {
		t.Error("a live run is gone")
	}
}
