package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/test/harness"
)

// stubbornScript ignores the stop signal, starts children that do, and lets one run away into a
// session of its own after a double fork.
const stubbornScript = `trap '' TERM INT HUP
sleep 1000 & sleep 1001 &
(setsid sh -c 'trap "" TERM; sleep 1002 & sleep 1003' &) &
while :; do sleep 1; done`

// sceneStubborn stops a tree of processes that does not want to be stopped.
func sceneStubborn(ctx context.Context, s *story) error {
	mark := fmt.Sprintf("STUBBORN=%d", time.Now().UnixNano())
	program, err := s.script("stubborn", stubbornScript)
	if err != nil {
		return err
	}
	out, err := s.must(ctx, "job", "add", "-q", "--env", mark, "--grace", "1", "--", program)
	if err != nil {
		return err
	}
	var tree []harness.Process
	if err := until(ctx, "the tree to grow", func() (bool, error) {
		tree, err = harness.ProcessesWith(mark)
		return countSleeps(tree) >= 5, err
	}); err != nil {
		return err
	}
	sessions := map[int]bool{}
	for _, p := range tree {
		sessions[p.Session] = true
		s.say("  session %d, process %v", p.Session, p)
	}
	begin := time.Now()
	if _, err := s.must(ctx, "job", "stop", out); err != nil {
		return err
	}
	if _, err := s.service.Run(ctx, "job", "wait", out); err != nil {
		return err
	}
	left, err := harness.ProcessesWith(mark)
	if err != nil {
		return err
	}
	s.claim(len(sessions) > 1 && len(left) == 0, "`job stop` leaves nothing of a stubborn tree",
		"%d processes in %d sessions that ignore TERM, some away by a double fork: %d left after %.1f s", len(tree), len(sessions), len(left), time.Since(begin).Seconds())
	return nil
}

func countSleeps(tree []harness.Process) int {
	n := 0
	for _, p := range tree {
		if strings.HasPrefix(p.Command, "sleep ") {
			n++
		}
	}
	return n
}
