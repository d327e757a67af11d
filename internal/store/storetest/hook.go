package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// onItsWay is a new delivery of job id's event to a receiver of the same name as its hook.
func onItsWay(id int64, event job.HookEvent, seq uint64, hook string) store.Delivery {
	return store.Delivery{Delivery: job.Delivery{JobID: id, Attempt: 1, Event: event, Seq: seq, Hook: hook, Receiver: hook},
		Doc: store.DeliveryDoc{Hook: &job.Hook{On: []job.HookEvent{event}, URL: "http://x.invalid/"}, At: start, Job: json.RawMessage(`{"id":1}`)}}
}

// deliver records deliveries and moves the cursor by one, and returns what is new.
func deliver(t *testing.T, s store.Store, at time.Time, all ...store.Delivery) []store.Delivery {
	t.Helper()
	c, err := s.HookCursor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	from := c.Seq
	c.Seq++
	added, err := s.AddDeliveries(t.Context(), store.AddDeliveries{From: from, Cursor: c, Deliveries: all, At: at})
	if err != nil {
		t.Fatalf("AddDeliveries: %v", err)
	}
	return added
}

// due returns what of a receiver may be tried, as JOB:EVENT.
func due(t *testing.T, s store.Store, receiver string) (list []string) {
	t.Helper()
	all, err := s.DueDeliveries(t.Context(), receiver, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		list = append(list, fmt.Sprintf("%d:%s", all[i].JobID, all[i].Event))
	}
	return list
}

// settle records what became of a delivery.
func settle(t *testing.T, s store.Store, at time.Time, u ...store.DeliveryUpdate) {
	t.Helper()
	if err := s.SetDeliveries(t.Context(), u, at); err != nil {
		t.Fatalf("SetDeliveries: %v", err)
	}
}

func testHooks(t *testing.T, open func(*testing.T) store.Store) {
	t.Run("the cursor and deliveries are recorded together, once", func(t *testing.T) {
		s := open(t)
		if c, err := s.HookCursor(t.Context()); err != nil || c.Seq != 0 || len(c.Since) != 0 {
			t.Fatalf("the first cursor is %+v, %v", c, err)
		}
		p := store.AddDeliveries{Cursor: store.HookCursor{Seq: 7, Since: map[string]uint64{"settings/a": 3}}, At: minute(1),
			Deliveries: []store.Delivery{onItsWay(1, job.HookStart, 5, "a"), onItsWay(1, job.HookSuccess, 6, "a"), onItsWay(2, job.HookStart, 7, "b")}}
		added, err := s.AddDeliveries(t.Context(), p)
		if err != nil || len(added) != 3 {
			t.Fatalf("added %d, %v", len(added), err)
		}
		c, err := s.HookCursor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "cursor", p.Cursor, c)
		_, err = s.AddDeliveries(t.Context(), p)
		refused(t, err, job.Conflict)
		got, err := s.Delivery(t.Context(), added[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		want := p.Deliveries[0]
		want.ID, want.State, want.NextTry, want.CreatedAt, want.Since = added[0].ID, job.DeliveryPending, minute(1), minute(1), minute(1)
		diff(t, "delivery", want, *got)
		diff(t, "what is returned", *got, added[0])
		if got := deliver(t, s, minute(2), onItsWay(1, job.HookStart, 8, "a"), onItsWay(1, job.HookSuccess, 8, "a")); len(got) != 1 || got[0].Event != job.HookSuccess {
			t.Errorf("an attempt's start was recorded twice, or an end not: %+v", got)
		}
		if _, err := s.Delivery(t.Context(), 999); job.CodeOf(err) != job.NotFound {
			t.Errorf("a delivery that is not there: %v", err)
		}
	})
	t.Run("one job's go in order, others pass", func(t *testing.T) {
		s := open(t)
		d := deliver(t, s, minute(1), onItsWay(1, job.HookStart, 1, "a"), onItsWay(1, job.HookFailure, 2, "a"), onItsWay(2, job.HookStart, 3, "a"), onItsWay(1, job.HookFailure, 2, "b"))
		diff(t, "due at first", []string{"1:start", "2:start"}, due(t, s, "a"))
		diff(t, "due at b", []string{"1:failure"}, due(t, s, "b"))
		receivers, err := s.OpenReceivers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "receivers", []string{"a", "b"}, receivers)
		settle(t, s, minute(2), store.DeliveryUpdate{ID: d[0].ID, State: job.DeliveryFailed, Tries: 1, NextTry: minute(9), LastError: "refused"})
		diff(t, "after a failure", []string{"2:start", "1:start"}, due(t, s, "a"))
		settle(t, s, minute(3), store.DeliveryUpdate{ID: d[0].ID, State: job.DeliveryDone, Tries: 2})
		diff(t, "after the first arrived", []string{"2:start", "1:failure"}, due(t, s, "a"))
		settle(t, s, minute(4), store.DeliveryUpdate{ID: d[0].ID, State: job.DeliveryFailed, Tries: 3, NextTry: minute(5)}) // it is over
		got, err := s.Delivery(t.Context(), d[0].ID)
		if err != nil || got.State != job.DeliveryDone || got.Tries != 2 || !got.EndedAt.Equal(minute(3)) || !got.NextTry.IsZero() {
			t.Errorf("the delivery that is done: %+v, %v", got, err)
		}
		settle(t, s, minute(5), store.DeliveryUpdate{ID: d[1].ID, State: job.DeliveryGivenUp, Tries: 1, LastError: "gone"}, store.DeliveryUpdate{ID: d[2].ID, State: job.DeliveryDone, Tries: 1})
		diff(t, "at the end", []string(nil), due(t, s, "a"))
	})
	t.Run("a command's run holds its delivery, and ends with the cursor", func(t *testing.T) {
		s := open(t)
		d := deliver(t, s, minute(1), onItsWay(1, job.HookStart, 1, "a"), onItsWay(1, job.HookStop, 2, "a"))
		settle(t, s, minute(2), store.DeliveryUpdate{ID: d[0].ID, State: job.DeliveryPending, RunID: "hook-1"})
		diff(t, "while it runs", []string(nil), due(t, s, "a"))
		runs, err := s.HookRuns(t.Context())
		if err != nil || len(runs) != 1 || runs[0].RunID != "hook-1" || runs[0].ID != d[0].ID {
			t.Fatalf("runs: %+v, %v", runs, err)
		}
		_, err = s.RetryDelivery(t.Context(), d[0].ID, minute(2))
		refused(t, err, job.WrongState)
		settle(t, s, minute(3), store.DeliveryUpdate{ID: d[0].ID, State: job.DeliveryDone}) // of another run
		cursor := store.Cursor{Journal: "j", BootID: "b", Seq: 9}
		_, err = s.Commit(t.Context(), store.Commit{Cursor: &cursor, At: minute(4), Vital: true,
			Deliveries: []store.DeliveryUpdate{{ID: d[0].ID, WasRunID: "hook-1", State: job.DeliveryDone, Tries: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		if c, err := s.Cursor(t.Context()); err != nil || c != cursor {
			t.Errorf("cursor %+v, %v", c, err)
		}
		diff(t, "after it", []string{"1:stop"}, due(t, s, "a"))
	})
	t.Run("what was given up can be tried again", func(t *testing.T) {
		s := open(t)
		d := deliver(t, s, minute(1), onItsWay(1, job.HookStart, 1, "a"))
		settle(t, s, minute(2), store.DeliveryUpdate{ID: d[0].ID, State: job.DeliveryGivenUp, Tries: 4, LastError: "gone"})
		got, err := s.RetryDelivery(t.Context(), d[0].ID, minute(8))
		if err != nil || got.State != job.DeliveryPending || !got.Since.Equal(minute(8)) || !got.NextTry.Equal(minute(8)) || !got.EndedAt.IsZero() || got.Tries != 4 {
			t.Errorf("tried again: %+v, %v", got, err)
		}
		diff(t, "due", []string{"1:start"}, due(t, s, "a"))
		_, err = s.RetryDelivery(t.Context(), 999, minute(8))
		refused(t, err, job.NotFound)
	})
	t.Run("pages", func(t *testing.T) {
		s := open(t)
		for i := range 5 {
			d := deliver(t, s, minute(i), onItsWay(int64(1+i%2), job.HookFailure, uint64(i), "a"))
			if i < 3 {
				settle(t, s, minute(i), store.DeliveryUpdate{ID: d[0].ID, State: job.DeliveryDone, Tries: 1})
			}
		}
		for _, c := range []struct {
			f    job.DeliveryFilter
			want []int64
		}{
			{job.DeliveryFilter{}, []int64{5, 4, 3, 2, 1}},
			{job.DeliveryFilter{JobID: 2}, []int64{4, 2}},
			{job.DeliveryFilter{States: []job.DeliveryState{job.DeliveryDone}}, []int64{3, 2, 1}},
			{job.DeliveryFilter{JobID: 1, States: []job.DeliveryState{job.DeliveryDone, job.DeliveryGivenUp}}, []int64{3, 1}},
		} {
			var got []int64
			for c.f.Limit = 2; ; {
				page, err := s.ListDeliveries(t.Context(), c.f)
				if err != nil || len(page.Deliveries) > 2 {
					t.Fatalf("%d deliveries, %v", len(page.Deliveries), err)
				}
				for _, d := range page.Deliveries {
					got = append(got, d.ID)
				}
				if c.f.Cursor = page.NextCursor; c.f.Cursor == "" {
					break
				}
			}
			diff(t, "page", c.want, got)
		}
		_, err := s.ListDeliveries(t.Context(), job.DeliveryFilter{Cursor: "x", Limit: 1})
		refused(t, err, job.Invalid)
	})
	t.Run("old ones go, but for those that are open or of live jobs", func(t *testing.T) {
		s := open(t)
		jobs := add(t, s, newJob(), newJob())
		move(t, s, minute(1), job.Starting, jobs[0])
		var all []store.Delivery
		for i := range 6 {
			all = append(all, deliver(t, s, minute(1), onItsWay(jobs[i%2].ID, job.HookFailure, uint64(10+i), fmt.Sprint("hook", i)))...)
		}
		for i, d := range all[:5] {
			settle(t, s, minute(2+i), store.DeliveryUpdate{ID: d.ID, State: job.DeliveryDone, Tries: 1})
		}
		if n, err := s.PruneDeliveries(t.Context(), minute(4), 100, 10); err != nil || len(n) != 1 || n[0] != (store.PrunedDelivery{ID: all[1].ID, JobID: jobs[1].ID}) {
			t.Errorf("pruned %v by age, %v", n, err)
		}
		if n, err := s.PruneDeliveries(t.Context(), start, 1, 10); err != nil || len(n) != 1 || n[0].ID != all[3].ID {
			t.Errorf("pruned %v by number, %v", n, err)
		}
		page, err := s.ListDeliveries(t.Context(), job.DeliveryFilter{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		var left []int64
		for _, d := range page.Deliveries {
			left = append(left, d.ID)
		}
		diff(t, "what is left", []int64{all[5].ID, all[4].ID, all[2].ID, all[0].ID}, left)
		move(t, s, minute(9), job.Completed, &job.Job{ID: jobs[0].ID, Rev: 2, Queue: job.DefaultQueue, Type: job.TypeCommand, State: job.Starting})
		purged, err := s.Purge(t.Context(), store.Purge{States: []job.State{job.Completed}, Limit: 5, At: minute(10)})
		if err != nil || len(purged) != 1 {
			t.Fatalf("purged %v, %v", purged, err)
		}
		diff(t, "with its job go", []int64{all[0].ID, all[2].ID, all[4].ID}, purged[0].Hooks)
	})
}
