package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/runner/wire"
	"github.com/queuemgr/queuemgr/internal/store/sqlite"
	"github.com/queuemgr/queuemgr/job"
)

// BenchmarkReports is one report of one of 5,000 running jobs, of which each reports something new once a
// second: they come in the given number of messages a second, each in a commit of its own.
func BenchmarkReports(b *testing.B) {
	for _, messages := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("messages=%d", messages), func(b *testing.B) { benchReports(b, 5000, messages) })
	}
}

func benchReports(b *testing.B, jobs, messages int) {
	dir, ctx, hub := b.TempDir(), context.Background(), NewHub()
	path := filepath.Join(dir, "registry.db")
	registry, err := sqlite.Open(ctx, sqlite.Options{Path: path, OnCommit: hub.Publish})
	if err != nil {
		b.Fatal(err)
	}
	defer registry.Close()
	o := Options{Store: registry, Hub: hub, Now: time.Now, NewRunID: rand.Text, Log: slog.New(slog.DiscardHandler), LogDir: dir, ProcDir: dir}
	proc, err := newProcView(dir, o.Log)
	if err != nil {
		b.Fatal(err)
	}
	in := newMailbox()
	c, err := newCore(ctx, &o, proc, in)
	if err != nil {
		b.Fatal(err)
	}
	e := &Engine{o: o, core: c, in: in, proc: proc, done: make(chan struct{})}
	batch := job.Batch{Defaults: job.Spec{Command: []string{"convert", "-resize", "1920x1080", "in.png", "out.png"}, Cwd: "/srv/photos"}, Jobs: make([]job.Spec, jobs)}
	if _, err := e.AddJobs(job.WithCaller(ctx, job.Caller{Name: "root"}), batch); err != nil {
		b.Fatal(err)
	}
	in.put(connected{runner: &wireEnd{}, welcome: wire.Welcome{Journal: "j", BootID: "b", Reports: true}})
	for len(c.live) < jobs {
		c.step(ctx, in.take())
	}
	var ids []*job.Job
	for _, j := range c.live {
		ids = append(ids, j)
	}
	n, next := 0, 0
	for b.Loop() {
		if n++; n%(jobs/messages) != 0 {
			continue
		}
		reports := make([]wire.Report, jobs/messages)
		for i := range reports {
			j := ids[next%jobs]
			next++
			reports[i] = wire.Report{RunID: j.RunID, JobID: j.ID, Fence: j.Fence, Progress: at100(50), Status: fmt.Sprintf("file %d of 100000", n+i)}
		}
		in.putReports(c.runner, reports)
		c.reports = nil // without the pause
		c.step(ctx, in.take())
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
}
