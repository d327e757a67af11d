package job

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/states.md anew")

const diagram = "../docs/states.md"

// drawStates is docs/states.md, drawn from the table of moves.
func drawStates() string {
	var b strings.Builder
	b.WriteString("# States of a job\n\nDrawn from the table in `job/state.go`; `go test ./job -update` draws it anew.\n\n```mermaid\nstateDiagram-v2\n")
	for _, s := range States {
		for _, next := range s.Moves() {
			fmt.Fprintf(&b, "    %s --> %s\n", s, next)
		}
	}
	b.WriteString("```\n")
	return b.String()
}

func TestDiagramIsTheTable(t *testing.T) {
	want := drawStates()
	if *update {
		if err := os.WriteFile(diagram, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(diagram)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: go test ./job -update", diagram)
	}
}

func TestTableOfMoves(t *testing.T) {
	if len(moves) != len(States) {
		t.Errorf("%d states in the table, %d in States", len(moves), len(States))
	}
	for _, s := range States {
		kinds := 0
		for _, is := range []bool{s.Waiting(), s.Live(), s.Ended()} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%s is %d of waiting, live and ended; want exactly one", s, kinds)
		}
		if s != Deleted && !s.CanMove(Deleted) {
			t.Errorf("%s can't be deleted", s)
		}
		if s.Live() {
			for _, end := range []State{Completed, Failed, Stopped} {
				if !s.CanMove(end) {
					t.Errorf("%s can't become %s: its process may end at any moment", s, end)
				}
			}
		}
		if s.Ended() && slices.ContainsFunc(s.Moves(), State.Live) {
			t.Errorf("%s may become live without waiting", s)
		}
		if slices.Contains(s.Moves(), s) {
			t.Errorf("%s moves to itself", s)
		}
	}
	if len(Deleted.Moves()) != 0 {
		t.Errorf("a deleted job moves to %v", Deleted.Moves())
	}
}

func TestParseState(t *testing.T) {
	if s, err := ParseState("failed"); s != Failed || err != nil {
		t.Errorf("got %q, %v", s, err)
	}
	if _, err := ParseState("faild"); CodeOf(err) != Invalid {
		t.Errorf("got %v, want an Invalid error", err)
	}
}
