package engine

import (
	"context"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/internal/joblog"
	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

const (
	// purgeBatch bounds how long one batch of retention holds up other writers.
	purgeBatch = 200
	// keepChanges is how many changes stay readable for a client that was away.
	keepChanges = 50_000
	// pruneEvery is how often changes are forgotten between two rounds of retention, where as many have come
	// again: jobs that report a lot make a thousand a second.
	pruneEvery = time.Minute
)

// cleanUp removes the logs that a daemon before has left, then applies retention every cleanup
// interval.
func (e *Engine) cleanUp(ctx context.Context) {
	e.sweepLogs(ctx)
	interval := e.o.settings().CleanupInterval
	tick, prune := time.NewTicker(interval), time.NewTicker(pruneEvery)
	defer tick.Stop()
	defer prune.Stop()
	pruned := e.o.Store.Seq()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.reload:
			if now := e.o.settings().CleanupInterval; now != interval {
				interval = now
				tick.Reset(interval)
			}
			continue
		case <-prune.C:
			if e.o.Store.Seq() < pruned+keepChanges {
				continue
			}
			pruned = e.o.Store.Seq()
			if err := e.pruneChanges(ctx); err != nil && ctx.Err() == nil {
				e.o.Log.Error("forget old changes", "error", err)
			}
			continue
		case <-tick.C:
		}
		if err := e.retain(ctx); err != nil && ctx.Err() == nil {
			e.o.Log.Error("clean up", "error", err)
		}
	}
}

// retain purges what the settings no longer keep, in batches between which others write.
func (e *Engine) retain(ctx context.Context) error {
	now, settings := e.o.Now().UTC(), e.o.settings()
	for _, state := range []job.State{job.Completed, job.Failed, job.Stopped, job.Skipped, job.Deleted} {
		age, ok := settings.Retention[state]
		if !ok {
			continue
		}
		if err := e.purge(ctx, store.Purge{States: []job.State{state}, EndedBefore: now.Add(-age), Limit: purgeBatch, At: now}); err != nil {
			return err
		}
	}
	if settings.MaxRetained > 0 {
		ended := slices.DeleteFunc(slices.Clone(job.States), func(s job.State) bool { return !s.Ended() })
		if err := e.purge(ctx, store.Purge{States: ended, Keep: settings.MaxRetained, Limit: purgeBatch, At: now}); err != nil {
			return err
		}
	}
	return e.pruneChanges(ctx)
}

func (e *Engine) purge(ctx context.Context, p store.Purge) error {
	for {
		purged, err := e.o.Store.Purge(ctx, p)
		if err != nil {
			return err
		}
		e.removeLogs(purged)
		if len(purged) < p.Limit {
			return nil
		}
	}
}

// sweepLogs removes the logs of jobs that were purged by a daemon that died before it came to
// their logs. Jobs added from now on have higher numbers and are not looked at.
func (e *Engine) sweepLogs(ctx context.Context) {
	removed, err := joblog.Sweep(ctx, e.o.LogDir, e.o.Store.NextID(), e.o.Store.OnRecord)
	if err != nil && ctx.Err() == nil {
		e.o.Log.Warn("remove logs of jobs that are not on record any more: tried again at the next start", "error", err)
	}
	if removed > 0 {
		e.o.Log.Info("removed logs of jobs that are not on record any more", "files", removed)
	}
}

// removeLogs removes the logs of jobs whose records are gone. Should the daemon die before, the next
// one's sweepLogs does.
func (e *Engine) removeLogs(purged []store.Purged) {
	if len(purged) == 0 {
		return
	}
	e.core.point("engine.after-purge")
	for _, p := range purged {
		if err := joblog.Remove(e.o.LogDir, p.ID, p.Attempts); err != nil {
			e.o.Log.Warn("remove the logs of a purged job", "job", p.ID, "error", err)
		}
		for _, n := range p.Hooks {
			if err := joblog.RemoveHook(e.o.LogDir, p.ID, n); err != nil {
				e.o.Log.Warn("remove the logs of a purged job", "job", p.ID, "error", err)
			}
		}
	}
}

func (e *Engine) pruneChanges(ctx context.Context) error {
	upTo := e.o.Store.Seq()
	if e.o.BeforePrune != nil {
		upTo = min(upTo, e.o.BeforePrune())
	}
	if upTo <= keepChanges {
		return nil
	}
	upTo -= keepChanges
	for {
		n, err := e.o.Store.PruneChanges(ctx, upTo, 10*purgeBatch)
		if err != nil || n == 0 {
			return err
		}
	}
}
