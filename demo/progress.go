package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// progress shows where the archives are: on a terminal one line that moves, else a line now and then.
type progress struct {
	last  string
	shown int64 // archives at the last line that stays
}

// linesAt is after how many archives a line is printed where lines stay.
const linesAt = 10

func (p *progress) show(st *job.Status) {
	line := progressLine(st)
	if line == p.last {
		return
	}
	p.last = line
	if info, err := os.Stdout.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Printf("\r   %s\x1b[K", line)
		return
	}
	done, waiting := archiveCounts(st)
	if p.shown == 0 || done >= p.shown+linesAt || waiting == 0 && done > p.shown {
		p.shown = max(done, 1)
		fmt.Printf("   %s\n", line)
	}
}

// end leaves the moving line.
func (p *progress) end() {
	if info, err := os.Stdout.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Println()
	}
}

func archiveCounts(st *job.Status) (done, waiting int64) {
	for _, q := range st.Queues {
		if q.Name == "archive" {
			done, waiting = q.Jobs[job.Completed], q.Jobs[job.Queued]
		}
	}
	return done, waiting
}

// progressLine draws the archive queue's counts.
func progressLine(st *job.Status) string {
	for _, q := range st.Queues {
		if q.Name != "archive" {
			continue
		}
		total := int64(0)
		for _, n := range q.Jobs {
			total += n
		}
		done := q.Jobs[job.Completed]
		const width = 30
		full := 0
		if total > 0 {
			full = int(done * width / total)
		}
		return fmt.Sprintf("[%s%s] %d of %d archived, %d running, %d waiting", strings.Repeat("#", full), strings.Repeat(".", width-full),
			done, total, q.Jobs[job.Running], q.Jobs[job.Queued])
	}
	return "no archive queue"
}

func sortBySize(folders []string, sizes map[string]int64) {
	slices.SortFunc(folders, func(a, b string) int {
		return cmp.Or(cmp.Compare(sizes[b], sizes[a]), strings.Compare(a, b))
	})
}
