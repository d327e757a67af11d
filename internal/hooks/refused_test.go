package hooks_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/internal/hooks"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// refusing is an engine that can't run commands.
type refusing struct {
	hooks.Engine
	refuse func(hooks.Run) error
}

func (r refusing) RunHook(_ context.Context, run hooks.Run) error { return r.refuse(run) }

// TestRefusedCommandsAreGivenUp has commands refused by rule, and by a runner: each is asked for again after
// growing pauses, is no try, and is given up with a note like one that fails.
func TestRefusedCommandsAreGivenUp(t *testing.T) {
	for name, refuse := range map[string]func(*world, hooks.Run) error{
		"by rule": func(*world, hooks.Run) error { return errors.New("nobody may run it") },
		"by the runner": func(w *world, run hooks.Run) error {
			u, ok := w.hooks.Ended(store.RunEnd{RunID: run.ID, Undone: true, Problem: "nobody may run it"})
			if !ok {
				return errors.New("the run is not known")
			}
			if err := w.Store.SetDeliveries(context.Background(), []store.DeliveryUpdate{u}, time.Now()); err != nil {
				return err
			}
			w.hooks.Recorded([]string{run.ID})
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			var later atomic.Int64 // by how much it is later for the hooks
			w := open(t, func(o *hooks.Options) {
				o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
				o.Hooks = []hooks.Configured{{Name: "ops", On: []job.HookEvent{job.HookSuccess}, Command: []string{"/bin/true"}, Timeout: time.Minute, GiveUp: time.Hour}}
			})
			var mu sync.Mutex
			var asked []time.Time
			w.wrap = func(e hooks.Engine) hooks.Engine {
				return refusing{e, func(run hooks.Run) error {
					mu.Lock()
					asked = append(asked, time.Now())
					mu.Unlock()
					return refuse(w, run)
				}}
			}
			w.restart()
			id := w.add("true")
			often := func() []time.Time { mu.Lock(); defer mu.Unlock(); return slices.Clone(asked) }
			w.until(id, "refused six times", func(list []job.Delivery) bool { return len(list) == 1 && len(often()) >= 6 })
			for i, least := range []time.Duration{10, 20, 40, 80, 100} {
				if all := often(); all[i+1].Sub(all[i]) < least*time.Millisecond-time.Millisecond {
					t.Errorf("asked again after %s, want %d ms", all[i+1].Sub(all[i]), least)
				}
			}
			later.Store(int64(2 * time.Hour))
			if d := w.over(id, 1)[0]; d.State != job.DeliveryGivenUp || d.Tries != 0 || d.LastError != "nobody may run it" {
				t.Errorf("at last: %+v", d)
			}
			for deadline := time.Now().Add(30 * time.Second); ; {
				j, err := w.Job(t.Context(), id)
				if err != nil || time.Now().After(deadline) {
					t.Fatal(j, err)
				}
				if len(j.Notes) == 1 && strings.Contains(j.Notes[0], "nobody may run it") {
					break
				}
				time.Sleep(5 * time.Millisecond) // it is noted beside the end
			}
		})
	}
}

// TestUsersHooksDoNotStarveOps has more commands of jobs' hooks wait than may run at once, of several accounts'
// receivers: the commands of the settings run all the same.
func TestUsersHooksDoNotStarveOps(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(dir+"/go", 0o600); err != nil {
		t.Fatal(err)
	}
	w := open(t, func(o *hooks.Options) {
		o.Hooks = []hooks.Configured{{Name: "ops", On: []job.HookEvent{job.HookFailure}, Command: []string{"/bin/true"}, Timeout: time.Minute, GiveUp: time.Hour}}
	})
	wait := sh("read x <"+dir+"/go", job.HookSuccess)
	var ids []int64
	for range 4 { // each of three receivers may have four
		ids = append(ids, w.add("true", wait, wait, wait))
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		runs, err := w.Store.HookRuns(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatal(runs, err)
		}
		if len(runs) == 8 {
			break
		}
		time.Sleep(5 * time.Millisecond) // nobody tells of runs
	}
	if d := w.over(w.add("exit 1"), 1)[0]; d.State != job.DeliveryDone {
		t.Errorf("the settings' hook: %+v", d)
	}
	f, err := os.OpenFile(dir+"/go", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Repeat("x\n", 3*len(ids))); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		w.over(id, 3)
	}
}
