package cli

import (
	"strings"
	"testing"

	"github.com/queuemgr/queuemgr/job"
)

// TestListOfSeveralPages wants one heading over all pages, every column in its place, nothing cut in
// a pipe, and on a terminal numbers whole.
func TestListOfSeveralPages(t *testing.T) {
	for _, width := range []int{0, 60} {
		a, out := testApp()
		p := a.newJobPrinter(out, listOptions{})
		p.width = width
		one := &job.Job{ID: 9, State: job.Queued, Queue: job.DefaultQueue, Owner: "me", Command: []string{"true"}, CreatedAt: at}
		two := &job.Job{ID: 123456, State: job.Completed, Queue: "night", Name: "late", Owner: "you", Command: []string{"sleep", strings.Repeat("9", 70)}, CreatedAt: at}
		three := *one
		three.ID = 7
		for i, page := range [][]*job.Job{{one}, {two}, {&three}} {
			if err := p.page(page, i < 2); err != nil {
				t.Fatal(err)
			}
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 4 || strings.Count(out.String(), "COMMAND") != 1 {
			t.Fatalf("width %d:\n%s", width, out)
		}
		if !strings.HasPrefix(lines[2], "123456  completed") || strings.Index(lines[2], "sleep") != strings.Index(lines[3], "true") {
			t.Errorf("width %d: the columns of the later pages are not in line:\n%s", width, out)
		}
		if width == 0 && (!strings.Contains(lines[2], "night") || !strings.Contains(lines[2], "late") || !strings.Contains(lines[2], strings.Repeat("9", 70))) {
			t.Errorf("something is left out in a pipe:\n%s", out)
		}
		if width > 0 && len(lines[0]) > width {
			t.Errorf("the heading is wider than %d:\n%s", width, out)
		}
	}
}
