package jsonl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// TestAttemptsAreRebuilt checks that the earlier attempts of a job survive the registry: by the
// changes of its journal, by the snapshot that a file begins with, and when what was rebuilt so is
// lost as well.
func TestAttemptsAreRebuilt(t *testing.T) {
	s := openStore(t)
	path := filepath.Join(t.TempDir(), "registry.jsonl")
	// Words that are another thing in a job's own parameters.
	j := add(t, s, func(j *job.Job) { j.Params = []byte(`{"attempts":"many","n":[{"attempts":[{"attempt":9}]}]}`) })
	var want []job.Attempt
	for n := 1; n <= 2; n++ {
		update(t, s, j, job.Starting)
		j.Attempt, j.StartedAt = n, start
		update(t, s, j, job.Failed)
		ended := job.Attempt{JobID: j.ID, Attempt: n, RunID: fmt.Sprint("run", n), State: job.Failed, Reason: job.ReasonExit, ExitCode: &n, StartedAt: start}
		want = append(want, ended)
		j.State = job.Queued
		if _, err := s.Commit(t.Context(), store.Commit{At: start, Updates: []store.Update{{Job: j, From: job.Failed, Archive: &ended}}}); err != nil {
			t.Fatal(err)
		}
	}
	writeAll(t, Options{Path: path, Store: s})
	journal, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"journal": string(journal), "snapshot": export(t, s)} {
		for _, again := range []string{"once", "twice"} {
			rebuilt := openStore(t)
			if _, err := importText(t, rebuilt, text); err != nil {
				t.Fatalf("%s, %s: %v", name, again, err)
			}
			got, err := rebuilt.Attempts(t.Context(), j.ID)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s, %s: attempts (-want +got):\n%s", name, again, d)
			}
			next := filepath.Join(t.TempDir(), "registry.jsonl")
			writeAll(t, Options{Path: next, Store: rebuilt})
			lines, err := os.ReadFile(next)
			if err != nil {
				t.Fatal(err)
			}
			text = string(lines)
		}
	}
	_, err = importText(t, openStore(t), strings.Replace(export(t, s), `"attempt":1,"run_id":"run1"`, `"attempt":0,"run_id":"run1"`, 1))
	if job.CodeOf(err) != job.Invalid {
		t.Errorf("an attempt without a number: %v", err)
	}
}
