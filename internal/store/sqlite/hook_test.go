package sqlite_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// TestRestoreGivesUpDeliveries restores a backup in which events are on their way to hooks: they may have arrived
// since, and what happened before is told to nobody.
func TestRestoreGivesUpDeliveries(t *testing.T) {
	dir := t.TempDir()
	path, file := filepath.Join(dir, "registry.db"), filepath.Join(dir, "backup")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var all []store.Delivery
	for i, event := range []job.HookEvent{job.HookStart, job.HookStop} {
		all = append(all, store.Delivery{Delivery: job.Delivery{JobID: 1, Attempt: 1, Event: event, Seq: uint64(i), Hook: "a", Receiver: "a"}, Doc: store.DeliveryDoc{Job: json.RawMessage(`{}`)}})
	}
	added, err := s.AddDeliveries(t.Context(), store.AddDeliveries{Cursor: store.HookCursor{Seq: 1, Since: map[string]uint64{"settings/a": 1}}, Deliveries: all, At: restoreNow})
	if err != nil || len(added) != 2 {
		t.Fatal(added, err)
	}
	err = s.SetDeliveries(t.Context(), []store.DeliveryUpdate{{ID: added[0].ID, State: job.DeliveryPending, RunID: "hook-1"}}, restoreNow)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Backup(t.Context(), sqlite.BackupOptions{Path: path, File: file}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Restore(t.Context(), restoreOptions(path, file)); err != nil {
		t.Fatal(err)
	}
	if s, err = sqlite.Open(t.Context(), sqlite.Options{Path: path}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	page, err := s.ListDeliveries(t.Context(), job.DeliveryFilter{Limit: 10})
	if err != nil || len(page.Deliveries) != 2 {
		t.Fatal(page, err)
	}
	for _, d := range page.Deliveries {
		if d.State != job.DeliveryGivenUp || d.RunID != "" || d.LastError == "" || d.EndedAt.IsZero() {
			t.Errorf("after the restore: %+v", d)
		}
	}
	if runs, err := s.HookRuns(t.Context()); err != nil || len(runs) > 0 {
		t.Errorf("runs: %+v, %v", runs, err)
	}
	if c, err := s.HookCursor(t.Context()); err != nil || c.Seq != s.Seq() || len(c.Since) > 0 {
		t.Errorf("cursor %+v, last change %d, %v", c, s.Seq(), err)
	}
}
