package auth_test

import (
	"testing"

	"github.com/queuemgr/queuemgr/internal/auth"
	"github.com/queuemgr/queuemgr/job"
)

func TestFeedOfOthersLogs(t *testing.T) {
	s := start(t, accounts{})
	j := add(t, s, ann, job.Spec{Hold: true})
	for c, may := range map[job.Caller]bool{ann: true, root: true, oscar: true, bob: false} {
		if err := watchLog(t, s, c, j.ID); may && err != nil || !may && job.CodeOf(err) != job.Forbidden {
			t.Errorf("%s watches the length of ann's log: %v", c.Name, err)
		}
	}
	if err := watchLog(t, s, bob, 99); err != nil {
		t.Errorf("the log of a job that does not exist: %v", err)
	}
	if err := s.WatchFeed(t.Context(), "x", job.FeedWatch{}); job.CodeOf(err) != job.Forbidden {
		t.Errorf("nobody watches: %v", err)
	}
}

// watchLog opens a feed of c's and has it watch a log and, which everybody may, the job.
func watchLog(t *testing.T, s *auth.Service, c job.Caller, id int64) error {
	t.Helper()
	for u, err := range s.Feed(as(t, c), job.FeedOptions{}) {
		if err != nil {
			return err
		}
		if err := s.WatchFeed(as(t, c), u.Feed, job.FeedWatch{Jobs: []int64{id}}); err != nil {
			t.Errorf("%s watches ann's job: %v", c.Name, err)
		}
		return s.WatchFeed(as(t, c), u.Feed, job.FeedWatch{Logs: []int64{id}})
	}
	return nil
}
