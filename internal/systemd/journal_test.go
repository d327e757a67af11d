package systemd

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/google/go-cmp/cmp"
)

type sent struct {
	Message  string
	Priority journal.Priority
	Fields   map[string]string
}

// recorder returns a logger whose records end in the slice, instead of a journal's socket.
func recorder(level slog.Level) (*slog.Logger, *[]sent) {
	got := new([]sent)
	h := NewJournalHandler(level)
	h.send = func(m string, p journal.Priority, f map[string]string) error {
		*got = append(*got, sent{m, p, f})
		return nil
	}
	return slog.New(h), got
}

func TestJournalHandler(t *testing.T) {
	log, got := recorder(slog.LevelInfo)
	log.Debug("not wanted")
	log.Info("job completed", "job", 7, "queue", "night")
	log.With("node", "a b").WithGroup("runner").Warn("gone", "pid", 12, "error", errors.New("no \"route\""), slog.Group("x", "y", 1))
	log.Error("odd names", "1st", 1, "_private", 2, "MESSAGE", 3, "ä", 4, strings.Repeat("l", 80), 5)
	want := []sent{
		{"job completed job=7 queue=night", journal.PriInfo, map[string]string{"JOB_ID": "7", "QUEUE": "night"}},
		{`gone node="a b" runner.pid=12 runner.error="no \"route\"" runner.x.y=1`, journal.PriWarning,
			map[string]string{"NODE": "a b", "RUNNER_PID": "12", "RUNNER_ERROR": `no "route"`, "RUNNER_X_Y": "1"}},
		{"odd names 1st=1 _private=2 MESSAGE=3 ä=4 " + strings.Repeat("l", 80) + "=5", journal.PriErr,
			map[string]string{"ST": "1", "PRIVATE": "2", strings.Repeat("L", 64): "5"}},
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}
