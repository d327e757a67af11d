package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

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
