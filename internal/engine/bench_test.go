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
	f := enginetest.Start(b, func(o *engine.Options) { o.MaxConcurrent = 50 })
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
