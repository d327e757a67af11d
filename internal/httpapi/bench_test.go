package httpapi_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/client"
	"github.com/queuemgr/queuemgr/internal/engine/enginetest"
	"github.com/queuemgr/queuemgr/internal/httpapi"
	"github.com/queuemgr/queuemgr/internal/servicetest"
	"github.com/queuemgr/queuemgr/job"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// serve serves a service on a socket until the test ends, and returns the socket.
func serve(t testing.TB, o httpapi.Options) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := httpapi.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- httpapi.New(o).Serve(ctx, l, time.Minute) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return socket
}

// stubAdds answers adds at once: what is left is the cost of HTTP and JSON on both sides.
type stubAdds struct{ job.Service }

func (stubAdds) AddJob(_ context.Context, s job.Spec) (*job.Job, error) {
	return &job.Job{ID: 1, Queue: job.DefaultQueue, Type: job.TypeCommand, State: job.Queued, Command: s.Command, Cwd: s.Cwd, Owner: "x"}, nil
}

func (stubAdds) AddJobs(_ context.Context, b job.Batch) ([]int64, error) {
	return make([]int64, len(b.Jobs)), nil
}

var benchSpec = job.Spec{Command: []string{"/bin/true"}, Cwd: "/tmp", Hold: true, Env: map[string]string{
	"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "SHELL": "/bin/bash", "USER": "root"}}

// cpu returns the processor time that this process has used.
func cpu() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report gives the rate, and the processor time of each: the latter holds on a busy machine too.
func report(b *testing.B, before time.Duration, each int, unit string) {
	n := float64(b.N * each)
	b.ReportMetric(n/b.Elapsed().Seconds(), unit)
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/n, "cpu-ns/job")
}

// BenchmarkAdd measures single adds of 1 and 50 clients in the same process as the server: with
// the engine they are durable.
func BenchmarkAdd(b *testing.B) {
	for _, to := range []struct {
		name string
		open func(b *testing.B) job.Service
	}{
		{"stub", func(*testing.B) job.Service { return stubAdds{} }},
		{"engine", func(b *testing.B) job.Service { return enginetest.Start(b, nil) }},
	} {
		for _, clients := range []struct {
			name string
			n    int
		}{{"1", 1}, {"50", 50}} {
			b.Run(to.name+"/clients="+clients.name, func(b *testing.B) {
				svc := to.open(b)
				socket := serve(b, httpapi.Options{Service: svc})
				c := client.New(client.Options{Socket: socket})
				b.Cleanup(c.Close)
				b.ResetTimer()
				before := cpu()
				var wg sync.WaitGroup
				for k := range clients.n {
					wg.Go(func() {
						for i := k; i < b.N; i += clients.n {
							if _, err := c.AddJob(context.Background(), benchSpec); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				report(b, before, 1, "adds/s")
			})
		}
	}
}

// BenchmarkAddDirect is what the engine does without HTTP, for comparison.
func BenchmarkAddDirect(b *testing.B) {
	e := enginetest.Start(b, nil)
	ctx := servicetest.Caller(context.Background())
	b.ResetTimer()
	before := cpu()
	var wg sync.WaitGroup
	for k := range 50 {
		wg.Go(func() {
			for i := k; i < b.N; i += 50 {
				if _, err := e.AddJob(ctx, benchSpec); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	report(b, before, 1, "adds/s")
}

// BenchmarkBatch measures adding 10,000 jobs in one request.
func BenchmarkBatch(b *testing.B) {
	for _, to := range []struct {
		name string
		open func(b *testing.B) job.Service
	}{
		{"stub", func(*testing.B) job.Service { return stubAdds{} }},
		{"engine", func(b *testing.B) job.Service { return enginetest.Start(b, nil) }},
	} {
		b.Run(to.name, func(b *testing.B) {
			svc := to.open(b)
			c := client.New(client.Options{Socket: serve(b, httpapi.Options{Service: svc})})
			b.Cleanup(c.Close)
			batch := job.Batch{Defaults: benchSpec, Jobs: make([]job.Spec, 10_000)}
			for i := range batch.Jobs {
				batch.Jobs[i].Command = []string{"/bin/echo", "some", "arguments"}
			}
			before := cpu()
			for b.Loop() {
				if _, err := c.AddJobs(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
			}
			report(b, before, len(batch.Jobs), "jobs/s")
		})
	}
}
