package metrics_test

import (
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/metrics"
	"github.com/queuemgr/queuemgr/internal/metrics/metricstest"
	"github.com/queuemgr/queuemgr/job"
)

func TestWrite(t *testing.T) {
	text := string(metrics.Write(&metrics.Daemon{
		Status: &job.Status{Version: "v\"1\\2\n\xff", StartedAt: time.UnixMilli(1_700_000_000_500), Problems: []string{"one"},
			Queues: []job.Queue{{Name: "a", Paused: true, Jobs: map[job.State]int64{job.Queued: 1 << 40}}, {Name: "default"}}},
		Machine:   &job.Machine{DiskFree: 1 << 50},
		Ends:      map[metrics.End]int64{{State: job.Failed, Reason: job.ReasonExit}: 3, {State: job.Failed, Reason: job.ReasonLost}: 1, {State: job.Completed}: 7},
		QueueWait: metrics.Histogram{Bounds: []float64{0.001, 0.5, 1e5}, Counts: []uint64{1, 0, 2, 4}, Sum: 1e6},
		Feeds:     2,
	}))
	families, err := metricstest.Parse(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	for name, samples := range map[string]map[string]float64{
		"queuemgr_start_time_seconds": {"": 1_700_000_000.5},
		"queuemgr_jobs":               {`{queue="a",state="queued"}`: 1 << 40, `{queue="a",state="failed"}`: 0, `{queue="default",state="running"}`: 0},
		"queuemgr_queue_paused":       {`{queue="a"}`: 1, `{queue="default"}`: 0},
		"queuemgr_jobs_ended_total":   {`{reason="",state="completed"}`: 7, `{reason="exit",state="failed"}`: 3, `{reason="lost",state="failed"}`: 1},
		"queuemgr_queue_wait_seconds": {`_bucket{le="0.001"}`: 1, `_bucket{le="0.5"}`: 1, `_bucket{le="100000"}`: 3, `_bucket{le="+Inf"}`: 7, "_sum": 1e6, "_count": 7},
		"queuemgr_runner_up":          {"": 0}, "queuemgr_problems": {"": 1}, "queuemgr_disk_free_bytes": {"": 1 << 50}, "queuemgr_feeds": {"": 2},
	} {
		if families[name] == nil {
			t.Errorf("there is no %s", name)
			continue
		}
		for key, want := range samples {
			if got, ok := families[name].Samples[key]; !ok || got != want {
				t.Errorf("%s%s is %v (there: %v), want %v", name, key, got, ok, want)
			}
		}
	}
	found := false
	for key := range families["queuemgr_build_info"].Samples {
		found = found || key[len(key)-len(`version="v\"1\\2\n`+"\uFFFD"+`"}`):] == `version="v\"1\\2\n`+"\uFFFD"+`"}`
	}
	if !found {
		t.Errorf("the version is written as %v", families["queuemgr_build_info"].Samples)
	}
	if families["go_goroutines"].Samples[""] < 1 {
		t.Error("there are no goroutines")
	}
}

// TestParse holds the parser that others rely on to refusing what is wrong.
func TestParse(t *testing.T) {
	const head = "# HELP x_total y\n# TYPE x_total counter\n"
	for _, text := range []string{head + "x_total 1", head + "y 1\n", head + "x_total{a=1} 1\n", head + `x_total{a="1"b="2"} 1` + "\n", head + `x_total{a="1",a="2"} 1` + "\n",
		head + `x_total{a="\q"} 1` + "\n", head + "x_total 1\nx_total 2\n", head + "x_total -1\n", head + "x_total one\n", head + head, "# TYPE x_total counter\nx_total 1\n", "x 1\n",
		"# HELP x y\n# TYPE x counter\nx 1\n", "# HELP h y\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
		"# HELP h y\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n"} {
		if f, err := metricstest.Parse(text); err == nil {
			t.Errorf("%q is read as %v", text, f)
		}
	}
	if _, err := metricstest.Parse(head + `x_total{a="1",b="\n\\\""} 1e3` + "\n"); err != nil {
		t.Error(err)
	}
}
