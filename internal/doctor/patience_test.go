package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/queuemgr/queuemgr/job"
)

// TestPatience: what hangs is told of, and what else was found is not lost by it.
func TestPatience(t *testing.T) {
	hangs := func(ctx context.Context, _ string, _ ...string) (string, error) {
		<-ctx.Done()
		return "", errors.New("signal: killed")
	}
	t.Run("a program", func(t *testing.T) {
		w := userWorld(t)
		w.chmod("/home/anna/q/lib", 0o770)
		w.in.Exec = hangs
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			found, err := Examine(t.Context(), w.in)
			if err != nil || time.Since(began) != execWithin {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
			if !has(found, "programs", Skipped, "queuemgr-runner did not end") || !has(found, "folders", Problem, "others than you") || !has(found, "service", OK, "the daemon answers") {
				t.Errorf("got %+v", found)
			}
		})
	})
	t.Run("everything", func(t *testing.T) {
		w := userWorld(t)
		w.chmod("/home/anna/q/lib", 0o770)
		w.in.Registry = func(ctx context.Context, _ string) (int64, int64, error) {
			<-ctx.Done()
			return 0, 0, ctx.Err()
		}
		synctest.Test(t, func(t *testing.T) {
			found, err := Examine(t.Context(), w.in)
			if err != nil || !has(found, "folders", Problem, "others than you") || !has(found, "registry", Skipped, "in time") || !has(found, "clock", Skipped, "no time left") {
				t.Errorf("got %v, %+v", err, found)
			}
		})
	})
	t.Run("a file server", func(t *testing.T) {
		w := userWorld(t)
		back := make(chan struct{})
		w.in.Statfs = func(path string, st *unix.Statfs_t) error {
			if path == w.path("/home/anna/q/lib") {
				<-back
			}
			return unix.Statfs(path, st)
		}
		w.in.Load = func() Loaded {
			t.Error("the settings were read, which would wait, too")
			return w.in.Loaded
		}
		w.in.Ask = func(context.Context) (*job.Status, error) {
			t.Error("more was looked at, which would wait, too")
			return nil, w.statusErr
		}
		synctest.Test(t, func(t *testing.T) {
			back = make(chan struct{}) // of this bubble
			began := time.Now()
			found, err := Examine(t.Context(), w.in)
			if err != nil || time.Since(began) != answerWithin {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
			if len(found) != 1 || !has(found, "disk", Problem, "does not answer") || found[0].Where != "/home/anna/q/lib" {
				t.Errorf("got %+v", found)
			}
			close(back)
		})
	})
	t.Run("a file server that the settings name", func(t *testing.T) {
		w := userWorld(t)
		loaded := w.in.Loaded
		loaded.Config.RegistryPath = "/srv/gone/registry.jsonl"
		w.in.Loaded = Loaded{}
		var back chan struct{}
		for name, hangs := range map[string]string{"when they are read": "load", "behind them": "/srv/gone"} {
			w.in.Load = func() Loaded {
				if hangs == "load" {
					<-back
				}
				return loaded
			}
			w.in.Statfs = func(path string, st *unix.Statfs_t) error {
				if path == w.path(hangs) {
					<-back
				}
				return unix.Statfs(w.path("/"), st)
			}
			synctest.Test(t, func(t *testing.T) {
				back = make(chan struct{}) // of this bubble
				began := time.Now()
				found, err := Examine(t.Context(), w.in)
				if err != nil || time.Since(began) != answerWithin || len(found) != 1 || !has(found, "disk", Problem, "does not answer") {
					t.Errorf("%s: after %v: %+v %v", name, time.Since(began), found, err)
				}
				close(back)
			})
		}
	})
	t.Run("the caller", func(t *testing.T) {
		w := userWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		w.in.Ask = func(context.Context) (*job.Status, error) {
			cancel()
			return nil, ctx.Err()
		}
		if _, err := Examine(ctx, w.in); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func has(found []Finding, check string, level Level, what string) bool {
	return slices.ContainsFunc(found, func(f Finding) bool { return f.Check == check && f.Level == level && strings.Contains(f.What, what) })
}
