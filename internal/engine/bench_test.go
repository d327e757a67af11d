package engine_test

import (
	"context"
	"testing"

	"github.com/queuemgr/queuemgr/internal/engine"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/job"
)

// BenchmarkEndToEnd is one job from its addition (in bulk) to its committed end.
func BenchmarkEndToEnd(b *testing.B) {
	f := enginetest.Start(b, func(o *engine.Options) { o.Settings.MaxConcurrent = 50 })
	ctx := job.WithCaller(context.Background(), job.Caller{Name: "root"})
	batch := job.Batch{Defaults: job.Spec{Command: []string{"/bin/true"}}, Jobs: make([]job.Spec, b.N)}
	b.ResetTimer()
	ids, err := f.AddJobs(ctx, batch)
	if err != nil {
		b.Fatal(err)
	}
	for _, id := range ids {
		j, err := f.WaitJob(ctx, id)
		if err != nil || j.State != job.Completed {
			b.Fatal(j, err)
		}
	}
}

// BenchmarkBulkAdd is one job of a batch into a paused queue.
func BenchmarkBulkAdd(b *testing.B) {
	f, ctx := paused(b)
	batch := job.Batch{Defaults: job.Spec{Command: []string{"/bin/true"}}, Jobs: make([]job.Spec, b.N)}
	b.ResetTimer()
	if _, err := f.AddJobs(ctx, batch); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSingleAdd is one durable addition with many clients at once (-cpu and parallelism 25).
func BenchmarkSingleAdd(b *testing.B) {
	f, ctx := paused(b)
	b.SetParallelism(25)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := f.AddJob(ctx, job.Spec{Command: []string{"/bin/true"}}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func paused(b *testing.B) (*enginetest.Fixture, context.Context) {
	f := enginetest.Start(b, nil)
	ctx := job.WithCaller(context.Background(), job.Caller{Name: "root"})
	yes := true
	if _, err := f.SetQueue(ctx, job.DefaultQueue, job.QueueUpdate{Paused: &yes}); err != nil {
		b.Fatal(err)
	}
	return f, ctx
}
